//! The certificate authority of the stream.

use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::Problem;
use crate::trust::AuthorityView;

/// Everybody who is trusted.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AuthorityList {
    /// Oldest first; one of them issues. None without an envelope key.
    items: Vec<AuthorityView>,
}

/// The authorities.
pub(super) async fn get(call: Call) -> Result<Answer<Json<AuthorityList>>, Problem> {
    let items = call.api.trust.authorities();
    Ok(AuthorityList { items }.into())
}

/// Makes a new authority, which takes over by itself.
pub(super) async fn rotate(call: Call) -> Result<Answer<Json<AuthorityList>>, Problem> {
    call.api.trust.rotate(&call.caller.name).await?;
    let items = call.api.trust.authorities();
    Ok(Answer::from(AuthorityList { items }).status(StatusCode::ACCEPTED))
}
