//! Files of an export whose resources are no longer live.
//!
//! Whatever is doubtful stays: what somebody has edited since, what is a link, what lies elsewhere than an export
//! puts it, and every kind of which the token may not get all, for then nobody here knows what is live.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sluice_intent::{Kind, Namespace, ObjectName, ResourceId};

use super::directory::FIRST_LINE;
use super::identity;
use crate::failure::Failure;
use crate::print;

/// What an export was asked for, and what of it did not come.
#[derive(Debug)]
pub(super) struct Extent<'a> {
    /// `None` is all of them.
    pub(super) namespace: Option<&'a Namespace>,
    /// Kinds of which the token may not get all.
    pub(super) left_out: BTreeSet<Kind>,
}

/// Files of exports that are of nothing that came.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Stale {
    /// Those that are as an export writes them.
    pub(super) plain: Vec<PathBuf>,
    /// Those that somebody has edited.
    pub(super) edited: Vec<PathBuf>,
    /// Those of which nobody knows, since the token may not get all of their kind.
    pub(super) unknown: Vec<PathBuf>,
}

impl Stale {
    /// Looks for them below `root`; `live` are the files of what came.
    ///
    /// # Errors
    /// When the file system does not show what is there.
    pub(super) fn find(root: &Path, extent: &Extent<'_>, live: &BTreeSet<PathBuf>) -> Result<Self, Failure> {
        let mut stale = Self::default();
        for namespace in namespaces(root, extent.namespace)? {
            for kind in Kind::ALL {
                let directory = root.join(namespace.as_str()).join(kind.plural());
                for (name, path) in files(&directory)? {
                    if live.contains(&path) {
                        continue;
                    }
                    let (namespace, is_unknown) = (namespace.clone(), extent.left_out.contains(&kind));
                    let id = ResourceId {
                        kind,
                        namespace,
                        name,
                    };
                    stale.sort_in(path, &id, is_unknown)?;
                }
            }
        }
        Ok(stale)
    }

    fn sort_in(&mut self, path: PathBuf, id: &ResourceId, is_unknown: bool) -> Result<(), Failure> {
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(source) => return Err(Failure::Read { path, source }),
        };
        let Some(yaml) = text.strip_prefix(FIRST_LINE.as_bytes()) else {
            // A stranger's.
            return Ok(());
        };
        let list = match (is_unknown, is_plain(yaml, id)) {
            (true, _) => &mut self.unknown,
            (false, true) => &mut self.plain,
            (false, false) => &mut self.edited,
        };
        list.push(path);
        Ok(())
    }
}

/// Removes `files`, and the directories of an export that are empty then.
///
/// # Errors
/// When the file system does not do it. What is gone by then stays so.
pub(super) fn remove(files: &[PathBuf]) -> Result<(), Failure> {
    for path in files {
        fs::remove_file(path).map_err(|source| Failure::Write {
            path: path.clone(),
            source,
        })?;
        let kind = path.parent();
        for directory in [kind, kind.and_then(Path::parent)].into_iter().flatten() {
            // One that holds anything else is not empty, and stays.
            let _ = fs::remove_dir(directory);
        }
    }
    Ok(())
}

/// Whether this is the manifest of `id`, to the letter as an export writes it.
fn is_plain(yaml: &[u8], id: &ResourceId) -> bool {
    let Ok(text) = std::str::from_utf8(yaml) else {
        return false;
    };
    let Ok(manifest) = serde_saphyr::from_str::<Value>(text) else {
        return false;
    };
    identity(&manifest).is_ok_and(|named| named == *id) && print::yaml(&manifest) == text
}

/// The namespaces that have a directory of their own below `root`, of those that are asked for.
fn namespaces(root: &Path, wanted: Option<&Namespace>) -> Result<Vec<Namespace>, Failure> {
    let named = entries(root)?
        .into_iter()
        .filter(|entry| is_directory(&entry.path()));
    let named = named.filter_map(|entry| entry.file_name().to_str()?.parse::<Namespace>().ok());
    let mut namespaces: Vec<_> = named
        .filter(|one| wanted.is_none_or(|wanted| wanted == one))
        .collect();
    namespaces.sort();
    Ok(namespaces)
}

/// The files of a kind in one namespace, by name.
fn files(directory: &Path) -> Result<Vec<(ObjectName, PathBuf)>, Failure> {
    if !is_directory(directory) {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in entries(directory)? {
        let path = entry.path();
        let is_file = entry.file_type().is_ok_and(|is| is.is_file());
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".yaml"));
        if let Some(name) = name.and_then(|name| name.parse().ok())
            && is_file
        {
            files.push((name, path));
        }
    }
    files.sort();
    Ok(files)
}

/// What lies in a directory; nothing when there is none.
fn entries(directory: &Path) -> Result<Vec<fs::DirEntry>, Failure> {
    let listed = fs::read_dir(directory).and_then(Iterator::collect);
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|source| Failure::Read {
            path: directory.to_owned(),
            source,
        }),
    }
}

/// Whether it is a directory itself, and no link to one.
fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::json;

    use super::*;

    fn written(kind: &str, namespace: &str, name: &str) -> String {
        let manifest =
            json!({"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": {"a": [1.5]}});
        format!("{FIRST_LINE}{}", print::yaml(&manifest))
    }

    fn put(root: &Path, path: &str, text: &str) -> PathBuf {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A tree with everything in it that an export may meet; which files are stale, and which are edited.
    fn tree(root: &Path) -> (PathBuf, PathBuf) {
        let stale = put(
            root,
            "team/backends/old.v1.yaml",
            &written("Backend", "team", "old.v1"),
        );
        let edited = put(
            root,
            "team/backends/edited.yaml",
            &(written("Backend", "team", "edited") + "# by hand\n"),
        );
        for (path, text) in [
            ("team/backends/ours.yaml", "kind: Backend\n".to_owned()),
            ("team/backends/live.yaml", written("Backend", "team", "live")),
            ("team/backends/old.json", written("Backend", "team", "old")),
            ("team/backends/Old.yaml", written("Backend", "team", "Old")),
            ("team/services/old.yaml", written("Service", "team", "old")),
            ("team/old.yaml", written("Backend", "team", "old")),
            ("Team/backends/old.yaml", written("Backend", "Team", "old")),
            ("old.yaml", written("Backend", "team", "old")),
        ] {
            put(root, path, &text);
        }
        symlink(&stale, root.join("team/backends/linked.yaml")).unwrap();
        symlink(root.join("team"), root.join("other")).unwrap();
        symlink(root.join("team/backends"), root.join("team/gateways")).unwrap();
        (stale, edited)
    }

    fn everything() -> Extent<'static> {
        Extent {
            namespace: None,
            left_out: BTreeSet::new(),
        }
    }

    #[test]
    fn only_what_an_export_wrote_and_nobody_has_touched_is_stale() {
        let root = tempfile::tempdir().unwrap();
        let (plain, edited) = tree(root.path());
        let live = BTreeSet::from([root.path().join("team/backends/live.yaml")]);
        let found = Stale::find(root.path(), &everything(), &live).unwrap();
        let expected = Stale {
            plain: vec![plain],
            edited: vec![edited],
            unknown: vec![],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_lies_at_the_place_of_another_resource_was_not_put_there_by_an_export() {
        let root = tempfile::tempdir().unwrap();
        let copied = put(
            root.path(),
            "team/backends/copy.yaml",
            &written("Backend", "team", "old"),
        );
        let moved = put(
            root.path(),
            "other/backends/old.yaml",
            &written("Backend", "team", "old"),
        );
        let found = Stale::find(root.path(), &everything(), &BTreeSet::new()).unwrap();
        assert_eq!((found.plain.len(), found.edited), (0, vec![moved, copied]));
    }

    #[test]
    fn of_kinds_and_namespaces_that_did_not_come_nothing_is_known() {
        let root = tempfile::tempdir().unwrap();
        let backend = put(
            root.path(),
            "team/backends/a.yaml",
            &written("Backend", "team", "a"),
        );
        let route = put(
            root.path(),
            "team/httproutes/a.yaml",
            &written("HTTPRoute", "team", "a"),
        );
        let extent = Extent {
            namespace: None,
            left_out: BTreeSet::from([Kind::Backend]),
        };
        let found = Stale::find(root.path(), &extent, &BTreeSet::new()).unwrap();
        assert_eq!((found.plain, found.unknown), (vec![route], vec![backend]));

        let other = "other".parse().unwrap();
        let extent = Extent {
            namespace: Some(&other),
            left_out: BTreeSet::new(),
        };
        let found = Stale::find(root.path(), &extent, &BTreeSet::new()).unwrap();
        assert_eq!(found, Stale::default());
    }

    #[test]
    fn directories_that_are_empty_then_go_too_and_no_others() {
        let root = tempfile::tempdir().unwrap();
        let alone = put(root.path(), "a/backends/x.yaml", "");
        let beside = put(root.path(), "b/backends/x.yaml", "");
        let note = put(root.path(), "b/note.txt", "");
        remove(&[alone, beside]).unwrap();
        assert!(!root.path().join("a").exists());
        assert!(!root.path().join("b/backends").exists() && note.exists());
        let nowhere = root.path().join("none");
        assert_eq!(
            Stale::find(&nowhere, &everything(), &BTreeSet::new()).unwrap(),
            Stale::default()
        );
    }
}
