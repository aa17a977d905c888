//! What is shown of the authority.

use schemars::JsonSchema;
use serde::Serialize;
use sluice_tls::{KeyHash, Leaf};

use super::Trust;
use super::authority::{Generation, Stage};

/// One root, with the key that signs snapshots beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Authority")]
pub struct AuthorityView {
    /// Counts from 1.
    pub number: u64,
    /// How far it is.
    pub stage: AuthorityStage,
    /// When it goes on to the next stage by itself, in milliseconds since 1970; absent while it issues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage_ends_at_ms: Option<u64>,
    /// SHA-256 of the root's public key, in hexadecimal: the pin of join tokens.
    pub pin: String,
    /// When it was made, in milliseconds since 1970.
    pub made_at_ms: u64,
    /// Until when the root is good, in milliseconds since 1970.
    pub expires_at_ms: u64,
}

/// The stages of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuthorityStage {
    /// Trusted, and about to take over.
    Incoming,
    /// Issues certificates and signs snapshots.
    Issuing,
    /// Trusted until its certificates have run out.
    Outgoing,
}

impl Trust {
    /// All authorities that are trusted, oldest first; none without an envelope key.
    pub fn authorities(&self) -> Vec<AuthorityView> {
        let standing = self.standing();
        let generations = standing
            .iter()
            .flat_map(|standing| standing.authority.generations());
        generations.map(AuthorityView::of).collect()
    }
}

impl AuthorityView {
    fn of(generation: &Generation) -> Self {
        let (stage, ends) = match generation.stage {
            Stage::Incoming { issues_at } => (AuthorityStage::Incoming, Some(issues_at)),
            Stage::Issuing => (AuthorityStage::Issuing, None),
            Stage::Outgoing { until } => (AuthorityStage::Outgoing, Some(until)),
        };
        let pin = KeyHash::of_certificate(&generation.root);
        let expires = Leaf::read(&generation.root).map_or(0, |root| root.not_after);
        Self {
            number: generation.number,
            stage,
            stage_ends_at_ms: ends,
            pin: pin.map(|pin| pin.to_string()).unwrap_or_default(),
            made_at_ms: generation.made_at.0,
            expires_at_ms: u64::try_from(expires).unwrap_or(0).saturating_mul(1_000),
        }
    }
}
