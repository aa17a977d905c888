//! Manifests from files, directories and standard input, as one body for the control plane.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sluice_intent::{Format, Namespace};

use crate::client::{Problem, Violation};
use crate::failure::Failure;

/// Endings of the files that are taken from a directory.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// How much of a directory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What lies directly in it.
    Directory,
    /// What lies below it, too, but for hidden directories.
    Tree,
}

/// What was read: each file under its name, in order.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Source>);

#[derive(Debug)]
struct Source {
    name: PathBuf,
    /// YAML documents, whatever the file was written in.
    documents: Vec<u8>,
}

impl Sources {
    /// Reads what `-f` names: files, directories and `-`, in the order given.
    ///
    /// # Errors
    /// When one of them cannot be read, or a directory holds no manifest.
    pub(crate) fn read(names: &[PathBuf], depth: Depth) -> Result<Self, Failure> {
        let mut sources = Vec::new();
        for name in names {
            if name == Path::new("-") {
                sources.push(Source::standard_input()?);
            } else if name.is_dir() {
                for file in manifests_in(name, depth)? {
                    sources.push(Source::file(file)?);
                }
            } else {
                sources.push(Source::file(name.clone())?);
            }
        }
        Ok(Self(sources))
    }

    /// Manifests that are part of this program.
    pub(crate) fn embedded(name: &str, documents: String) -> Self {
        Self(vec![Source {
            name: name.into(),
            documents: documents.into_bytes(),
        }])
    }

    /// All of it as one stream of YAML documents.
    pub(crate) fn body(&self) -> Vec<u8> {
        let documents: Vec<_> = self.0.iter().map(|source| source.documents.as_slice()).collect();
        documents.join(b"\n---\n".as_slice())
    }

    /// Puts the names of files into violations that know only their place in the whole input
    /// (`input`, `document[7]`). Whether something is wrong is the control plane's word; the files
    /// are read here only to find where, so when nothing is found the violations stay as they are.
    pub(crate) fn locate(&self, mut problem: Problem, namespace: &Namespace) -> Problem {
        if problem
            .violations
            .iter()
            .any(|violation| is_placeless(&violation.resource))
        {
            let mut located: Vec<_> = self
                .0
                .iter()
                .flat_map(|source| source.placeless_violations(namespace))
                .collect();
            if !located.is_empty() {
                problem
                    .violations
                    .retain(|violation| !is_placeless(&violation.resource));
                located.append(&mut problem.violations);
                problem.violations = located;
            }
        }
        problem
    }
}

/// Whether a violation names a place in the input, because it could not tell the resource.
fn is_placeless(resource: &str) -> bool {
    resource == "input" || resource.starts_with("document[")
}

impl Source {
    fn standard_input() -> Result<Self, Failure> {
        let name = PathBuf::from("standard input");
        let mut documents = Vec::new();
        match io::stdin().lock().read_to_end(&mut documents) {
            Ok(_) => Ok(Self { name, documents }),
            Err(source) => Err(Failure::Read { path: name, source }),
        }
    }

    fn file(name: PathBuf) -> Result<Self, Failure> {
        let documents = match fs::read(&name) {
            Ok(bytes) => bytes,
            Err(source) => return Err(Failure::Read { path: name, source }),
        };
        match name.extension().is_some_and(|ending| ending == "json") {
            true => Self::json(name, &documents),
            false => Ok(Self { name, documents }),
        }
    }

    /// JSON values one after the other become YAML documents: JSON on one line is YAML, too.
    fn json(name: PathBuf, bytes: &[u8]) -> Result<Self, Failure> {
        let mut documents = Vec::new();
        for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Value>() {
            match value {
                Ok(value) => documents.push(value.to_string()),
                Err(source) => return Err(Failure::Json { path: name, source }),
            }
        }
        let documents = documents.join("\n---\n").into_bytes();
        Ok(Self { name, documents })
    }

    fn placeless_violations(&self, namespace: &Namespace) -> Vec<Violation> {
        let found = sluice_intent::parse(&self.documents, Format::Yaml, namespace.as_str());
        let found = found.err().unwrap_or_default().into_iter();
        found
            .filter(|violation| is_placeless(&violation.resource))
            .map(|violation| Violation {
                resource: format!("{}: {}", self.name.display(), violation.resource),
                ..Violation::from(&violation)
            })
            .collect()
    }
}

/// The manifests in `directory`, sorted by path.
fn manifests_in(directory: &Path, depth: Depth) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        let listed = fs::read_dir(&next).and_then(|entries| sort_out(entries, &mut files, &mut waiting));
        let link = listed.map_err(|source| Failure::Read { path: next, source })?;
        match (depth, link) {
            (Depth::Directory, _) => break,
            (Depth::Tree, Some(link)) => return Err(Failure::Link(link)),
            (Depth::Tree, None) => {}
        }
    }
    if files.is_empty() {
        return Err(Failure::NoManifests(directory.into()));
    }
    files.sort();
    Ok(files)
}

/// Adds the manifests among `entries`, and the directories below; a link to a directory, if there is one. It
/// may lead back up, so it is not followed; what lies behind it would be missed in silence.
fn sort_out(
    entries: fs::ReadDir,
    files: &mut Vec<PathBuf>,
    directories: &mut Vec<PathBuf>,
) -> io::Result<Option<PathBuf>> {
    let mut link = None;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if entry.file_type()?.is_dir() {
            if !is_hidden {
                directories.push(path);
            }
        } else if path.is_dir() {
            if !is_hidden {
                link = Some(path);
            }
        } else if ending.is_some_and(|ending| ENDINGS.contains(&ending)) {
            files.push(path);
        }
    }
    Ok(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(name: &str) -> String {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\n\
             spec: {{gatewayClassName: sluice, listeners: [{{name: http, port: 80, protocol: HTTP}}]}}\n"
        )
    }

    fn names(body: &[u8]) -> Vec<String> {
        let resources = sluice_intent::parse(body, Format::Yaml, "default").unwrap();
        resources
            .iter()
            .map(|resource| resource.id.name.to_string())
            .collect()
    }

    #[test]
    fn a_directory_gives_its_manifests_in_order_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        let json = |name| {
            sluice_intent::parse(gateway(name).as_bytes(), Format::Yaml, "default").unwrap()[0].to_json()
        };
        write("b.yml", &gateway("second"));
        write("a.yaml", &format!("---\n{}", gateway("first")));
        write("c.json", &format!("{:#}\n{}", json("third"), json("fourth")));
        write("README.md", "not: [a manifest");
        fs::create_dir(directory.path().join("deeper.yaml")).unwrap();
        let sources = Sources::read(&[directory.path().into()], Depth::Directory).unwrap();
        assert_eq!(names(&sources.body()), ["first", "second", "third", "fourth"]);
    }

    #[test]
    fn a_directory_without_manifests_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let read = Sources::read(&[directory.path().into()], Depth::Directory);
        assert!(matches!(read, Err(Failure::NoManifests(_))));
    }

    #[test]
    fn a_tree_gives_all_that_lies_below_and_is_not_hidden() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let name = path.rsplit('/').next().unwrap().trim_end_matches(".yaml");
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, gateway(name)).unwrap();
        };
        for path in [
            "b/deep/second.yaml",
            "a/first.yaml",
            "third.yaml",
            ".github/ci.yaml",
        ] {
            write(path);
        }
        let link = |name| std::os::unix::fs::symlink(directory.path(), directory.path().join(name)).unwrap();
        link("a/.up");
        let read = |depth| Sources::read(&[directory.path().into()], depth);
        let found = |depth| names(&read(depth).unwrap().body());
        assert_eq!(found(Depth::Tree), ["first", "second", "third"]);
        assert_eq!(found(Depth::Directory), ["third"]);
        link("a/up");
        let refused = read(Depth::Tree);
        assert!(
            matches!(&refused, Err(Failure::Link(path)) if path.ends_with("a/up")),
            "{refused:?}"
        );
    }

    #[test]
    fn a_violation_that_has_no_resource_is_given_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let (good, bad) = (directory.path().join("a.yaml"), directory.path().join("b.yaml"));
        fs::write(&good, gateway("edge")).unwrap();
        fs::write(&bad, "metadata: {name: x}\n").unwrap();
        let sources = Sources::read(&[good, bad.clone()], Depth::Directory).unwrap();
        let refusal = sluice_intent::parse(&sources.body(), Format::Yaml, "default").unwrap_err();
        let violations = refusal.into_iter().map(|violation| Violation {
            resource: violation.resource,
            ..Violation::default()
        });
        let problem = Problem {
            violations: violations.collect(),
            ..Problem::default()
        };
        let located = sources.locate(problem, &"default".parse().unwrap());
        let expected = format!("{}: document[0]", bad.display());
        assert!(
            located
                .violations
                .iter()
                .all(|violation| violation.resource == expected)
        );
        assert!(!located.violations.is_empty());
    }
}
