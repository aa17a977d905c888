//! The list of proxies: those that need looking at first, and how many there are of each.

use clap::Args;
use serde_json::Value;

use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::Scope;
use crate::table::{NONE, Table, listed};
use crate::{print, time};

/// Statuses of proxies, those first that are to be seen first.
const STATUSES: [&str; 4] = ["refused", "behind", "lost", "current"];

/// Which proxies to list; all of them when nothing is said.
#[derive(Debug, Args)]
pub(crate) struct Listed {
    /// Those that lack a revision and have refused nothing
    #[arg(long)]
    behind: bool,
    /// Those that refused a revision since they last applied one
    #[arg(long)]
    refused: bool,
    /// Those that have been away for 15 seconds or longer, and do not count any more
    #[arg(long)]
    lost: bool,
}

impl Listed {
    /// The statuses that are asked for, as the control plane reads them; `None` for all.
    fn statuses(&self) -> Option<String> {
        let flags = [self.refused, self.behind, self.lost];
        let asked = STATUSES.iter().zip(flags).filter(|(_, flag)| *flag);
        let asked: Vec<_> = asked.map(|(status, _)| *status).collect();
        (!asked.is_empty()).then(|| asked.join(","))
    }
}

/// Prints the proxies that are asked for, and how many there are of all.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(super) async fn print(client: &Client, scope: &Scope, asked: &Listed) -> Result<(), Failure> {
    let request = Request::get(&["v1", "fleet"]).query_if("status", asked.statuses());
    let answer = client.send(request).await?;
    print::result(scope.output, &answer, |answer| {
        let (fleet, now_ms) = (Manifest(answer), time::now_ms());
        Ok(format!("{}\n{}\n", table(fleet, now_ms), summary(fleet, now_ms)))
    })
}

fn table(fleet: Manifest<'_>, now_ms: u64) -> Table {
    let mut table = Table::new([
        "ID",
        "STATUS",
        "REVISION",
        "BEHIND",
        "REPLICA",
        "VERSION",
        "AGE",
        "LISTENERS",
        "LABELS",
        "REFUSED",
    ]);
    let mut proxies: Vec<_> = fleet.items("/proxies").collect();
    // Among equals the one that is behind for longest; the sort keeps the order of ids.
    proxies.sort_by_key(|proxy| (rank(*proxy), number(*proxy, "/behindSinceMs").unwrap_or(u64::MAX)));
    for proxy in proxies {
        let labels = proxy.pairs("/labels").into_iter();
        let since = number(proxy, "/sinceMs");
        table.row([
            proxy.text_or_none("/id"),
            proxy.text_or_none("/status"),
            proxy.text_or_none("/revision"),
            behind(proxy, now_ms),
            proxy.text_or_none("/replica").chars().take(8).collect(),
            proxy.text_or_none("/version"),
            listed(since.map(|since| time::age(since, now_ms))),
            listed(proxy.items("/listeners").map(listener)),
            listed(labels.map(|(name, value)| format!("{name}={value}"))),
            refused(proxy, now_ms).unwrap_or_else(|| NONE.to_owned()),
        ]);
    }
    table
}

fn rank(proxy: Manifest<'_>) -> usize {
    let status = proxy.text("/status").unwrap_or_default();
    let known = STATUSES.iter().position(|known| *known == status);
    known.unwrap_or(STATUSES.len())
}

fn number(of: Manifest<'_>, pointer: &str) -> Option<u64> {
    of.0.pointer(pointer).and_then(Value::as_u64)
}

/// How many revisions a proxy lacks, and for how long: `3 (12s)`, `0`.
fn behind(proxy: Manifest<'_>, now_ms: u64) -> String {
    let lacking = proxy.text("/behind").unwrap_or_else(|| "all".to_owned());
    match number(proxy, "/behindSinceMs") {
        Some(since) => format!("{lacking} ({})", time::age(since, now_ms)),
        None => proxy.text_or_none("/behind"),
    }
}

/// What a proxy refused, when, and the first reason: `41 (3m ago): listener/default/edge/http port: in use`.
fn refused(proxy: Manifest<'_>, now_ms: u64) -> Option<String> {
    let refusal = Manifest(proxy.0.pointer("/refusal")?);
    let mut text = refusal.text_or_none("/refusedRevision");
    let since = number(refusal, "/refusedAtMs").map(|at| format!("{} ago", time::age(at, now_ms)));
    let retries = refusal.text("/retrying").as_deref() == Some("true");
    let again = retries.then(|| "tries again".to_owned());
    let remarks: Vec<_> = since.into_iter().chain(again).collect();
    if !remarks.is_empty() {
        text = format!("{text} ({})", remarks.join(", "));
    }
    let mut violations = refusal.items("/violations");
    let Some(first) = violations.next() else {
        return Some(text);
    };
    let place = [first.text("/resource"), first.text("/field")];
    let place: Vec<_> = place
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    let message = first.text_or_none("/message");
    let reason = match place.is_empty() {
        true => message,
        false => format!("{}: {message}", place.join(" ")),
    };
    let more = match violations.len() {
        0 => String::new(),
        more => format!(" + {more} more"),
    };
    Some(format!("{text}: {reason}{more}"))
}

/// `9 proxies: 5 current, 2 behind, 1 refused, 1 lost; the longest behind for 12s`.
fn summary(fleet: Manifest<'_>, now_ms: u64) -> String {
    let count = |status: &str| number(fleet, &format!("/summary/{status}")).unwrap_or_default();
    let all = count("proxies");
    let mut text = format!("{all} {}", if all == 1 { "proxy" } else { "proxies" });
    let statuses = ["current", "behind", "refused", "lost"].map(|status| (status, count(status)));
    let some = statuses.iter().filter(|(_, count)| *count > 0);
    let some: Vec<_> = some.map(|(status, count)| format!("{count} {status}")).collect();
    if !some.is_empty() {
        text = format!("{text}: {}", some.join(", "));
    }
    match number(fleet, "/summary/behindSinceMs") {
        Some(since) => format!("{text}; the longest behind for {}", time::age(since, now_ms)),
        None => text,
    }
}

/// `http=127.0.0.1:7480`.
fn listener(listener: Manifest<'_>) -> String {
    let (name, address) = (listener.text_or_none("/name"), listener.text_or_none("/address"));
    format!("{name}={address}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 10_000_000;

    fn refusal() -> Value {
        let violation = |resource: &str, field: &str| json!({"resource": resource, "field": field, "code": "local", "message": "in use"});
        json!({
            "refusedRevision": 41, "refusedAtMs": NOW - 180_000, "retrying": true,
            "violations": [violation("listener/default/edge/http", "port"), violation("", "")],
        })
    }

    #[test]
    fn those_that_need_looking_at_come_first_with_what_and_since_when() {
        let proxy = |id: &str, status: &str, revision: u64| {
            json!({"id": id, "status": status, "revision": revision, "behind": 43 - revision,
                "replica": "0123456789", "version": "1.0", "sinceMs": NOW - 7_200_000, "labels": {"zone": "eu"},
                "listeners": [{"name": "http", "address": "127.0.0.1:7480"}]})
        };
        let since = |mut proxy: Value, ms: u64| {
            proxy["behindSinceMs"] = json!(NOW - ms);
            proxy
        };
        let mut refused = since(proxy("d", "refused", 40), 300_000);
        refused["refusal"] = refusal();
        let mut fresh = since(json!({"id": "e", "status": "behind"}), 1_000);
        fresh["listeners"] = json!([]);
        let answer = json!({
            "proxies": [
                proxy("a", "current", 43), since(proxy("b", "behind", 42), 2_000),
                since(proxy("c", "behind", 40), 12_000), refused, fresh,
                since(proxy("f", "lost", 1), 90_000),
            ],
            "summary": {"proxies": 6, "connected": 5, "current": 1, "behind": 3, "refused": 1, "lost": 1,
                "behindSinceMs": NOW - 300_000},
        });
        assert_eq!(
            table(Manifest(&answer), NOW).to_string(),
            "\
ID   STATUS    REVISION   BEHIND     REPLICA    VERSION   AGE      LISTENERS             LABELS    REFUSED
d    refused   40         3 (5m)     01234567   1.0       120m     http=127.0.0.1:7480   zone=eu   41 (3m ago, tries again): listener/default/edge/http port: in use + 1 more
c    behind    40         3 (12s)    01234567   1.0       120m     http=127.0.0.1:7480   zone=eu   <none>
b    behind    42         1 (2s)     01234567   1.0       120m     http=127.0.0.1:7480   zone=eu   <none>
e    behind    <none>     all (1s)   <none>     <none>    <none>   <none>                <none>    <none>
f    lost      1          42 (90s)   01234567   1.0       120m     http=127.0.0.1:7480   zone=eu   <none>
a    current   43         0          01234567   1.0       120m     http=127.0.0.1:7480   zone=eu   <none>
"
        );
        assert_eq!(
            summary(Manifest(&answer), NOW),
            "6 proxies: 1 current, 3 behind, 1 refused, 1 lost; the longest behind for 5m"
        );
    }

    #[test]
    fn a_summary_says_only_what_there_is() {
        let of = |told: Value| summary(Manifest(&json!({"summary": told})), NOW);
        assert_eq!(of(json!({"proxies": 0})), "0 proxies");
        assert_eq!(of(json!({"proxies": 1, "current": 1})), "1 proxy: 1 current");
    }

    #[test]
    fn only_what_is_asked_for_is_asked_for() {
        let asked = |behind, refused, lost| {
            let listed = Listed {
                behind,
                refused,
                lost,
            };
            listed.statuses()
        };
        assert_eq!(asked(false, false, false), None);
        assert_eq!(asked(true, false, false).as_deref(), Some("behind"));
        assert_eq!(asked(true, true, true).as_deref(), Some("refused,behind,lost"));
    }
}
