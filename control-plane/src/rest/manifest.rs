//! Resources as they are shown.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;
use sluice_intent::{Kind, Spec};

use super::conditions::{Programming, conditions};
use super::secret;
use crate::compile::{Intent, World};
use crate::live::Live;

/// What a user wrote, and the server's `status` of it. It can be applied again as it is, except a
/// Secret, whose values are not in it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Manifest(Value);

impl Manifest {
    /// Of a resource of `world`.
    pub(super) fn of(world: &World, intent: &Intent, programming: &Programming, live: &Live) -> Self {
        // Conditions are of static texts and strings: there is nothing in them that JSON cannot hold.
        let conditions = serde_json::to_value(conditions(world, intent, programming, live.sources()));
        let conditions = conditions.unwrap_or_default();
        let mut view = intent.to_view(conditions);
        if let (Spec::Secret(spec), Some(status)) = (&intent.resource.spec, view["status"].as_object_mut()) {
            secret::describe(status, &intent.resource.id, spec, live.fingerprints());
        }
        Self(view)
    }
}

impl JsonSchema for Manifest {
    fn schema_name() -> Cow<'static, str> {
        "Manifest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds = Kind::ALL.map(|kind| json_schema!({"$ref": format!("#/components/schemas/{kind}")}));
        json_schema!({"description": "A resource of any kind, with its status.", "anyOf": kinds})
    }
}
