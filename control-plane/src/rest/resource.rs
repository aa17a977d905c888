//! One resource: read, put, patched, deleted.

use http::StatusCode;
use http::header::ETAG;
use sluice_intent::ResourceId;
use sluice_model::{Code, Violation};

use super::Api;
use super::answer::Answer;
use super::conditions::Programming;
use super::content::{Json, Manifests, MergePatch};
use super::manifest::Manifest;
use super::operation::Call;
use super::problem::{INPUT, Missing, Problem};
use super::write::{Applied, WriteQuery, audited, etag, precondition, write};
use crate::clock;
use crate::live::Wish;
use crate::store::Verb;

/// The manifest, with its status. The tag is the revision that gave it this content; conditions
/// change without it.
pub(super) async fn get(call: Call) -> Result<Answer<Json<Manifest>>, Problem> {
    let id = call.path.resource()?;
    call.caller.must(Verb::Get, id.kind, &id.namespace)?;
    let published = call.api.live.published();
    let Some(intent) = published.world.get(&id) else {
        return Err(Missing::Resource(id).into());
    };
    let programming = Programming::now(&call.api, &published);
    let world = published.world.clone().at(clock::since_1970());
    let answer = Answer::from(Manifest::of(&world, intent, &programming, &call.api.live));
    Ok(match etag(intent.revision) {
        Some(tag) => answer.header(ETAG, tag),
        None => answer,
    })
}

/// Creates or replaces it.
pub(super) async fn put(call: Call<WriteQuery, Manifests>) -> Result<Answer<Json<Applied>>, Problem> {
    let Call {
        api,
        caller,
        path,
        headers,
        query,
        content,
    } = call;
    let id = path.resource()?;
    let expected = precondition(&headers)?;
    let room = api.admission.write()?;
    let parsed = content.parse(Some(id.namespace.clone())).await;
    drop(room);
    let mut resources = audited(&api, &caller, query.dry_run, parsed).await?;
    let resource = match (resources.pop(), resources.is_empty()) {
        (Some(resource), true) => resource,
        _ => {
            return Err(Problem::violation(
                INPUT,
                "",
                Code::Invalid,
                "must be exactly one manifest",
            ));
        }
    };
    if resource.id != id {
        let message = format!("the path names {id}");
        let violation = Violation::new(resource.id.to_string(), "metadata", Code::Conflict, message);
        return Err(Problem::Violations(vec![violation]));
    }
    let dry_run = query.dry_run;
    let wish = Wish::Put(Box::new(resource), expected);
    let applied = write(&api, &caller, &headers, query, None, wish).await?;
    // RFC 9110 section 9.3.4.
    let status = if applied.is_created() && !dry_run {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(tagged(&api, &id, applied).status(status))
}

/// Changes parts of it.
pub(super) async fn patch(call: Call<WriteQuery, MergePatch>) -> Result<Answer<Json<Applied>>, Problem> {
    let Call {
        api,
        caller,
        path,
        headers,
        query,
        content,
    } = call;
    let id = path.resource()?;
    let wish = Wish::Patch(id.clone(), content.0, precondition(&headers)?);
    let applied = write(&api, &caller, &headers, query, None, wish).await?;
    Ok(tagged(&api, &id, applied))
}

/// Deletes it.
pub(super) async fn delete(call: Call<WriteQuery>) -> Result<Answer<Json<Applied>>, Problem> {
    let Call {
        api,
        caller,
        path,
        headers,
        query,
        ..
    } = call;
    let wish = Wish::Delete(path.resource()?, precondition(&headers)?);
    write(&api, &caller, &headers, query, None, wish)
        .await
        .map(Into::into)
}

fn tagged(api: &Api, id: &ResourceId, applied: Applied) -> Answer<Json<Applied>> {
    let published = api.live.published();
    applied.tagged(published.world.get(id).map(|intent| intent.revision))
}
