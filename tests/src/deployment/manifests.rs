//! Kubernetes manifests, as far as `deploy/kubernetes` uses them. A field that is not known here is an
//! error, so none is there by mistake.

// What fields mean is the Kubernetes API's to say.
#![allow(missing_docs)]

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;

/// Labels, or what they are matched with.
pub type Labels = BTreeMap<String, String>;

/// Declares what is read from a manifest.
macro_rules! manifest {
    ($($name:ident { $($(#[$rename:meta])? $field:ident: $type:ty,)* })*) => {$(
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
        pub struct $name { $($(#[$rename])? pub $field: $type,)* }
    )*};
}

manifest! {
    Metadata { name: String, labels: Labels, }
    Selector { match_labels: Labels, }
    ServiceSpec {
        r#type: String,
        #[serde(rename = "clusterIP")] cluster_ip: String,
        external_traffic_policy: String,
        publish_not_ready_addresses: bool,
        selector: Labels,
        ports: Vec<ServicePort>,
    }
    ServicePort { name: String, port: u16, target_port: Option<Port>, }
    BudgetSpec { min_available: Option<u32>, max_unavailable: Option<u32>, selector: Selector, }
    WorkloadSpec {
        replicas: u32,
        selector: Selector,
        template: Template,
        strategy: Strategy,
        service_name: String,
        pod_management_policy: String,
        volume_claim_templates: Vec<Claim>,
    }
    Strategy { rolling_update: RollingUpdate, }
    RollingUpdate { max_unavailable: u32, max_surge: u32, }
    Claim { metadata: Metadata, spec: ClaimSpec, }
    ClaimSpec { access_modes: Vec<String>, resources: Resources, }
    Template { metadata: TemplateMetadata, spec: PodSpec, }
    TemplateMetadata { labels: Labels, }
    PodSpec {
        service_account_name: String,
        automount_service_account_token: Option<bool>,
        enable_service_links: Option<bool>,
        termination_grace_period_seconds: u64,
        security_context: PodSecurity,
        topology_spread_constraints: Vec<Spread>,
        containers: Vec<Container>,
        volumes: Vec<PodVolume>,
    }
    PodSecurity {
        run_as_non_root: bool,
        run_as_user: u32,
        run_as_group: u32,
        fs_group: u32,
        seccomp_profile: Seccomp,
    }
    Seccomp { r#type: String, }
    Spread { max_skew: u32, topology_key: String, when_unsatisfiable: String, label_selector: Selector, }
    Container {
        name: String,
        image: String,
        command: Vec<String>,
        args: Vec<String>,
        env: Vec<Variable>,
        ports: Vec<ContainerPort>,
        startup_probe: Option<Probe>,
        readiness_probe: Option<Probe>,
        liveness_probe: Option<Probe>,
        lifecycle: Lifecycle,
        resources: Resources,
        security_context: Security,
        volume_mounts: Vec<Mount>,
    }
    Variable { name: String, value: Option<String>, value_from: Option<Source>, }
    Source { field_ref: Option<FieldRef>, secret_key_ref: Option<KeyRef>, }
    FieldRef { field_path: String, }
    KeyRef { name: String, key: String, }
    ContainerPort { name: String, container_port: u16, }
    Probe {
        http_get: Option<HttpGet>,
        exec: Option<Exec>,
        period_seconds: u32,
        failure_threshold: Option<u32>,
    }
    HttpGet { path: String, port: String, }
    Exec { command: Vec<String>, }
    Lifecycle { pre_stop: Option<Hook>, }
    Hook { exec: Exec, }
    Resources { requests: Labels, limits: Labels, }
    Security {
        allow_privilege_escalation: Option<bool>,
        read_only_root_filesystem: bool,
        capabilities: Capabilities,
    }
    Capabilities { drop: Vec<String>, }
    Mount { name: String, mount_path: String, read_only: bool, }
    PodVolume {
        name: String,
        empty_dir: Option<Nothing>,
        secret: Option<SecretVolume>,
        config_map: Option<ConfigMapVolume>,
    }
    Nothing {}
    SecretVolume { secret_name: String, default_mode: Option<u32>, optional: bool, }
    ConfigMapVolume { name: String, default_mode: Option<u32>, items: Vec<Item>, }
    Item { key: String, path: String, }
    PolicySpec {
        pod_selector: Selector,
        policy_types: Vec<String>,
        ingress: Vec<Rule>,
        egress: Vec<Rule>,
    }
    Rule { from: Vec<Peer>, to: Vec<Peer>, ports: Vec<PolicyPort>, }
    Peer { pod_selector: Option<Selector>, namespace_selector: Option<Selector>, }
    PolicyPort { port: Option<Port>, protocol: String, }
    Kustomization {
        api_version: String,
        kind: String,
        namespace: String,
        resources: Vec<String>,
        config_map_generator: Vec<Generator>,
        images: Vec<Image>,
    }
    Generator { name: String, files: Vec<String>, }
    Image { name: String, new_tag: String, }
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Port {
    Number(u16),
    Name(String),
}

/// A document of a kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Object<S> {
    api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    pub metadata: Metadata,
    pub spec: S,
}

/// A document that says something beside `spec`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServiceAccount {
    api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    pub metadata: Metadata,
    #[serde(default)]
    pub automount_service_account_token: Option<bool>,
}

/// All that `deploy/kubernetes` makes.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    pub namespaces: Vec<Metadata>,
    pub accounts: Vec<ServiceAccount>,
    pub services: Vec<Object<ServiceSpec>>,
    pub budgets: Vec<Object<BudgetSpec>>,
    /// Deployments and StatefulSets.
    pub workloads: Vec<Object<WorkloadSpec>>,
    pub policies: Vec<Object<PolicySpec>>,
}

impl Manifests {
    /// Adds a document.
    ///
    /// # Errors
    /// When it is not of a kind that is known here, or has a field that its kind has not.
    pub(super) fn add(&mut self, document: Value) -> anyhow::Result<()> {
        let kind = document["kind"].as_str().context("no kind")?.to_owned();
        let version = match kind.as_str() {
            "Namespace" | "ServiceAccount" => {
                let object: ServiceAccount = serde_json::from_value(document)?;
                let version = object.api_version.clone();
                match kind.as_str() {
                    "Namespace" => self.namespaces.push(object.metadata),
                    _ => self.accounts.push(object),
                }
                version
            }
            "Service" => push(&mut self.services, document)?,
            "PodDisruptionBudget" => push(&mut self.budgets, document)?,
            "Deployment" | "StatefulSet" => push(&mut self.workloads, document)?,
            "NetworkPolicy" => push(&mut self.policies, document)?,
            other => anyhow::bail!("unknown kind {other}"),
        };
        let wanted = match kind.as_str() {
            "Deployment" | "StatefulSet" => "apps/v1",
            "PodDisruptionBudget" => "policy/v1",
            "NetworkPolicy" => "networking.k8s.io/v1",
            _ => "v1",
        };
        ensure!(version == wanted, "{kind}: {version}");
        Ok(())
    }
}

/// Adds the document; its version.
fn push<S: serde::de::DeserializeOwned>(
    objects: &mut Vec<Object<S>>,
    document: Value,
) -> anyhow::Result<String> {
    let object: Object<S> = serde_json::from_value(document)?;
    let version = object.api_version.clone();
    objects.push(object);
    Ok(version)
}
