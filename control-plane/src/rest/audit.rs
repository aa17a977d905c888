//! The audit trail: what was done, what was refused, and who asked for it.

use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::Problem;
use super::query::{self, Fields, Parameter, ParameterError, Query};
use crate::store::{AuditAction, AuditEntry, AuditFilter, MAX_PAGE};

/// Length when nothing is said.
const USUAL_LIMIT: u32 = 50;

/// The parameters of the trail.
#[derive(Debug)]
pub(super) struct AuditQuery {
    limit: u32,
    filter: AuditFilter,
}

impl Query for AuditQuery {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::Limit(MAX_PAGE),
        Parameter::Before,
        Parameter::Author,
        Parameter::Action,
    ];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        let limit = fields.get(Parameter::Limit(MAX_PAGE), |text| query::limit(text, MAX_PAGE))?;
        let action = |text: &str| AuditAction::parse(text).ok_or(ParameterError::Action);
        Ok(Self {
            limit: limit.unwrap_or(USUAL_LIMIT),
            filter: AuditFilter {
                before: fields.get(Parameter::Before, query::revision)?,
                author: fields.text(Parameter::Author).map(str::to_owned),
                action: fields.get(Parameter::Action, action)?,
            },
        })
    }
}

/// Lines of the trail, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AuditList {
    /// The lines. The `id` of the last one as `before` brings the next page.
    items: Vec<AuditLine>,
}

/// One line of the trail, which is never changed or removed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditLine {
    /// Grows from line to line.
    id: u64,
    /// The revision that it led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    /// When, in milliseconds since 1970.
    at_ms: u64,
    /// Who: the name of the token, or a part of the control plane.
    author: String,
    /// What was done: one of those that can be asked for, or one of a later version.
    action: String,
    /// To what, with which message, or where it was wrong; never what was written.
    detail: String,
}

/// The newest lines, or those before one.
pub(super) async fn list(call: Call<AuditQuery>) -> Result<Answer<Json<AuditList>>, Problem> {
    let AuditQuery { limit, filter } = call.query;
    let found = call.api.store.audit(&filter, limit).await?;
    Ok(AuditList {
        items: found.into_iter().map(AuditLine::from).collect(),
    }
    .into())
}

impl From<AuditEntry> for AuditLine {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            revision: entry.revision.map(|revision| revision.0),
            at_ms: entry.at.0,
            author: entry.author,
            action: entry.action.as_str().to_owned(),
            detail: entry.detail,
        }
    }
}
