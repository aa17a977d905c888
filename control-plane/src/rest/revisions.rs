//! The history: which writes were made, by whom and why; and the way back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::Revision;

use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::{Missing, Problem};
use super::query::{self, Fields, Parameter, Query};
use super::receipts;
use super::write::{Applied, WriteQuery, write as make};
use crate::fleet::Receipt;
use crate::live::ChangeReport;
use crate::store::{Action, ChangedResource, MAX_PAGE, RevisionRecord};

/// Longest answer.
const MAX_LIMIT: u32 = 500;
/// Length when nothing is said.
const USUAL_LIMIT: u32 = 20;
/// Changes that lists name for each revision.
const MAX_NAMED: usize = 100;

/// The parameters of the history.
#[derive(Debug)]
pub(super) struct HistoryQuery {
    limit: usize,
    before: Option<Revision>,
}

impl Query for HistoryQuery {
    const PARAMETERS: &'static [Parameter] = &[Parameter::Limit(MAX_LIMIT), Parameter::Before];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        let limit = fields.get(Parameter::Limit(MAX_LIMIT), |text| query::limit(text, MAX_LIMIT))?;
        Ok(Self {
            limit: limit.unwrap_or(USUAL_LIMIT) as usize,
            before: fields.get(Parameter::Before, query::revision)?.map(Revision),
        })
    }
}

/// Revisions, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RevisionList {
    /// The revisions.
    items: Vec<RevisionView>,
}

/// A committed write.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Revision")]
pub(super) struct RevisionView {
    /// Its number.
    revision: u64,
    /// When it was asked for, in milliseconds since 1970.
    created_at_ms: u64,
    /// Who asked: the name of the token.
    author: String,
    /// Why; may be empty.
    message: String,
    /// What happened to which resource; in lists, at most 100 are named.
    changes: Vec<ChangeReport>,
    /// How many resources were changed.
    changes_count: usize,
    /// The revision whose content it brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback_of: Option<u64>,
    /// Who runs it, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
}

/// The newest revisions, or those before one.
pub(super) async fn list(call: Call<HistoryQuery>) -> Result<Answer<Json<RevisionList>>, Problem> {
    let Call { api, query, .. } = call;
    let (mut records, mut before) = (Vec::new(), query.before);
    loop {
        let page = u32::try_from(query.limit - records.len())
            .unwrap_or(MAX_PAGE)
            .min(MAX_PAGE);
        let found = api.store.revisions(before, page).await?;
        let is_last = found.len() < page as usize;
        records.extend(found);
        before = records.last().map(|record| record.revision);
        if is_last || records.len() >= query.limit {
            break;
        }
    }
    let mut items = Vec::with_capacity(records.len());
    for record in records {
        let receipt = receipts::known(&api, record.revision).await?;
        items.push(RevisionView::new(record, MAX_NAMED, receipt));
    }
    Ok(RevisionList { items }.into())
}

/// One revision.
pub(super) async fn get(call: Call) -> Result<Answer<Json<RevisionView>>, Problem> {
    let revision = call.path.revision()?;
    let record = call
        .api
        .store
        .revision(revision)
        .await?
        .ok_or(Missing::Revision(revision))?;
    let receipt = receipts::known(&call.api, revision).await?;
    Ok(RevisionView::new(record, usize::MAX, receipt).into())
}

/// The parameters of a rollback.
#[derive(Debug)]
pub(super) struct RollbackQuery {
    write: WriteQuery,
    base: Option<Revision>,
}

impl Query for RollbackQuery {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::BaseRevision,
        Parameter::DryRun,
        Parameter::DanglingRefs,
        Parameter::Message,
        Parameter::Wait,
        Parameter::Quorum,
    ];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self {
            write: WriteQuery::read(fields)?,
            base: fields
                .get(Parameter::BaseRevision, query::revision)?
                .map(Revision),
        })
    }
}

/// What a rollback may bring.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rollback {
    /// Why; kept in the history, in place of the parameter's.
    message: Option<String>,
}

/// A new revision with the content as of an older one: slot tables and the age of routes included.
pub(super) async fn rollback(
    call: Call<RollbackQuery, Option<Json<Rollback>>>,
) -> Result<Answer<Json<Applied>>, Problem> {
    let Call {
        api,
        caller,
        path,
        headers,
        query: RollbackQuery { mut write, base },
        content,
    } = call;
    let revision = path.revision()?;
    let Json(Rollback { message }) = content.unwrap_or(Json(Rollback::default()));
    if let Some(message) = message {
        let refuse = |reason| Problem::Parameter {
            name: "message".into(),
            reason,
        };
        write.message = query::message(&message).map_err(refuse)?;
    }
    let turn = api.admission.rebuild().await?;
    let wish = api
        .live
        .rollback_to(revision)
        .await?
        .ok_or(Missing::Revision(revision))?;
    drop(turn);
    make(&api, &caller, &headers, write, base, wish)
        .await
        .map(Into::into)
}

impl RevisionView {
    /// With at most so many changes named.
    fn new(record: RevisionRecord, named: usize, receipt: Option<Receipt>) -> Self {
        Self {
            revision: record.revision.0,
            created_at_ms: record.created_at.0,
            author: record.author,
            message: record.message,
            changes_count: record.changes.len(),
            changes: record.changes.into_iter().take(named).map(report).collect(),
            rollback_of: record.rollback_of.map(|revision| revision.0),
            receipt,
        }
    }
}

fn report(change: ChangedResource) -> ChangeReport {
    let action = match change.action {
        Action::Created => "created",
        Action::Updated => "updated",
        Action::Deleted => "deleted",
    };
    ChangeReport {
        kind: change.key.kind,
        namespace: change.key.namespace,
        name: change.key.name,
        action: action.to_owned(),
    }
}
