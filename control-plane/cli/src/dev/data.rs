//! The data directory of `sluice dev`: the database, what proxies keep, and the token.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::StartFailure;

/// A data directory, locked for this process until dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Opens `path`, or the user's own directory, and makes it if need be (mode 0700).
    ///
    /// # Errors
    /// When it cannot be made, or another process uses it.
    pub(super) fn open(path: Option<PathBuf>) -> Result<Self, StartFailure> {
        let path = path.or_else(default_path).ok_or(StartFailure::NoHome)?;
        match lock(&path) {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StartFailure::DataDirInUse(path)),
            Err(TryLockError::Error(source)) => Err(StartFailure::DataDir { path, source }),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// URL of the database.
    pub(super) fn database(&self) -> String {
        format!("sqlite://{}", self.path.join("control.db").display())
    }

    /// Where the proxy `id` keeps its last good snapshot.
    pub(super) fn proxy(&self, id: &str) -> PathBuf {
        self.path.join("proxies").join(id)
    }

    /// The token of this directory: made at the first start, and kept (mode 0600), since the
    /// database has only its hash.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(super) fn token(&self) -> Result<String, StartFailure> {
        let path = self.path.join("token");
        read_or_make_token(&path).map_err(|source| StartFailure::DataDir { path, source })
    }
}

fn default_path() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    Some(state?.join("sluice/dev"))
}

fn lock(path: &Path) -> Result<File, TryLockError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(TryLockError::Error)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path.join("lock"));
    let file = file.map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

fn read_or_make_token(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let token = format!("dev-{}", uuid::Uuid::new_v4().simple());
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_token_is_made_once_and_only_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(directory.path().join("new/dev"))).unwrap();
        let token = data.token().unwrap();
        assert_eq!(data.token().unwrap(), token);
        let mode = fs::metadata(data.path().join("token"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_directory_serves_one_process_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDir::open(Some(directory.path().into())).unwrap();
        let second = DataDir::open(Some(directory.path().into()));
        assert!(matches!(second, Err(StartFailure::DataDirInUse(_))), "{second:?}");
        drop(first);
        DataDir::open(Some(directory.path().into())).unwrap();
    }
}
