//! The manifests of `deploy/kubernetes`, read as kustomize and the kubelet read them.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::image;
use super::manifests::{Container, Kustomization, Manifests, Object, PodSpec, Variable, WorkloadSpec};
use super::pod::{Files, Pod, Volume};

/// All documents of the directory, and the files that it makes ConfigMaps of.
#[derive(Debug)]
pub struct Kubernetes {
    /// The documents.
    pub manifests: Manifests,
    maps: Objects,
    images: BTreeMap<String, String>,
}

/// What Secrets or ConfigMaps hold, by their name and the name of the file.
pub type Objects = BTreeMap<String, BTreeMap<String, String>>;

/// Reads `deploy/kubernetes`.
///
/// # Errors
/// When a file is missing, is not named in the kustomization, or says something that is not known.
pub fn kubernetes() -> anyhow::Result<Kubernetes> {
    let directory = super::directory().join("kubernetes");
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).with_context(|| name.to_owned());
    // As Kubernetes reads YAML: 0440 is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let kustomization: Kustomization = serde_saphyr::from_str(&read("kustomization.yaml")?)?;
    let mut manifests = Manifests::default();
    for file in &kustomization.resources {
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(&read(file)?, options.clone())?;
        for document in documents {
            manifests.add(document).with_context(|| file.clone())?;
        }
    }
    let mut maps = Objects::new();
    let mut known = kustomization.resources;
    known.push("kustomization.yaml".to_owned());
    for generator in kustomization.config_map_generator {
        let map = maps.entry(generator.name).or_default();
        for file in generator.files {
            map.insert(file.clone(), read(&file)?);
            known.push(file);
        }
    }
    for entry in std::fs::read_dir(&directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !known.contains(&name) {
            bail!("{name} is not in the kustomization");
        }
    }
    let images = kustomization.images.into_iter();
    Ok(Kubernetes {
        manifests,
        maps,
        images: images.map(|image| (image.name, image.new_tag)).collect(),
    })
}

impl Object<WorkloadSpec> {
    /// What its pods are.
    pub fn pod(&self) -> &PodSpec {
        &self.spec.template.spec
    }

    /// Names of its pods, as a StatefulSet gives them.
    pub fn pods(&self) -> Vec<String> {
        let name = &self.metadata.name;
        (0..self.spec.replicas)
            .map(|number| format!("{name}-{number}"))
            .collect()
    }
}

impl Kubernetes {
    /// The workload of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn workload(&self, name: &str) -> anyhow::Result<&Object<WorkloadSpec>> {
        let mut workloads = self.manifests.workloads.iter();
        let found = workloads.find(|workload| workload.metadata.name == name);
        found.with_context(|| format!("no workload {name}"))
    }

    /// The tag that the kustomization gives an image.
    pub fn tag(&self, image: &str) -> Option<&str> {
        self.images.get(image).map(String::as_str)
    }

    /// The pod `name` of a workload with one container, with what its Secrets hold.
    ///
    /// # Errors
    /// When something that it wants is not given.
    pub fn pod(&self, workload: &Object<WorkloadSpec>, name: &str, secrets: &Objects) -> anyhow::Result<Pod> {
        let spec = workload.pod();
        let [container] = &spec.containers[..] else {
            bail!("{name} has not one container")
        };
        let env = container
            .env
            .iter()
            .map(|variable| value(variable, name, secrets));
        let env = env.collect::<anyhow::Result<Vec<_>>>()?;
        let value = |name: &str| Some(env.iter().find(|(known, _)| known == name)?.1.clone());
        let expanded = |argument: &String| super::expand(argument, ("$(", ")"), value);
        let mut argv = match container.command.is_empty() {
            true => image::entrypoint(&container.image)?,
            false => container
                .command
                .iter()
                .map(expanded)
                .collect::<anyhow::Result<_>>()?,
        };
        for argument in &container.args {
            argv.push(expanded(argument)?);
        }
        let claims = &workload.spec.volume_claim_templates;
        let is_claim = |name: &str| claims.iter().any(|claim| claim.metadata.name == name);
        Ok(Pod {
            argv,
            volumes: self.volumes(spec, container, secrets, is_claim)?,
            user: spec.security_context.run_as_user,
            group: spec.security_context.run_as_group,
            capabilities: Vec::new(),
            name: name.to_owned(),
            env,
        })
    }

    fn volumes(
        &self,
        spec: &PodSpec,
        container: &Container,
        secrets: &Objects,
        is_claim: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Vec<Volume>> {
        let owner = (0, spec.security_context.fs_group);
        let mut volumes = Vec::new();
        for mount in &container.volume_mounts {
            let declared = spec.volumes.iter().find(|volume| volume.name == mount.name);
            let files = match declared.map(|volume| (&volume.secret, &volume.config_map)) {
                Some((Some(secret), _)) => {
                    let files = secrets.get(&secret.secret_name);
                    if files.is_none() && !secret.optional {
                        bail!("no Secret {}", secret.secret_name);
                    }
                    let mode = secret.default_mode.context("a Secret that all may read")?;
                    let texts = files.cloned().unwrap_or_default().into_iter().collect();
                    Some(Files { texts, mode, owner })
                }
                Some((None, Some(map))) => {
                    let files = self.maps.get(&map.name).context("no such ConfigMap")?;
                    let text = |key: &str| files.get(key).cloned().with_context(|| format!("no key {key}"));
                    let texts = map
                        .items
                        .iter()
                        .map(|item| Ok((item.path.clone(), text(&item.key)?)));
                    let texts = texts.collect::<anyhow::Result<_>>()?;
                    let mode = map.default_mode.unwrap_or(0o644);
                    Some(Files { texts, mode, owner })
                }
                Some((None, None)) => None,
                None if is_claim(&mount.name) => None,
                None => bail!("no volume {}", mount.name),
            };
            volumes.push(match files {
                Some(files) => Volume::files(&mount.mount_path, files),
                None => Volume::directory(&mount.mount_path, owner, 0o2775),
            });
        }
        Ok(volumes)
    }
}

/// A variable and its value in the pod `name`.
fn value(variable: &Variable, name: &str, secrets: &Objects) -> anyhow::Result<(String, String)> {
    let source = variable.value_from.as_ref();
    let field = source.and_then(|source| source.field_ref.as_ref());
    let key = source.and_then(|source| source.secret_key_ref.as_ref());
    let value = match (&variable.value, field, key) {
        (Some(value), None, None) => value.clone(),
        (None, Some(field), None) if field.field_path == "metadata.name" => name.to_owned(),
        (None, None, Some(key)) => {
            let value = secrets.get(&key.name).and_then(|secret| secret.get(&key.key));
            value
                .with_context(|| format!("no key {} of {}", key.key, key.name))?
                .clone()
        }
        _ => bail!("{variable:?}"),
    };
    Ok((variable.name.clone(), value))
}
