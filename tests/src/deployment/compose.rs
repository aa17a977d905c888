//! The services of `deploy/compose/compose.yaml`. A field that is not known here is an error.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::image;
use super::pod::{Pod, Volume};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "name")]
    _name: String,
    services: BTreeMap<String, Service>,
    networks: BTreeMap<String, Nothing>,
    secrets: BTreeMap<String, Secret>,
    volumes: BTreeMap<String, Option<Nothing>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    file: String,
}

/// A service, as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Service {
    pub image: String,
    pub build: Option<Build>,
    pub user: Option<String>,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub env_file: Vec<String>,
    pub secrets: Vec<String>,
    pub volumes: Vec<String>,
    pub tmpfs: Vec<String>,
    pub ports: Vec<String>,
    pub networks: Vec<String>,
    pub depends_on: BTreeMap<String, Dependency>,
    pub healthcheck: Healthcheck,
    pub read_only: bool,
    pub cap_drop: Vec<String>,
    pub security_opt: Vec<String>,
    pub stop_signal: Option<String>,
    pub stop_grace_period: String,
    pub restart: String,
}

/// How an image is made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Build {
    pub context: String,
    pub dockerfile: String,
}

/// What a service waits for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Dependency {
    pub condition: String,
}

/// What is asked to know that a service is well.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Healthcheck {
    pub test: Vec<String>,
    pub interval: String,
    pub retries: u32,
}

/// Reads the services. `given` is the directory with the folder `secrets`.
///
/// # Errors
/// When the file does not read, or names something that is not there.
pub fn compose(given: &Path) -> anyhow::Result<Vec<(Pod, Service)>> {
    let file = std::fs::read_to_string(super::directory().join("compose/compose.yaml"))?;
    let file: File = serde_saphyr::from_str(&file)?;
    let pods = file.services.iter().map(|(name, service)| {
        let pod = file.pod(name, service, given).with_context(|| name.clone())?;
        Ok((pod, service.clone()))
    });
    pods.collect()
}

impl File {
    fn pod(&self, name: &str, service: &Service, given: &Path) -> anyhow::Result<Pod> {
        let (user, group) = user(service)?;
        let mut argv = match service.entrypoint.is_empty() {
            true => image::entrypoint(&service.image)?,
            false => service.entrypoint.clone(),
        };
        argv.extend_from_slice(&service.command);
        let mut env: Vec<_> = service.environment.clone().into_iter().collect();
        for path in &service.env_file {
            env.extend(super::variables(
                &std::fs::read_to_string(given.join(path)).context(path.clone())?,
            ));
        }
        for network in &service.networks {
            self.networks.get(network).context("no such network")?;
        }
        Ok(Pod {
            name: name.to_owned(),
            argv,
            env,
            volumes: self.volumes(service, (user, group), given)?,
            user,
            group,
            capabilities: Vec::new(),
        })
    }

    fn volumes(&self, service: &Service, owner: (u32, u32), given: &Path) -> anyhow::Result<Vec<Volume>> {
        let mut volumes = Vec::new();
        for name in &service.secrets {
            let secret = self
                .secrets
                .get(name)
                .with_context(|| format!("no secret {name}"))?;
            let inside = format!("/run/secrets/{name}");
            volumes.push(Volume::outside(&inside, &given.join(&secret.file), false));
        }
        for mount in &service.volumes {
            let parts: Vec<_> = mount.split(':').collect();
            volumes.push(match parts[..] {
                [file, inside, "ro"] if file.starts_with("../") => {
                    Volume::outside(inside, &super::directory().join("compose").join(file), false)
                }
                [name, inside] if self.volumes.contains_key(name) => Volume::directory(inside, owner, 0o755),
                _ => bail!("{mount}"),
            });
        }
        for mount in &service.tmpfs {
            let (path, options) = mount.split_once(':').unwrap_or((mount, "uid=0,gid=0,mode=1777"));
            let option = |name: &str| {
                let mut options = options.split(',').filter_map(|option| option.split_once('='));
                options
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| value)
                    .context("an option")
            };
            let owner = (option("uid")?.parse()?, option("gid")?.parse()?);
            volumes.push(Volume::directory(
                path,
                owner,
                u32::from_str_radix(option("mode")?, 8)?,
            ));
        }
        Ok(volumes)
    }
}

/// User and group: those of the service, or of its image.
fn user(service: &Service) -> anyhow::Result<(u32, u32)> {
    match (&service.user, service.image.as_str()) {
        (Some(user), _) => {
            let (user, group) = user.split_once(':').context("no group")?;
            Ok((user.parse()?, group.parse()?))
        }
        (None, image) if image.starts_with("sluice:") => Ok((10_001, 10_001)),
        (None, _) => Ok((0, 0)),
    }
}
