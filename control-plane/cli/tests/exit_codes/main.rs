//! What scripts rely on: exit codes, what goes to which stream, what can be piped.

// Clippy's `allow-unwrap-in-tests` does not reach functions that tests share.
#![allow(clippy::unwrap_used)]

mod control_plane;
mod every_command;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use control_plane::{control_plane, sluice};

const APPLIED: &str = r#"{"revision": 7, "warnings": ["route attaches to nothing"],
    "changes": [{"kind": "Gateway", "namespace": "default", "name": "edge", "action": "created"}]}"#;
const PENDING: &str = r#"{"revision": 7, "fleet": 2, "applied": 1, "refused": [], "pending": ["edge-2"]}"#;
const COMPLETE: &str = r#"{"revision": 7, "fleet": 2, "applied": 2, "refused": [], "pending": [],
    "appliedMs": {"p50": 1.0, "p95": 2.0, "p99": 2.0, "max": 2.0}}"#;
const REFUSED: &str = r#"{"revision": 7, "fleet": 2, "applied": 1, "pending": [], "refused": [{"proxy": "edge-2",
    "violations": [{"resource": "listener/default/edge/http", "field": "port", "code": "local", "message": "in use"}]}]}"#;
const PROBLEM: &str = r#"{"title": "Invalid content", "status": 422, "violations": [
    {"resource": "HTTPRoute/default/shop", "field": "spec.rulez", "code": "unknownField", "message": "did you mean rules?"}]}"#;

/// Exit code, standard output, standard error of an `apply` of nothing.
fn apply(server: SocketAddr, arguments: &[&str]) -> io::Result<(Option<i32>, String, String)> {
    let arguments: Vec<_> = ["apply", "-f", "-"].iter().chain(arguments).copied().collect();
    let output = sluice(server, &arguments)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.code(), text(output.stdout), text(output.stderr)))
}

#[test]
fn done_is_0_and_warnings_are_not_in_what_is_piped() {
    let server = control_plane((200, APPLIED), COMPLETE).unwrap();
    let (code, out, err) = apply(server, &["--wait", "10s"]).unwrap();
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(
        out,
        "gateway/edge created\nrevision 7\n2 of 2 proxies, p50 1 ms, max 2 ms\n"
    );
    assert_eq!(err, "warning: route attaches to nothing\n");
}

#[test]
fn refused_by_the_control_plane_is_1_with_every_violation() {
    let server = control_plane((422, PROBLEM), COMPLETE).unwrap();
    let (code, out, err) = apply(server, &[]).unwrap();
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        "error: Invalid content (422)\n  \
         HTTPRoute/default/shop  spec.rulez  did you mean rules? (unknownField)\n"
    );
}

#[test]
fn refused_by_a_proxy_is_1_with_its_reason() {
    let server = control_plane((200, APPLIED), REFUSED).unwrap();
    let (code, _, err) = apply(server, &["--wait", "10s"]).unwrap();
    assert_eq!(code, Some(1));
    assert!(
        err.contains("refused by edge-2\n  listener/default/edge/http  port  in use (local)"),
        "{err}"
    );
    let (code, ..) = apply(server, &["--wait", "10s", "--quorum", "0.5"]).unwrap();
    assert_eq!(code, Some(0), "half of the fleet is enough");
}

#[test]
fn time_run_out_is_3_with_who_is_missing() {
    let server = control_plane((200, APPLIED), PENDING).unwrap();
    let (code, out, err) = apply(server, &["--wait", "10ms"]).unwrap();
    assert_eq!(code, Some(3));
    assert!(out.contains("1 of 2 proxies, 1 pending"), "{out}");
    assert!(err.ends_with("timed out waiting for edge-2\n"), "{err}");
}

#[test]
fn as_json_the_receipt_is_part_of_the_one_answer() {
    let server = control_plane((200, APPLIED), PENDING).unwrap();
    let (code, out, _) = apply(server, &["--wait", "10ms", "-o", "json"]).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &answer["receipt"]["pending"][0]),
        (Some(3), &"edge-2".into())
    );
}

#[test]
fn wrong_usage_is_2() {
    let nobody = control_plane((500, ""), "").unwrap();
    for wrong in [
        &["apply"][..],
        &["get", "routez"],
        &["get", "all", "shop"],
        &["delete", "routes"],
        &["apply", "-f", "-", "--quorum", "0.5"],
        &["apply", "-f", "-", "--wait", "soon"],
        &["receipt", "seven"],
        &["frobnicate"],
    ] {
        assert_eq!(sluice(nobody, wrong).unwrap().status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn the_completion_script_is_one_that_bash_can_read() {
    let nobody = control_plane((500, ""), "").unwrap();
    let script = sluice(nobody, &["completion", "bash"]).unwrap().stdout;
    let checked = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut bash = checked.unwrap();
    bash.stdin.take().unwrap().write_all(&script).unwrap();
    assert!(bash.wait().unwrap().success());
    assert!(script.len() > 1_000);
}

#[test]
fn lint_needs_no_control_plane_and_fails_for_errors_and_with_strict_for_warnings() -> io::Result<()> {
    const GOOD: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: sluice, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: sluice.dev/v1
kind: Backend
metadata: {name: web}
spec: {endpoints: [{address: 10.0.0.1, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: edge}]
  rules:
  - name: all
    backendRefs: [{name: web}]
";
    const SHADOWED: &str = "
  - name: never
    matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{name: web}]
";
    const IDLE: &str = "
---
apiVersion: sluice.dev/v1
kind: Backend
metadata: {name: idle}
spec: {endpoints: [{address: 10.0.0.2, port: 80}]}
";
    let directory = tempfile::tempdir()?;
    let lint = |text: String, more: &[&str]| -> io::Result<(Option<i32>, String)> {
        let file = directory.path().join("a.yaml");
        std::fs::write(&file, text)?;
        let file = file.display().to_string();
        let arguments = [&["lint", "-f", &file][..], more].concat();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let output = sluice(nobody, &arguments)?;
        Ok((
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        ))
    };
    assert_eq!(
        lint(GOOD.to_owned(), &[])?,
        (Some(0), "nothing found\n".to_owned())
    );
    let (code, said) = lint(format!("{GOOD}{SHADOWED}{IDLE}"), &[])?;
    assert_eq!(code, Some(0), "{said}");
    for words in [
        "HTTPRoute/default/shop",
        "spec.rules[1].matches[0]",
        "HTTPRoute/default/shop spec.rules[0]",
        "(GET http://any.example/)",
        "Backend/default/idle",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(lint(format!("{GOOD}{SHADOWED}"), &["--strict"])?.0, Some(1));
    let (code, said) = lint(GOOD.replace("name: web}]", "name: wep}]"), &[])?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("spec.rules[0].backendRefs[0]"), "{said}");
    let (code, said) = lint("kind: [".to_owned(), &["-o", "json"])?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a.yaml"), "{said}");
    let policy = "\n---\napiVersion: sluice.dev/v1\nkind: LintPolicy\nmetadata: {name: p}\nspec: {rules: {unused: error}}\n";
    let (code, said) = lint(format!("{GOOD}{IDLE}{policy}"), &["-o", "markdown"])?;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("| **error** `unused` | `Backend/default/idle` |"),
        "{said}"
    );
    let quiet = policy.replace("error", "off");
    assert_eq!(lint(format!("{GOOD}{IDLE}{quiet}"), &["--strict"])?.0, Some(0));
    Ok(())
}

#[test]
fn a_replay_of_a_log_of_which_no_line_can_be_read_is_2_with_the_reasons() -> io::Result<()> {
    const REPLAYED: &str = r#"{"base": 1, "revision": 2, "warnings": [],
        "traffic": {"requests": 1, "judged": 1, "changed": 1, "targetPercent": 100.0, "classCount": 0, "classes": []},
        "malformed": {"requests": 0, "examples": []}}"#;
    const GOOD: &str = "{\"method\":\"GET\",\"host\":\"a.x\",\"path\":\"/\"}\n";
    let server = control_plane((200, REPLAYED), "")?;
    let directory = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> io::Result<String> {
        let file = directory.path().join(name);
        std::fs::write(&file, text)?;
        Ok(file.display().to_string())
    };
    let manifest = file("a.yaml", "kind: Gateway\n")?;
    let replay = |log: &str| -> io::Result<(Option<i32>, String, String)> {
        let output = sluice(server, &["replay", "-f", &manifest, "--log", log])?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((output.status.code(), text(output.stdout), text(output.stderr)))
    };
    let bad = file("bad.log", "{\"host\":\"a\"}\nx\n")?;
    let (code, _, err) = replay(&bad)?;
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("bad.log:1: missing field `method`"), "{err}");
    assert!(
        err.contains("bad.log:2: is not as nginx's combined writes it"),
        "{err}"
    );
    assert_eq!(replay(&file("empty.log", "\n")?)?.0, Some(2));
    let (code, out, err) = replay(&file("part.log", &format!("x\n{GOOD}"))?)?;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("100 % of 1 requests change target.\n"), "{out}");
    assert!(
        out.contains("Not read: 1 of 2 lines: ") && out.contains("part.log:1"),
        "{out}"
    );
    Ok(())
}

#[test]
fn a_replay_without_samples_or_of_what_cannot_be_judged_is_1_and_options_of_logs_need_one() -> io::Result<()>
{
    let directory = tempfile::tempdir()?;
    let manifest = directory.path().join("a.yaml");
    std::fs::write(&manifest, "kind: Gateway\n")?;
    let manifest = manifest.display().to_string();
    let replay = |answer: &'static str, more: &[&str]| -> io::Result<(Option<i32>, String)> {
        let server = control_plane((200, answer), "")?;
        let output = sluice(server, &[&["replay", "-f", &manifest], more].concat())?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
    };
    let (code, said) = replay(r#"{"traffic": {"requests": 0, "judged": 0}}"#, &[])?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no requests were sampled"), "{said}");
    let unknown = r#"{"traffic": {"requests": 3, "judged": 0, "notJudged": {"requests": 3, "hidden": {"x-user": 3}}},
        "sampled": {"fromMs": 1000, "toMs": 18001000, "views": [], "leftOut": 2, "unread": 1, "viewsOmitted": 3, "requestsOmitted": 1200}}"#;
    let (code, said) = replay(unknown, &["--since", "3h"])?;
    assert_eq!(code, Some(1), "{said}");
    for line in [
        "No request could be judged.",
        "Sampled by proxies in the last 5h, each standing for those like it, so shares are estimates: by how much is not known.",
        "Not counted: 2 requests that were too long to be kept.",
        "Not read: 1 kind of what is stored.",
        "Not looked at: 3 further combinations of proxy selectors, with 1,200 requests.",
        "or not even that (x-user: 3)",
    ] {
        assert!(said.contains(line), "{said}");
    }
    for of_logs in [
        "--host=a.x",
        "--port=80",
        "--scheme=http",
        "--user-agent",
        "--recorded=*",
        "--format=json",
    ] {
        let (code, said) = replay(unknown, &[of_logs])?;
        assert_eq!(code, Some(2), "{of_logs}: {said}");
    }
    assert_eq!(replay(unknown, &["--since=1h", "--log=-"])?.0, Some(2));
    Ok(())
}

#[test]
fn lint_of_what_is_live_asks_the_control_plane_and_rules_are_listed_without() {
    const FOUND: &str = r#"{"notes": [], "items": [{"severity": "warning", "resource": "Backend/default/x",
        "field": "", "code": "unused", "message": "nothing refers to it"}]}"#;
    let server = control_plane((200, FOUND), COMPLETE).unwrap();
    let lint = |arguments: &[&str]| sluice(server, &[&["lint"], arguments].concat()).unwrap();
    let output = lint(&["--live"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Backend/default/x"));
    assert_eq!(lint(&["--live", "--strict"]).status.code(), Some(1));
    assert_eq!(lint(&["--live", "-f", "-"]).status.code(), Some(0));
    let refused = control_plane((422, PROBLEM), COMPLETE).unwrap();
    let output = sluice(refused, &["lint", "--live", "-f", "-"]).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let rules = lint(&["--rules"]);
    assert_eq!(rules.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&rules.stdout).contains("capture"));
    for wrong in [&[][..], &["--rules", "--live"], &["--frobnicate"]] {
        assert_eq!(lint(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
