//! A resource as it is kept: what the user wrote, and what the server adds to it.

use serde_json::{Value, json};
use sluice_intent::{CARRIED_AGE, CARRIED_SLOTS, Kind, LintPolicySpec, Resource, Spec};
use sluice_model::{Revision, Secret};
use thiserror::Error;

use super::allocation::Allocation;

/// The field of a Secret that holds its values.
const VALUES: &str = "data";
/// The field of the stored status that holds an age which is no revision of ours so far.
const AGE: &str = "age";

/// One resource of a [`World`](super::World).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// What the user wrote.
    pub resource: Resource,
    /// The revision that created it, or the age that it was brought along with: decides which of two is older.
    pub created: Revision,
    /// The revision that gave it this content.
    pub revision: Revision,
    /// Of an Experiment: which slot belongs to which variant.
    pub allocation: Option<Allocation>,
}

/// A resource as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What everyone may read, as JSON.
    pub manifest: String,
    /// The revision that it counts as created by; no later one than that of its content.
    pub created: Revision,
    /// The values of a Secret, to be sealed.
    pub secret: Option<Secret<Vec<u8>>>,
}

/// Why a stored manifest cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IntentError {
    /// Not JSON, or not a manifest that this build reads.
    #[error("a stored manifest does not read")]
    Manifest,
    /// An Experiment whose slot table is missing or does not fit its variants.
    #[error("a stored slot table does not fit its experiment")]
    Slots,
}

impl Intent {
    /// Reads what [`Intent::to_stored`] wrote.
    ///
    /// # Errors
    /// When it was written by something else.
    pub fn from_stored(
        manifest: &str,
        secret: Option<&Secret<Vec<u8>>>,
        created: Revision,
        revision: Revision,
    ) -> Result<Self, IntentError> {
        let mut manifest: Value = serde_json::from_str(manifest).map_err(|_| IntentError::Manifest)?;
        if let (Some(secret), Some(members)) = (secret, manifest.as_object_mut()) {
            let values = serde_json::from_slice(secret.expose()).map_err(|_| IntentError::Manifest)?;
            members.insert(VALUES.into(), values);
        }
        // Replicas of two versions share a store for a while; what the older one does not look for it cannot find.
        if manifest.get("kind").and_then(Value::as_str) == Some(Kind::LintPolicy.as_str())
            && let Some(spec) = manifest.get_mut("spec")
        {
            LintPolicySpec::forget_unknown(spec);
        }
        let status = manifest.get("status").cloned().unwrap_or_default();
        // Stored beside it only where it was brought along and no revision of ours could be its age.
        let created = status.get(AGE).and_then(Value::as_u64).map_or(created, Revision);
        // The status is the server's: reading a manifest skips it.
        let resource = Resource::from_json(manifest, "default").map_err(|violations| {
            tracing::error!(?violations, "a stored manifest does not read");
            IntentError::Manifest
        })?;
        let allocation = match &resource.spec {
            Spec::Experiment(spec) => Some(Allocation::from_status(&status, spec).ok_or(IntentError::Slots)?),
            _ => None,
        };
        Ok(Self {
            resource,
            created,
            revision,
            allocation,
        })
    }

    /// The manifest as it is stored: with the slot table, so that it travels with every revision,
    /// every rollback and every replica, and with the values of a Secret apart from it.
    pub fn to_stored(&self) -> Stored {
        let mut manifest = self.resource.to_json();
        if let Some(allocation) = self.slots() {
            manifest["status"] = allocation;
        }
        if self.created > self.revision {
            manifest["status"][AGE] = self.created.0.into();
        }
        Stored {
            manifest: manifest.to_string(),
            created: self.created.min(self.revision),
            secret: self.values(),
        }
    }

    /// The manifest as users see it: what they wrote, and a status with these conditions.
    pub fn to_view(&self, conditions: Value) -> Value {
        let mut manifest = self.resource.to_json();
        if let Some(metadata) = manifest.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".into(), self.revision.to_string().into());
        }
        let mut status = self.slots().unwrap_or_else(|| json!({}));
        status["creationRevision"] = self.created.0.into();
        status["conditions"] = conditions;
        if let Some(members) = manifest.as_object_mut() {
            members.insert("status".into(), status);
        }
        manifest
    }

    /// The manifest as it is exported: what users wrote, of an Experiment its slot table, and the age of what the
    /// older one of wins. Applied to another control plane, or to this one, it gives the same. The values of a
    /// Secret are not in it.
    pub fn to_export(&self) -> Value {
        let mut manifest = self.resource.to_json();
        if let (Some(allocation), Spec::Experiment(spec)) = (&self.allocation, &self.resource.spec) {
            let slots = allocation.to_carried(spec).to_text();
            manifest["metadata"]["annotations"][CARRIED_SLOTS] = slots.into();
        }
        if self.resource.id.kind.is_aged() {
            manifest["metadata"]["annotations"][CARRIED_AGE] = self.created.to_string().into();
        }
        manifest
    }

    /// Whether both say the same, whenever it was said.
    pub fn same_content(&self, other: &Self) -> bool {
        self.resource == other.resource
            && self.created == other.created
            && self.allocation == other.allocation
    }

    /// The values of a Secret.
    fn values(&self) -> Option<Secret<Vec<u8>>> {
        if self.resource.id.kind != Kind::Secret {
            return None;
        }
        let revealed = self.resource.to_json_revealed();
        // Without any there is still something to seal: so every Secret has a sealed part.
        let values = revealed.get(VALUES).map_or_else(|| "{}".into(), Value::to_string);
        Some(Secret::new(values.into_bytes()))
    }

    fn slots(&self) -> Option<Value> {
        match (&self.allocation, &self.resource.spec) {
            (Some(allocation), Spec::Experiment(spec)) => Some(allocation.to_status(spec)),
            _ => None,
        }
    }
}
