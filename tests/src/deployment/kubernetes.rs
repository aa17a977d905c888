//! The manifests of `deploy/kubernetes`, read as the kubelet reads them.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::pod::{Pod, Volume};

/// All documents of the directory, in the order of the kustomization.
#[derive(Debug)]
pub struct Kubernetes {
    documents: Vec<Value>,
    images: Value,
}

/// What operators make by hand, by name of the Secret.
type Secrets = BTreeMap<String, BTreeMap<String, String>>;

/// Reads `deploy/kubernetes`.
///
/// # Errors
/// When a file is missing, is not named in the kustomization, or does not read.
pub fn kubernetes() -> anyhow::Result<Kubernetes> {
    let directory = super::directory().join("kubernetes");
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).with_context(|| name.to_owned());
    let mut kustomization: Value = serde_saphyr::from_str(&read("kustomization.yaml")?)?;
    let mut files: Vec<String> = serde_json::from_value(kustomization["resources"].take())?;
    let mut documents = Vec::new();
    for file in &files {
        documents.extend(serde_saphyr::from_multiple::<Value>(&read(file)?).with_context(|| file.clone())?);
    }
    files.push("kustomization.yaml".to_owned());
    for entry in std::fs::read_dir(&directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !files.contains(&name) {
            bail!("{name} is not in the kustomization");
        }
    }
    Ok(Kubernetes {
        documents,
        images: kustomization["images"].take(),
    })
}

impl Kubernetes {
    /// The documents of a kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.documents
            .iter()
            .filter(move |document| document["kind"] == kind)
    }

    /// What runs pods.
    pub fn workloads(&self) -> impl Iterator<Item = &Value> {
        self.of_kind("Deployment").chain(self.of_kind("StatefulSet"))
    }

    /// The workload of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn workload(&self, name: &str) -> anyhow::Result<&Value> {
        self.workloads()
            .find(|workload| workload["metadata"]["name"] == name)
            .with_context(|| format!("no workload {name}"))
    }

    /// The image that a container's name of one stands for.
    pub fn image(&self, name: &str) -> Option<String> {
        let images = self.images.as_array()?;
        let image = images.iter().find(|image| image["name"] == name)?;
        Some(format!("{name}:{}", image["newTag"].as_str()?))
    }

    /// The pod of this number of a workload, with what its Secrets hold.
    ///
    /// # Errors
    /// When something in it is not understood here, or not given.
    pub fn pod(&self, workload: &Value, number: usize, secrets: &Secrets) -> anyhow::Result<Pod> {
        let name = format!("{}-{number}", text(&workload["metadata"]["name"])?);
        let spec = &workload["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let mut env = Vec::new();
        for variable in items(&container["env"]) {
            let value = match (&variable["value"], &variable["valueFrom"]) {
                (Value::String(value), _) => value.clone(),
                (_, from) if from["fieldRef"]["fieldPath"] == "metadata.name" => name.clone(),
                (_, from) => {
                    let reference = &from["secretKeyRef"];
                    let secret = secrets.get(text(&reference["name"])?);
                    let value = secret.and_then(|secret| secret.get(reference["key"].as_str()?));
                    value.with_context(|| format!("{variable}"))?.clone()
                }
            };
            env.push((text(&variable["name"])?.to_owned(), value));
        }
        let mut argv = Vec::new();
        for argument in items(&container["command"]).chain(items(&container["args"])) {
            let value = |name: &str| Some(env.iter().find(|(known, _)| known == name)?.1.clone());
            argv.push(super::expand(text(argument)?, ("$(", ")"), value)?);
        }
        let volumes = items(&container["volumeMounts"]).map(|mount| volume(spec, mount, secrets));
        let user = &spec["securityContext"]["runAsUser"];
        Ok(Pod {
            volumes: volumes.collect::<anyhow::Result<_>>()?,
            user: u32::try_from(user.as_u64().with_context(|| format!("{name}: no runAsUser"))?)?,
            capabilities: Vec::new(),
            name,
            argv,
            env,
        })
    }
}

/// What is mounted: the files of a Secret, or an empty directory.
fn volume(spec: &Value, mount: &Value, secrets: &Secrets) -> anyhow::Result<Volume> {
    let declared = items(&spec["volumes"]).find(|volume| volume["name"] == mount["name"]);
    let files = match declared.map(|volume| &volume["secret"]) {
        Some(secret @ Value::Object(_)) => {
            let name = text(&secret["secretName"])?;
            let files = secrets.get(name);
            if files.is_none() && secret["optional"] != true {
                bail!("no Secret {name}");
            }
            files.cloned().unwrap_or_default().into_iter().collect()
        }
        Some(_) | None => Vec::new(),
    };
    Ok(Volume {
        files,
        path: text(&mount["mountPath"])?.to_owned(),
        single: false,
    })
}

/// The elements of a list; none where there is no list.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}
