//! `sluice token`: who may talk to the control plane.

use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use sluice_intent::Kind;

use super::join_token;
use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::{Scope, duration};
use crate::outcome::Outcome;
use crate::table::{Table, listed};
use crate::{print, time};

/// What to do.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token and print it: this is the only time that it can be seen
    Create {
        /// What it is for; stands in the history as the author of its changes
        name: String,
        /// How long it is accepted, e.g. 90d; without, until it is revoked
        #[arg(long, value_parser = duration, value_name = "TIME")]
        expires: Option<Duration>,
        /// What it may do, as `VERBS[:KINDS[:NAMESPACES]]` with commas, e.g. `get,plan` or
        /// `create,update:HTTPRoute,Backend:shop`; may be repeated. Verbs are get, plan, create, update,
        /// delete, debug and samples. Without, it may do everything
        #[arg(long, value_name = "GRANT", value_parser = grant)]
        allow: Vec<Value>,
    },
    /// Tokens that proxies join the fleet with
    #[command(subcommand)]
    Join(join_token::Action),
    /// Make a token for requests that proxies answer with their explanation, and print it
    Debug {
        /// The only host of requests that it is for; any without
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
        /// How long it holds, an hour at most; it cannot be withdrawn
        #[arg(long, value_parser = duration, value_name = "TIME", default_value = "10m")]
        expires: Duration,
    },
    /// List tokens, without their secrets
    List,
    /// Withdraw a token, at once
    Revoke {
        /// Id of the token, as `token list` shows it
        id: String,
    },
}

/// Does it.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    match &options.action {
        Action::Create { name, expires, allow } => {
            let mut body = json!({"name": name});
            if let Some(time) = expires {
                body["expiresInSeconds"] = time.as_secs().into();
            }
            if !allow.is_empty() {
                body["grants"] = allow.as_slice().into();
            }
            made(client, scope, &["v1", "tokens"], body).await?;
        }
        Action::Debug { host, expires } => {
            let mut body = json!({"expiresInSeconds": expires.as_secs()});
            if let Some(host) = host {
                body["host"] = host.as_str().into();
            }
            made(client, scope, &["v1", "debug-tokens"], body).await?;
        }
        Action::Join(action) => return join_token::run(client, scope, action).await,
        Action::List => {
            let answer = client.send(Request::get(&["v1", "tokens"])).await?;
            let table = |answer: &Value| Ok(table(Manifest(answer), time::now_ms()).to_string());
            print::result(scope.output, &answer, table)?;
        }
        Action::Revoke { id } => {
            client
                .send(Request::new(Method::DELETE, &["v1", "tokens", id]))
                .await?;
            print::text(&format!("token {id} revoked\n"))?;
        }
    }
    Ok(Outcome::Done)
}

/// Has a token made and prints it.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(super) async fn made(
    client: &Client,
    scope: &Scope,
    path: &[&str],
    wanted: Value,
) -> Result<(), Failure> {
    let request = Request::new(Method::POST, path).json(wanted);
    let answer = client.send(request).await?;
    print::result(scope.output, &answer, |answer| {
        Ok(format!("{}\n", Manifest(answer).text_or_none("/token")))
    })
}

/// A grant as REST has it. What the words mean is the control plane's to say, but for kinds, which people call by
/// several names.
fn grant(text: &str) -> Result<Value, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [verbs, rest @ ..] = parts.as_slice() else {
        return Err("must not be empty".to_owned());
    };
    if rest.len() > 2 {
        return Err("must be VERBS, VERBS:KINDS or VERBS:KINDS:NAMESPACES".to_owned());
    }
    let words = |list: &str| {
        list.split(',')
            .map(str::trim)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut grant = json!({"verbs": words(verbs)});
    if let Some(kinds) = rest.first().filter(|kinds| **kinds != "*") {
        let kinds = words(kinds).into_iter().map(|name| {
            let kind = Kind::by_any_name(&name);
            kind.map(Kind::as_str)
                .ok_or_else(|| format!("`{name}` is no kind of resource"))
        });
        grant["kinds"] = kinds.collect::<Result<Vec<_>, _>>()?.into();
    }
    if let Some(namespaces) = rest.get(1).filter(|namespaces| **namespaces != "*") {
        grant["namespaces"] = words(namespaces).into();
    }
    Ok(grant)
}

/// A grant as people write it.
fn grant_text(grant: &Value) -> String {
    let words = |name: &str| {
        let members = grant.get(name).and_then(Value::as_array)?;
        let members: Vec<_> = members.iter().filter_map(Value::as_str).collect();
        Some(members.join(","))
    };
    let part = |name: &str| words(name).unwrap_or_else(|| "*".to_owned());
    let (verbs, kinds, namespaces) = (part("verbs"), part("kinds"), part("namespaces"));
    match (&*kinds, &*namespaces) {
        ("*", "*") => verbs,
        (_, "*") => format!("{verbs}:{kinds}"),
        _ => format!("{verbs}:{kinds}:{namespaces}"),
    }
}

fn table(tokens: Manifest<'_>, now_ms: u64) -> Table {
    let mut table = Table::new(["ID", "NAME", "STATE", "AGE", "MAY"]);
    for token in tokens.items("/items") {
        let time = |pointer: &str| token.0.pointer(pointer).and_then(Value::as_u64);
        let state = match (time("/revokedAtMs"), time("/expiresAtMs")) {
            (Some(_), _) => "revoked".into(),
            (None, Some(end)) if end <= now_ms => "expired".into(),
            (None, Some(end)) => format!("expires in {}", time::age(now_ms, end)),
            (None, None) => "valid".into(),
        };
        table.row([
            token.text_or_none("/id"),
            token.text_or_none("/name"),
            state,
            listed(time("/createdAtMs").map(|created| time::age(created, now_ms))),
            match token.0.get("grants").and_then(Value::as_array) {
                None => "everything".into(),
                Some(grants) => grants.iter().map(grant_text).collect::<Vec<_>>().join(" "),
            },
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_reads_as_it_is_written() {
        for (text, expected) in [
            ("get,plan", json!({"verbs": ["get", "plan"]})),
            (
                "update:route,Backend:shop",
                json!({"verbs": ["update"], "kinds": ["HTTPRoute", "Backend"], "namespaces": ["shop"]}),
            ),
            ("get:*:a,b", json!({"verbs": ["get"], "namespaces": ["a", "b"]})),
        ] {
            assert_eq!(grant(text).unwrap(), expected, "{text}");
        }
        assert_eq!(grant_text(&grant("get:*:a,b").unwrap()), "get:*:a,b");
        assert_eq!(grant_text(&grant("get:backends").unwrap()), "get:Backend");
        assert!(grant("get:Rout").is_err() && grant("get:a:b:c").is_err());
    }
}
