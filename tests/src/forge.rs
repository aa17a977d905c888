//! A forge, as far as comments go: GitHub's REST interface and GitLab's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::upstream::{Body, Upstream, full};

/// The token that it takes, in GitHub's way and in GitLab's.
pub const FORGE_TOKEN: &str = "forge-token";

/// A forge with one pull request, which is also a merge request.
#[derive(Debug)]
pub struct Forge {
    server: Upstream,
    comments: Arc<Mutex<Vec<Comment>>>,
}

/// A comment on the pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    id: u64,
    /// What it says.
    pub body: String,
}

impl Forge {
    /// One on which so many others have said something already.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(others: u64) -> anyhow::Result<Self> {
        let said = |id| Comment {
            id,
            body: format!("comment {id}"),
        };
        let comments = Arc::new(Mutex::new((1..=others).map(said).collect()));
        let kept = Arc::clone(&comments);
        let server = Upstream::serve(move |request, _| answer(Arc::clone(&kept), request)).await?;
        Ok(Self { server, comments })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// All comments, the oldest first.
    pub fn comments(&self) -> Vec<Comment> {
        lock(&self.comments).clone()
    }
}

fn lock(comments: &Mutex<Vec<Comment>>) -> MutexGuard<'_, Vec<Comment>> {
    comments.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    comments: Arc<Mutex<Vec<Comment>>>,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let is_known = header("authorization") == Some(&format!("Bearer {FORGE_TOKEN}"))
        || header("private-token") == Some(FORGE_TOKEN);
    if !is_known {
        return reply(StatusCode::UNAUTHORIZED, &json!({"message": "Bad credentials"}));
    }
    let bytes = body.collect().await?.to_bytes();
    let said = || -> anyhow::Result<String> {
        let sent: Value = serde_json::from_slice(&bytes)?;
        Ok(sent["body"].as_str().context("no body")?.to_owned())
    };
    let path = parts.uri.path();
    let mut comments = lock(&comments);
    match parts.method.as_str() {
        "GET" if is_list(path) => {
            let page = page(parts.uri.query().unwrap_or_default());
            let view = |one: &Comment| json!({"id": one.id, "body": one.body});
            let found: Vec<_> = comments
                .iter()
                .skip((page - 1) * 100)
                .take(100)
                .map(view)
                .collect();
            reply(StatusCode::OK, &Value::Array(found))
        }
        "POST" if is_list(path) => {
            let id = comments.last().map_or(1, |last| last.id + 1);
            comments.push(Comment { id, body: said()? });
            reply(StatusCode::CREATED, &json!({ "id": id }))
        }
        "PATCH" | "PUT" => {
            let id: u64 = path.rsplit('/').next().unwrap_or_default().parse()?;
            let comment = comments.iter_mut().find(|comment| comment.id == id);
            comment.context("no such comment")?.body = said()?;
            reply(StatusCode::OK, &json!({ "id": id }))
        }
        _ => reply(StatusCode::NOT_FOUND, &json!({"message": "Not Found"})),
    }
}

/// GitHub's list, and GitLab's.
fn is_list(path: &str) -> bool {
    [
        "/repos/team/site/issues/7/comments",
        "/projects/12/merge_requests/7/notes",
    ]
    .contains(&path)
}

fn page(query: &str) -> usize {
    let mut parameters = query.split('&').filter_map(|one| one.split_once('='));
    let page = parameters.find(|(name, _)| *name == "page");
    page.and_then(|(_, number)| number.parse().ok()).unwrap_or(1)
}

fn reply(status: StatusCode, body: &Value) -> anyhow::Result<Response<Body>> {
    Ok(Response::builder().status(status).body(full(body.to_string()))?)
}
