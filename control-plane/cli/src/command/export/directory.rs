//! Where an export is written: one file for each resource, and none before all have come.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sluice_intent::ResourceId;

use crate::failure::Failure;

/// What every file of an export begins with: nobody else's does, so it is safe to replace.
pub(super) const FIRST_LINE: &str = "# Written by `sluice export`, which replaces this file.\n";

/// A directory of manifests.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    /// Whether files of others are replaced, too.
    force: bool,
    /// Files that are written, under a name that `-f` does not read, and what they replace.
    unfinished: Vec<(PathBuf, PathBuf)>,
    /// Where the resources that came have their files.
    places: BTreeSet<PathBuf>,
    written: Written,
}

/// What was done so far.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Written {
    /// Files that are new or have new content.
    pub(super) changed: usize,
    /// Files that were there already, byte for byte.
    pub(super) unchanged: usize,
    /// Files that somebody else has written, and that stay as they are.
    pub(super) kept: Vec<PathBuf>,
}

impl Directory {
    pub(super) fn new(root: &Path, force: bool) -> Self {
        Self {
            root: root.to_owned(),
            force,
            unfinished: Vec::new(),
            places: BTreeSet::new(),
            written: Written::default(),
        }
    }

    /// Writes the manifest of a resource beside the place that is its own.
    ///
    /// # Errors
    /// When the file system does not take it.
    pub(super) fn write(&mut self, id: &ResourceId, yaml: &str) -> Result<(), Failure> {
        let kind = id.kind.plural();
        let directory = self.root.join(id.namespace.as_str()).join(kind);
        let path = directory.join(format!("{}.yaml", id.name));
        let text = format!("{FIRST_LINE}{yaml}");
        self.places.insert(path.clone());
        match fs::read(&path) {
            Ok(there) if there == text.as_bytes() => {
                self.written.unchanged += 1;
                return Ok(());
            }
            Ok(there) if !self.force && !there.starts_with(FIRST_LINE.as_bytes()) => {
                self.written.kept.push(path);
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Failure::Read { path, source }),
        }
        let beside = directory.join(format!("{}.{}.part", id.name, std::process::id()));
        self.unfinished.push((beside.clone(), path.clone()));
        let written = fs::create_dir_all(&directory).and_then(|()| fs::write(beside, text));
        written.map_err(|source| Failure::Write { path, source })?;
        self.written.changed += 1;
        Ok(())
    }

    /// Puts everything in its place: until here the directory is as it was, of one revision. Then what was done, and
    /// where everything is.
    ///
    /// # Errors
    /// When the file system does not take it.
    pub(super) fn finish(mut self) -> Result<(Written, BTreeSet<PathBuf>), Failure> {
        for (beside, path) in &self.unfinished {
            fs::rename(beside, path).map_err(|source| Failure::Write {
                path: path.clone(),
                source,
            })?;
        }
        self.unfinished.clear();
        Ok((
            std::mem::take(&mut self.written),
            std::mem::take(&mut self.places),
        ))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        for (beside, _) in &self.unfinished {
            // What went wrong before is what is told.
            let _ = fs::remove_file(beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, force: bool, yaml: &str) -> Written {
        let mut directory = Directory::new(root, force);
        let id = "Backend/team/web.v1".parse().unwrap();
        directory.write(&id, yaml).unwrap();
        let (written, places) = directory.finish().unwrap();
        assert_eq!(places, [root.join("team/backends/web.v1.yaml")].into());
        written
    }

    fn counts(changed: usize, unchanged: usize) -> Written {
        Written {
            changed,
            unchanged,
            kept: Vec::new(),
        }
    }

    #[test]
    fn files_of_an_export_are_replaced_and_those_of_others_only_by_force() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("team/backends/web.v1.yaml");
        assert_eq!(write(root.path(), false, "a: 1\n"), counts(1, 0));
        assert_eq!(write(root.path(), false, "a: 1\n"), counts(0, 1));
        assert_eq!(write(root.path(), false, "a: 2\n"), counts(1, 0));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{FIRST_LINE}a: 2\n"));

        fs::write(&path, "a: 3 # ours\n").unwrap();
        assert_eq!(write(root.path(), false, "a: 4\n").kept, [path.as_path()]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a: 3 # ours\n");
        assert_eq!(write(root.path(), true, "a: 4\n"), counts(1, 0));
        let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing unfinished is left: {names:?}");
    }

    #[test]
    fn an_export_that_breaks_off_leaves_everything_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), false, "a: 1\n");
        let mut directory = Directory::new(root.path(), false);
        for (id, yaml) in [("Backend/team/web.v1", "a: 2\n"), ("Backend/team/new", "b: 1\n")] {
            directory.write(&id.parse().unwrap(), yaml).unwrap();
        }
        drop(directory);
        let backends = root.path().join("team/backends");
        let there: Vec<_> = fs::read_dir(&backends)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(there, [backends.join("web.v1.yaml")]);
        assert_eq!(
            fs::read_to_string(&there[0]).unwrap(),
            format!("{FIRST_LINE}a: 1\n")
        );
    }
}
