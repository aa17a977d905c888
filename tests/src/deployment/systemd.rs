//! The units of `deploy/systemd`, as far as they say what is run, with what.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::pod::{Pod, Volume};

/// Whom `DynamicUser=` makes.
const USER: u32 = 61_184;

/// Reads a unit for a host of this name; `files` has what operators put on it, by path.
///
/// # Errors
/// When it does not read, or names a file that is not given.
pub fn unit(name: &str, host: &str, files: &BTreeMap<String, String>) -> anyhow::Result<Pod> {
    let text = std::fs::read_to_string(super::directory().join("systemd").join(name))?;
    let text = text.replace("\\\n", " ");
    let settings = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let values = lines.filter(|(name, _)| *name == key).map(|(_, value)| value.to_owned());
        values.collect::<Vec<_>>()
    };
    let file = |path: &str| files.get(path).cloned().with_context(|| format!("no file {path}"));

    let credentials = format!("/run/credentials/{name}");
    let mut loaded = Vec::new();
    for credential in settings("LoadCredential") {
        let (name, path) = credential.split_once(':').context("a credential without a path")?;
        loaded.push((name.to_owned(), file(path)?));
    }
    let mut volumes = vec![Volume {
        files: loaded,
        path: credentials.clone(),
        single: false,
    }];
    let mut env = Vec::new();
    for path in settings("EnvironmentFile") {
        let lines = file(&path)?;
        let pairs = lines.lines().filter_map(|line| line.split_once('='));
        env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    env.push(("CREDENTIALS_DIRECTORY".to_owned(), credentials));
    for directory in settings("StateDirectory") {
        let path = format!("/var/lib/{directory}");
        env.push(("STATE_DIRECTORY".to_owned(), path.clone()));
        volumes.push(Volume {
            files: Vec::new(),
            path,
            single: false,
        });
    }
    let value = |name: &str| Some(env.iter().find(|(known, _)| known == name)?.1.clone());
    let start = settings("ExecStart").pop().context("no ExecStart")?;
    let argv = start.split_whitespace().map(|argument| {
        let argument = argument.replace("%H", host);
        super::expand(&argument, ("${", "}"), value)
    });
    let capabilities = settings("AmbientCapabilities");
    let capabilities = capabilities.iter().flat_map(|line| line.split_whitespace());
    Ok(Pod {
        name: host.to_owned(),
        argv: argv.collect::<anyhow::Result<_>>()?,
        capabilities: capabilities
            .map(|name| name.trim_start_matches("CAP_").to_lowercase())
            .collect(),
        env,
        volumes,
        user: USER,
    })
}
