//! Every operation there is: the one table behind the router and the OpenAPI document.

use http::StatusCode;

use super::operation::Method::{Delete, Get, Patch, Post, Put};
use super::operation::Operation as Op;
use super::{
    apply, audit, authority, debug_tokens, diff, explain, export, health, join_tokens, lint, list, openapi,
    plan, proxies, proxy_labels, receipts, replay, resource, revisions, tokens,
};

const RESOURCES: &str = "/v1/namespaces/{namespace}/{plural}";
const RESOURCE: &str = "/v1/namespaces/{namespace}/{plural}/{name}";
const REVISION: &str = "/v1/revisions/{revision}";
const RECEIPT: &str = "/v1/revisions/{revision}/receipt";
const ROLLBACK: &str = "/v1/revisions/{revision}/rollback";
const PROXY: &str = "/v1/fleet/{proxy}";
const LABELS: &str = "/v1/fleet/{proxy}/labels";
const CERTIFICATE: &str = "/v1/fleet/{proxy}/certificate";
const TOKEN: &str = "/v1/tokens/{id}";
const JOIN_TOKENS: &str = "/v1/join-tokens";
const JOIN_TOKEN: &str = "/v1/join-tokens/{id}";

pub(super) fn operations() -> Vec<Op> {
    [resources(), history(), administration(), trust(), watching()]
        .into_iter()
        .flatten()
        .collect()
}

fn resources() -> Vec<Op> {
    vec![
        Op::new(
            Get,
            RESOURCES,
            "listResources",
            "Resources of a kind, page by page",
            list::list,
        ),
        Op::new(
            Get,
            RESOURCE,
            "getResource",
            "A resource and its status",
            resource::get,
        ),
        Op::new(
            Put,
            RESOURCE,
            "putResource",
            "Create or replace a resource",
            resource::put,
        ),
        Op::new(
            Patch,
            RESOURCE,
            "patchResource",
            "Change parts of a resource (RFC 7386)",
            resource::patch,
        ),
        Op::new(
            Delete,
            RESOURCE,
            "deleteResource",
            "Delete a resource",
            resource::delete,
        ),
        Op::new(
            Post,
            "/v1/apply",
            "apply",
            "Apply many manifests in one revision",
            apply::apply,
        ),
        Op::new(
            Post,
            "/v1/plan",
            "plan",
            "What manifests would change if they were applied",
            plan::plan,
        ),
        Op::new(
            Post,
            "/v1/diff",
            "diff",
            "What is live and what manifests say, side by side",
            diff::diff,
        ),
        Op::new(
            Get,
            "/v1/export/{namespace}",
            "export",
            "Everything at one revision as manifests that can be applied again",
            export::export,
        ),
        Op::new(
            Post,
            "/v1/replay",
            "replay",
            "What manifests would change for requests that were made",
            replay::replay,
        ),
        Op::new(
            Post,
            "/v1/lint",
            "lint",
            "What is probably not meant of manifests, or of what is live",
            lint::lint,
        ),
        Op::new(
            Post,
            "/v1/explain",
            "explain",
            "Where a request would go and why",
            explain::explain,
        ),
        Op::new(
            Post,
            "/v1/debug-tokens",
            "createDebugToken",
            "Make a token for requests that are answered with their explanation",
            debug_tokens::create,
        )
        .answering(StatusCode::CREATED),
    ]
}

fn history() -> Vec<Op> {
    vec![
        Op::new(
            Get,
            "/v1/revisions",
            "listRevisions",
            "Revisions, newest first",
            revisions::list,
        ),
        Op::new(Get, REVISION, "getRevision", "One revision", revisions::get),
        Op::new(Get, RECEIPT, "getReceipt", "Who runs a revision", receipts::get),
        Op::new(
            Post,
            ROLLBACK,
            "rollback",
            "Bring a revision's content back as a new one",
            revisions::rollback,
        ),
    ]
}

fn administration() -> Vec<Op> {
    vec![
        Op::new(Get, "/v1/fleet", "listProxies", "The fleet", proxies::list),
        Op::new(
            Get,
            PROXY,
            "getProxy",
            "A proxy and what it reports",
            proxies::get,
        ),
        Op::unlimited(
            Delete,
            PROXY,
            "forgetProxy",
            "Take a proxy that will not come back off the list",
            proxies::forget,
        ),
        Op::unlimited(
            Patch,
            LABELS,
            "labelProxy",
            "Set labels of a proxy, or take them away with null",
            proxy_labels::change,
        ),
        Op::unlimited(
            Delete,
            LABELS,
            "unlabelProxy",
            "Take away all labels that operators set on a proxy",
            proxy_labels::clear,
        ),
        Op::new(
            Get,
            "/v1/replicas",
            "listReplicas",
            "The control planes",
            proxies::replicas,
        ),
        Op::unlimited(
            Get,
            "/v1/audit",
            "listAudit",
            "The audit trail: every write and every refused one, newest first",
            audit::list,
        ),
        Op::unlimited(
            Get,
            "/v1/tokens",
            "listTokens",
            "Tokens, without their secrets",
            tokens::list,
        ),
        Op::unlimited(Post, "/v1/tokens", "createToken", "Make a token", tokens::create)
            .answering(StatusCode::CREATED),
        Op::unlimited(Delete, TOKEN, "revokeToken", "Withdraw a token", tokens::revoke),
    ]
}

fn trust() -> Vec<Op> {
    vec![
        Op::unlimited(
            Get,
            JOIN_TOKENS,
            "listJoinTokens",
            "Join tokens, without their secrets",
            join_tokens::list,
        ),
        Op::unlimited(
            Post,
            JOIN_TOKENS,
            "createJoinToken",
            "Make a token that lets one proxy join the fleet",
            join_tokens::create,
        )
        .answering(StatusCode::CREATED),
        Op::unlimited(
            Delete,
            JOIN_TOKEN,
            "revokeJoinToken",
            "Withdraw a join token",
            join_tokens::revoke,
        ),
        Op::unlimited(
            Delete,
            CERTIFICATE,
            "revokeCertificate",
            "Take a proxy's certificate back and cut it off",
            proxies::revoke,
        ),
        Op::new(
            Get,
            "/v1/ca",
            "listAuthorities",
            "The certificate authorities of the fleet",
            authority::get,
        ),
        Op::unlimited(
            Post,
            "/v1/ca/rotate",
            "rotateAuthority",
            "Replace the certificate authority, without a break",
            authority::rotate,
        )
        .answering(StatusCode::ACCEPTED),
    ]
}

fn watching() -> Vec<Op> {
    vec![
        Op::new(
            Get,
            "/healthz",
            "healthz",
            "Whether the process serves",
            health::healthz,
        ),
        Op::new(
            Get,
            "/readyz",
            "readyz",
            "Whether the store answers",
            health::readyz,
        ),
        Op::new(Get, "/metrics", "metrics", "Counters and gauges", health::metrics),
        Op::new(Get, "/openapi.json", "openapi", "This document", openapi::get),
    ]
}
