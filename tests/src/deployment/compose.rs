//! The services of `deploy/compose/compose.yaml`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

use super::kubernetes::{items, text};
use super::pod::{Pod, Volume};

/// Whom the image's programs run as.
const USER: u32 = 10_001;

/// Reads the services; `secrets` has what operators put below `secrets/`, by name of the file.
///
/// # Errors
/// When the file does not read, or asks for a secret that is not given.
pub fn compose(secrets: &BTreeMap<String, String>) -> anyhow::Result<Vec<Pod>> {
    let file = std::fs::read_to_string(super::directory().join("compose/compose.yaml"))?;
    let file: Value = serde_saphyr::from_str(&file)?;
    let services = file["services"].as_object().context("no services")?;
    services
        .iter()
        .map(|(name, service)| pod(name, service, &file, secrets).with_context(|| name.clone()))
        .collect()
}

fn pod(
    name: &str,
    service: &Value,
    file: &Value,
    secrets: &BTreeMap<String, String>,
) -> anyhow::Result<Pod> {
    // `<<: *name` takes over what the service does not say itself.
    let merged = |key: &str| match &service[key] {
        Value::Null => &service["<<"][key],
        own => own,
    };
    let secret = |path: &str| {
        let name = path.strip_prefix("secrets/").context("outside of secrets/")?;
        let value = secrets.get(name).cloned();
        value.with_context(|| format!("no secret {name}"))
    };
    let mut volumes = Vec::new();
    for name in items(merged("secrets")) {
        let name = text(name)?;
        let value = secret(text(&file["secrets"][name]["file"])?)?;
        volumes.push(Volume {
            files: vec![(name.to_owned(), value)],
            path: format!("/run/secrets/{name}"),
            single: true,
        });
    }
    for mount in items(merged("volumes")) {
        let (name, path) = text(mount)?.split_once(':').context("a volume without a path")?;
        file["volumes"].get(name).with_context(|| format!("no volume {name}"))?;
        volumes.push(Volume {
            files: Vec::new(),
            path: path.to_owned(),
            single: false,
        });
    }
    let mut env = Vec::new();
    for path in items(merged("env_file")) {
        let lines = secret(text(path)?)?;
        let pairs = lines.lines().filter_map(|line| line.split_once('='));
        env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    let argv = items(merged("entrypoint")).chain(items(merged("command")));
    Ok(Pod {
        name: name.to_owned(),
        argv: argv
            .map(|argument| Ok(text(argument)?.to_owned()))
            .collect::<anyhow::Result<_>>()?,
        env,
        volumes,
        user: USER,
        capabilities: Vec::new(),
    })
}
