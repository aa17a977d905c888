//! Debug tokens: for a while, proxies tell whoever brings one what became of a request and why. They are signed and
//! not stored, so they cannot be withdrawn; an hour is the longest.

use std::time::Duration;

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_core::normalize_host;
use sluice_model::Code;
use sluice_tls::{DebugToken, MAX_DEBUG_TOKEN_LIFE};

use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::{INPUT, Problem};
use super::write::audited;
use crate::clock;
use crate::store::{AuditAction, UnixMillis};
use crate::trust::TrustError;

/// How long a token holds when nothing else is said, in seconds.
const LIFETIME: u64 = 600;
/// The field of a request that it is sent in.
const HEADER: &str = "sluice-debug";

/// A debug token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "NewDebugToken")]
pub(super) struct Wanted {
    /// The only host of requests that it is for; without, any.
    #[schemars(length(min = 1, max = 253))]
    host: Option<String>,
    /// How long it holds; 10 minutes without, an hour at most.
    #[schemars(range(min = 1, max = 3_600))]
    expires_in_seconds: Option<u64>,
}

/// A new debug token.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CreatedDebugToken")]
pub(super) struct Created {
    /// Its text.
    token: String,
    /// The field of a request that it is sent in.
    header: &'static str,
    /// The only host of requests that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// From when on it does not hold, in milliseconds since 1970.
    expires_at_ms: u64,
}

/// Makes a debug token.
pub(super) async fn create(call: Call<(), Json<Wanted>>) -> Result<Answer<Json<Created>>, Problem> {
    let Call {
        api,
        caller,
        content: Json(wanted),
        ..
    } = call;
    let permitted = caller.must_debug().map_err(Problem::from);
    audited(&api, &caller, false, permitted).await?;
    let (host, lifetime) = wanted.read()?;
    let standing = api.trust.standing().ok_or(TrustError::NoKey)?;
    let now = clock::wall();
    let token = DebugToken {
        expires_at: Duration::from_millis(now.0).saturating_add(lifetime),
        host: host.as_deref().unwrap_or_default().into(),
    };
    // Whole seconds, never later than said.
    let expires_at = UnixMillis(token.expires_at.as_secs() * 1_000);
    let history = api.live.published().world.history();
    let text = token.sign(standing.signer(), &history.0);
    let of = host.as_deref().unwrap_or("every host");
    let detail = format!("{of}, {} seconds", lifetime.as_secs());
    let action = AuditAction::DebugTokenCreated;
    api.store
        .record_action(now, &caller.name, action, &detail)
        .await?;
    let created = Created {
        token: text,
        header: HEADER,
        host,
        expires_at_ms: expires_at.0,
    };
    Ok(Answer::from(created).status(StatusCode::CREATED))
}

impl Wanted {
    /// The host as requests have it when they are matched, and the time.
    fn read(&self) -> Result<(Option<String>, Duration), Problem> {
        let invalid = |field, code, message: String| Err(Problem::violation(INPUT, field, code, message));
        let host = self.host.as_deref().map(normalize_host).transpose();
        let host = match host {
            Ok(host) => host.map(|host| (host.name.into_owned(), host.port)),
            Err(error) => return invalid("host", Code::Invalid, error.to_string()),
        };
        if host
            .as_ref()
            .is_some_and(|(name, port)| name.is_empty() || port.is_some())
        {
            return invalid("host", Code::Invalid, "must be a name without a port".to_owned());
        }
        let most = MAX_DEBUG_TOKEN_LIFE.as_secs();
        match self.expires_in_seconds.unwrap_or(LIFETIME) {
            seconds if (1..=most).contains(&seconds) => {
                Ok((host.map(|(name, _)| name), Duration::from_secs(seconds)))
            }
            _ => invalid(
                "expiresInSeconds",
                Code::OutOfRange,
                format!("must be 1 to {most}"),
            ),
        }
    }
}
