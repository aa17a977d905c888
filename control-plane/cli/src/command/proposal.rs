//! Manifests that are asked about and not applied: what `plan`, `diff` and `replay` have in common.

use clap::Args;
use reqwest::Method;
use serde_json::Value;
use sluice_intent::Namespace;

use crate::client::{Client, Request};
use crate::command::apply::{self, DanglingRefs};
use crate::failure::Failure;
use crate::options::{Files, Prune};
use crate::source::Sources;

/// What would be applied, and to what.
#[derive(Debug, Args)]
pub(crate) struct Proposal {
    #[command(flatten)]
    files: Files,
    /// Compare with this revision instead of the newest one
    #[arg(long, value_name = "REVISION")]
    against: Option<u64>,
    #[command(flatten)]
    prune: Prune,
    /// What to do about references to what does not exist
    #[arg(long, value_enum, default_value_t)]
    dangling_refs: DanglingRefs,
}

impl Proposal {
    /// Reads the manifests.
    ///
    /// # Errors
    /// When a file cannot be read, or a directory holds no manifest.
    pub(crate) fn read(&self) -> Result<Sources, Failure> {
        self.files.read(&self.prune)
    }

    /// A request about it, without the manifests.
    pub(crate) fn request<'a>(&'a self, path: &'a [&'a str]) -> Request<'a> {
        Request::new(Method::POST, path)
            .query_if("against", self.against)
            .query_if("prune", self.prune.parameter())
            .query_if("danglingRefs", self.dangling_refs.parameter())
    }

    /// Reads the manifests, and asks about them.
    ///
    /// # Errors
    /// When a file cannot be read, or the control plane refuses the manifests or does not answer.
    pub(crate) async fn ask(
        &self,
        client: &Client,
        path: &[&str],
        namespace: &Namespace,
    ) -> Result<Value, Failure> {
        let sources = self.read()?;
        apply::send(client, self.request(path), &sources, namespace).await
    }
}
