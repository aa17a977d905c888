//! Join tokens: made, listed, withdrawn. The text is shown once; only the hash of its secret is
//! stored.

use std::collections::BTreeMap;

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::Code;

use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::{INPUT, Missing, Problem};
use crate::clock;
use crate::store::{JoinToken, UnixMillis};
use crate::trust::{NewJoinToken, TrustError};

/// How long a token is accepted when nothing else is said, in seconds.
const LIFETIME: u64 = 3_600;
/// Longest time: a week.
const MAX_LIFETIME: u64 = 7 * 24 * 3_600;
/// Bounds on labels, those of what proxies say of themselves.
const MAX_LABELS: usize = 64;
const MAX_NAME: usize = 253;

/// A join token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "NewJoinToken")]
pub(super) struct Wanted {
    /// The only proxy that may use it; without, any.
    proxy: Option<String>,
    /// Labels that the proxy has from then on, whatever it says of itself. At most 64; names and
    /// values of at most 253 bytes.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// How long it is accepted; an hour without, a week at most.
    #[schemars(range(min = 1, max = 604_800))]
    expires_in_seconds: Option<u64>,
}

/// A new join token, with its text: the only time that it can be seen.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedJoinToken")]
pub(super) struct Created {
    /// What is given to the proxy, in a file.
    token: String,
    /// What the token is called from now on.
    #[serde(flatten)]
    view: JoinTokenView,
}

/// What is known of a join token.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "JoinTokenInfo")]
pub(super) struct JoinTokenView {
    /// Its public name, to withdraw it by.
    id: String,
    /// The only proxy that may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
    /// Labels that the proxy gets.
    labels: BTreeMap<String, String>,
    /// When it was made, in milliseconds since 1970.
    created_at_ms: u64,
    /// From when on it is not accepted.
    expires_at_ms: u64,
    /// When it was withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at_ms: Option<u64>,
    /// When it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at_ms: Option<u64>,
    /// The proxy that used it.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_by: Option<String>,
}

/// All join tokens.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JoinTokenList {
    /// Oldest first, those that are used, withdrawn or expired included.
    items: Vec<JoinTokenView>,
}

/// Makes a join token.
pub(super) async fn create(call: Call<(), Json<Wanted>>) -> Result<Answer<Json<Created>>, Problem> {
    let Call {
        api,
        caller,
        content: Json(wanted),
        ..
    } = call;
    wanted.check()?;
    let pin = api.trust.pin().ok_or(TrustError::NoKey)?;
    let (new, now) = (NewJoinToken::random(), clock::wall());
    let lifetime = wanted.expires_in_seconds.unwrap_or(LIFETIME) * 1_000;
    let token = JoinToken {
        id: new.id.clone(),
        hash: new.hash.clone(),
        proxy: wanted.proxy,
        labels: wanted.labels,
        created_at: now,
        expires_at: UnixMillis(now.0 + lifetime),
        revoked_at: None,
        used: None,
    };
    api.store.create_join_token(&token, &caller.name).await?;
    let created = Created {
        token: new.text(pin).expose().clone(),
        view: (&token).into(),
    };
    Ok(Answer::from(created).status(StatusCode::CREATED))
}

/// Every join token, without its secret.
pub(super) async fn list(call: Call) -> Result<Answer<Json<JoinTokenList>>, Problem> {
    let tokens = call.api.store.join_tokens().await?;
    let items = tokens.iter().map(Into::into).collect();
    Ok(JoinTokenList { items }.into())
}

/// Withdraws a join token.
pub(super) async fn revoke(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.path.get("id");
    let store = &call.api.store;
    match store
        .revoke_join_token(id, &call.caller.name, clock::wall())
        .await?
    {
        true => Ok(Answer::new(())),
        false => Err(Missing::Token(id.chars().take(100).collect()).into()),
    }
}

impl Wanted {
    fn check(&self) -> Result<(), Problem> {
        let invalid = |field, code, message: &str| Err(Problem::violation(INPUT, field, code, message));
        let is_id = |id: &String| {
            let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
            (1..=MAX_NAME).contains(&id.len()) && id.bytes().all(is_allowed)
        };
        if !self.proxy.as_ref().is_none_or(is_id) {
            let message = "must be 1 to 253 printable ASCII characters without `/`";
            return invalid("proxy", Code::Invalid, message);
        }
        let is_label = |(name, value): (&String, &String)| {
            (1..=MAX_NAME).contains(&name.len()) && value.len() <= MAX_NAME
        };
        if self.labels.len() > MAX_LABELS || !self.labels.iter().all(is_label) {
            let message = "must be at most 64, with names of 1 to 253 bytes and values of at most 253";
            return invalid("labels", Code::OutOfRange, message);
        }
        match self.expires_in_seconds {
            None | Some(1..=MAX_LIFETIME) => Ok(()),
            Some(_) => invalid("expiresInSeconds", Code::OutOfRange, "must be 1 to 604800"),
        }
    }
}

impl From<&JoinToken> for JoinTokenView {
    fn from(token: &JoinToken) -> Self {
        Self {
            id: token.id.clone(),
            proxy: token.proxy.clone(),
            labels: token.labels.clone(),
            created_at_ms: token.created_at.0,
            expires_at_ms: token.expires_at.0,
            revoked_at_ms: token.revoked_at.map(|at| at.0),
            used_at_ms: token.used.as_ref().map(|used| used.at.0),
            used_by: token.used.as_ref().map(|used| used.proxy.clone()),
        }
    }
}
