//! Each command, however it ends.

use std::fs;
use std::net::SocketAddr;

use super::control_plane::{control_plane, sluice};
use super::{APPLIED, COMPLETE, PENDING, PROBLEM, REFUSED};

const MANIFEST: &str =
    "apiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {name: a}\nspec: {endpoints: []}\n";
const SECRET: &str = r#"{"id": "t1", "token": "secret"}"#;
const NO_ITEMS: &str = r#"{"items": []}"#;
const SAME: &str =
    r#"{"revision": 1, "created": 0, "updated": 0, "deleted": 0, "unchanged": 3, "resources": []}"#;
const DIFFERENT: &str = r#"{"revision": 1, "created": 1, "updated": 0, "deleted": 0, "unchanged": 3, "resources": [
    {"kind": "Backend", "namespace": "default", "name": "a", "action": "created", "after": {"kind": "Backend"}}]}"#;

/// Every command that asks a control plane, with an answer that it is content with, and with arguments that
/// it does not take. `FILE` stands for a manifest, `DIR` for a directory that is not there yet.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("apply -f FILE", APPLIED, "apply"),
    (
        "plan -f FILE",
        r#"{"base": 1, "revision": 2, "changes": [], "views": []}"#,
        "plan --against x -f FILE",
    ),
    (
        "replay -f FILE",
        r#"{"traffic": {"requests": 1, "judged": 1, "changed": 0}}"#,
        "replay --since x -f FILE",
    ),
    ("diff -f FILE", SAME, "diff --against x -f FILE"),
    ("export", r#"{"kind": "Backend"}"#, "export --force"),
    (
        "export DIR",
        r#"{"kind": "Backend", "metadata": {"namespace": "default", "name": "a"}}"#,
        "export DIR DIR",
    ),
    ("get backends", NO_ITEMS, "get nothing"),
    (
        "get backend a",
        r#"{"metadata": {"name": "a"}}"#,
        "get backend a b",
    ),
    ("delete backend a", APPLIED, "delete backends"),
    (
        "describe backend a",
        r#"{"metadata": {"name": "a"}}"#,
        "describe all",
    ),
    ("history", NO_ITEMS, "history --limit x"),
    ("audit", NO_ITEMS, "audit --limit x"),
    ("rollback 6", APPLIED, "rollback six"),
    ("receipt 7", COMPLETE, "receipt"),
    ("fleet", r#"{"proxies": []}"#, "fleet --nothing"),
    ("fleet replicas", r#"{"replicas": []}"#, "fleet replicas x"),
    ("fleet forget a", "", "fleet forget"),
    ("fleet label a zone=eu", r#"{"labels": {}}"#, "fleet label a"),
    ("fleet revoke a", "", "fleet revoke"),
    (
        "explain GET http://a/",
        r#"{"revision": 1, "decision": {"outcome": "noRoute"}, "nearMisses": []}"#,
        "explain GET",
    ),
    (
        "explain GET http://a/ -f FILE",
        r#"{"revision": 2, "base": 1, "decision": {"outcome": "noRoute"}, "nearMisses": []}"#,
        "explain GET http://a/ --dangling-refs warn",
    ),
    ("ca show", NO_ITEMS, "ca"),
    ("ca rotate", NO_ITEMS, "ca rotate now"),
    ("token list", NO_ITEMS, "token list a"),
    ("token create a", SECRET, "token create"),
    ("token revoke a", "", "token revoke"),
    ("token debug", SECRET, "token debug --host"),
    ("token join list", NO_ITEMS, "token join list a"),
    ("token join create", SECRET, "token join create --label a"),
    ("token join revoke a", "", "token join revoke"),
    (
        "lint --live --prune -f FILE",
        r#"{"items": [], "notes": []}"#,
        "lint --prune -f FILE",
    ),
];

struct Place {
    directory: tempfile::TempDir,
    file: String,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, MANIFEST).unwrap();
        let file = file.display().to_string();
        Self { directory, file }
    }

    /// Exit code and standard error.
    fn run(&self, server: SocketAddr, line: &str) -> (Option<i32>, String) {
        let files = self.directory.path().join("files").display().to_string();
        let word = |word| match word {
            "FILE" => self.file.as_str(),
            "DIR" => files.as_str(),
            other => other,
        };
        let words: Vec<_> = line.split(' ').map(word).collect();
        let output = sluice(server, &words).unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}

#[test]
fn every_command_ends_with_0_when_all_is_well() {
    for (line, answer, _) in COMMANDS {
        let server = control_plane((200, answer), COMPLETE).unwrap();
        let (code, said) = Place::new().run(server, line);
        assert_eq!(code, Some(0), "{line}: {said}");
    }
}

#[test]
fn every_command_ends_with_1_when_it_is_refused_or_nobody_is_there() {
    let place = Place::new();
    let refusing = control_plane((422, PROBLEM), PROBLEM).unwrap();
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    // There 1 says that there is a difference.
    let expected = |line: &str| {
        if line.starts_with("diff") {
            Some(2)
        } else {
            Some(1)
        }
    };
    for (line, ..) in COMMANDS.iter().filter(|(line, ..)| !line.starts_with("receipt")) {
        let (code, said) = place.run(refusing, line);
        assert_eq!(code, expected(line), "{line}: {said}");
        assert!(said.contains("did you mean rules?"), "{line}: {said}");
        let (code, said) = place.run(nobody, line);
        assert_eq!(code, expected(line), "{line}: {said}");
        assert!(said.contains("cannot reach the control plane"), "{line}: {said}");
    }
    let (code, said) = place.run(nobody, "version");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn every_command_ends_with_2_when_it_is_not_understood() {
    let (place, nobody) = (Place::new(), control_plane((500, ""), "").unwrap());
    let more = ["completion cobol", "dev --proxies x", "lint", "version x"];
    for line in COMMANDS.iter().map(|(.., wrong)| *wrong).chain(more) {
        let (code, said) = place.run(nobody, line);
        assert_eq!(code, Some(2), "{line}: {said}");
    }
}

#[test]
fn writes_that_wait_end_with_1_when_proxies_refuse_and_with_3_when_time_runs_out() {
    let place = Place::new();
    let line = |line: &str| format!("{line} --wait 10ms");
    for waits in ["apply -f FILE", "delete backend a", "rollback 6", "receipt 7"] {
        for (receipt, expected) in [(COMPLETE, 0), (REFUSED, 1), (PENDING, 3)] {
            let server = control_plane((200, APPLIED), receipt).unwrap();
            let (code, said) = place.run(server, &line(waits));
            assert_eq!(code, Some(expected), "{waits}: {said}");
        }
    }
}

#[test]
fn a_difference_is_1_and_trouble_with_a_file_2() {
    let place = Place::new();
    let server = control_plane((200, DIFFERENT), COMPLETE).unwrap();
    assert_eq!(place.run(server, "diff -f FILE").0, Some(1));
    assert_eq!(place.run(server, "diff -f nowhere.yaml").0, Some(2));
    assert_eq!(place.run(server, "apply -f nowhere.yaml").0, Some(1));
}

#[test]
fn an_export_leaves_files_of_others_alone_and_says_so_with_1() {
    let place = Place::new();
    let manifest = r#"{"kind": "Backend", "metadata": {"namespace": "default", "name": "a"}}"#;
    let server = control_plane((200, manifest), COMPLETE).unwrap();
    let path = place.directory.path().join("files/default/backends/a.yaml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "# ours\n").unwrap();
    assert_eq!(place.run(server, "export DIR").0, Some(1));
    assert_eq!(fs::read_to_string(&path).unwrap(), "# ours\n");
    assert_eq!(place.run(server, "export DIR --force").0, Some(0));
}

#[test]
fn an_export_that_cannot_tell_what_is_gone_leaves_it_and_says_so_with_1() {
    let place = Place::new();
    let manifest = |name: &str| {
        format!(r#"{{"kind": "Backend", "metadata": {{"name": "{name}", "namespace": "default"}}}}"#)
    };
    let (both, one) = (format!("{}\n{}", manifest("a"), manifest("b")), manifest("a"));
    let serve = |answer: &str| control_plane((200, answer.to_owned().leak()), COMPLETE).unwrap();
    let (code, said) = place.run(serve(&both), "export DIR");
    assert_eq!(code, Some(0), "{said}");
    let stale = place.directory.path().join("files/default/backends/b.yaml");
    // This control plane says nothing of what the token may not get, as builds before this one.
    for (answer, line, expected) in [
        (&*one, "export DIR", 0),
        (&*one, "export DIR --prune", 1),
        ("", "export DIR --prune", 1),
    ] {
        let (code, said) = place.run(serve(answer), line);
        assert_eq!(code, Some(expected), "{line}: {said}");
        assert!(stale.exists(), "{line}: {said}");
    }
    assert_eq!(place.run(serve(&one), "export DIR --prune -l a=b").0, Some(2));
}
