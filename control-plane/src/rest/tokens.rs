//! Bearer tokens: made, listed, withdrawn. A secret is shown once and stored as its hash.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::Code;

use http::StatusCode;

use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::{INPUT, Missing, Problem};
use crate::clock;
use crate::store::{Grant, Scope, Token, TokenHash, UnixMillis};

/// What secrets begin with, so that scanners know one when they see it.
const PREFIX: &str = "sluice_";
/// Longest name, in bytes.
const MAX_NAME: usize = 128;
/// Most grants of a token, and most words in each list of a grant.
const MAX_GRANTS: usize = 100;

/// A token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewToken {
    /// What it is for; stands in the history as the author of its changes. 1 to 128 characters,
    /// no control characters and no `/`.
    name: String,
    /// How long it is accepted; without, until it is withdrawn.
    #[schemars(range(min = 1))]
    expires_in_seconds: Option<u64>,
    /// What it may do; everything when left out. Whatever it may do, it may also read what is known of the
    /// fleet and of the history.
    #[schemars(length(min = 1, max = 100))]
    grants: Option<Vec<Grant>>,
}

/// A new token, with its secret: the only time that it can be seen.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CreatedToken {
    /// The secret, to be sent as `Authorization: Bearer ...`.
    token: String,
    /// What the token is called from now on.
    #[serde(flatten)]
    view: TokenView,
}

/// What is known of a token.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TokenInfo")]
pub(super) struct TokenView {
    /// Its public name, to withdraw it by.
    id: String,
    /// What it is for.
    name: String,
    /// When it was made, in milliseconds since 1970.
    created_at_ms: u64,
    /// From when on it is not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
    /// When it was withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at_ms: Option<u64>,
    /// What it may do; absent: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    grants: Option<Vec<Grant>>,
}

/// All tokens.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TokenList {
    /// Oldest first, the withdrawn ones included.
    items: Vec<TokenView>,
}

/// Makes a token.
pub(super) async fn create(call: Call<(), Json<NewToken>>) -> Result<Answer<Json<CreatedToken>>, Problem> {
    let Call {
        api,
        caller,
        content:
            Json(NewToken {
                name,
                expires_in_seconds,
                grants,
            }),
        ..
    } = call;
    // Authors with a `/` are the control plane's own: `rollout/NAMESPACE/NAME`.
    if !(1..=MAX_NAME).contains(&name.len()) || name.contains(|one: char| one.is_control() || one == '/') {
        let message = "must be 1 to 128 characters without control characters and `/`";
        return Err(Problem::violation(INPUT, "name", Code::Invalid, message));
    }
    if expires_in_seconds == Some(0) {
        let message = "must be 1 or more";
        return Err(Problem::violation(
            INPUT,
            "expiresInSeconds",
            Code::OutOfRange,
            message,
        ));
    }
    if let Some((field, message)) = grants.as_deref().and_then(wrong) {
        return Err(Problem::violation(INPUT, &field, Code::OutOfRange, message));
    }
    let secret = new_secret();
    let now = clock::wall();
    let lifetime = expires_in_seconds.map(|seconds| seconds.saturating_mul(1_000));
    let expires_at = lifetime.map(|lifetime| UnixMillis(now.0.saturating_add(lifetime)));
    let token = token(&name, &secret, (now, expires_at), Scope::of(grants));
    api.store.create_token(&token, &caller.name).await?;
    let created = CreatedToken {
        token: secret,
        view: (&token).into(),
    };
    Ok(Answer::from(created).status(StatusCode::CREATED))
}

/// Every token, without its secret.
pub(super) async fn list(call: Call) -> Result<Answer<Json<TokenList>>, Problem> {
    let tokens = call.api.store.tokens().await?;
    Ok(TokenList {
        items: tokens.iter().map(Into::into).collect(),
    }
    .into())
}

/// Withdraws a token.
pub(super) async fn revoke(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.path.get("id");
    let stood = call
        .api
        .store
        .revoke_token(id, &call.caller.name, clock::wall())
        .await?;
    call.api.gatekeeper.forget(id);
    match stood {
        true => Ok(Answer::new(())),
        false => Err(Missing::Token(id.chars().take(100).collect()).into()),
    }
}

/// 244 random bits.
fn new_secret() -> String {
    let random = || uuid::Uuid::new_v4().simple().to_string();
    format!("{PREFIX}{}{}", random(), random())
}

/// What is wrong with the lengths of these grants: a list without members would allow nothing, which is
/// never meant.
fn wrong(grants: &[Grant]) -> Option<(String, String)> {
    if !(1..=MAX_GRANTS).contains(&grants.len()) {
        let message = format!("must have 1 to {MAX_GRANTS} members; leave it out to allow everything");
        return Some(("grants".to_owned(), message));
    }
    grants.iter().enumerate().find_map(|(index, grant)| {
        let lone = grant.verbs.iter().find(|verb| verb.is_of_no_kind());
        if let Some(verb) = lone.filter(|_| grant.kinds.is_some() || grant.namespaces.is_some()) {
            let message = format!("`{verb}` is of no kinds and namespaces: it needs a grant without them");
            return Some((format!("grants[{index}].verbs"), message));
        }
        let lengths = [
            ("verbs", Some(grant.verbs.len())),
            ("kinds", grant.kinds.as_ref().map(Vec::len)),
            ("namespaces", grant.namespaces.as_ref().map(Vec::len)),
        ];
        let is_wrong = |length: usize| !(1..=MAX_GRANTS).contains(&length);
        let (field, _) = lengths
            .into_iter()
            .find(|(_, length)| length.is_some_and(is_wrong))?;
        let message = format!("must have 1 to {MAX_GRANTS} members");
        Some((format!("grants[{index}].{field}"), message))
    })
}

fn token(
    name: &str,
    secret: &str,
    (created_at, expires_at): (UnixMillis, Option<UnixMillis>),
    scope: Scope,
) -> Token {
    Token {
        id: uuid::Uuid::new_v4().simple().to_string()[..12].to_owned(),
        name: name.to_owned(),
        hash: TokenHash::of(secret),
        created_at,
        expires_at,
        revoked_at: None,
        scope,
    }
}

impl From<&Token> for TokenView {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id.clone(),
            name: token.name.clone(),
            created_at_ms: token.created_at.0,
            expires_at_ms: token.expires_at.map(|at| at.0),
            revoked_at_ms: token.revoked_at.map(|at| at.0),
            grants: token.scope.grants().map(<[Grant]>::to_vec),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ() {
        assert_ne!(new_secret(), new_secret());
        assert_eq!(new_secret().len(), PREFIX.len() + 64);
    }
}
