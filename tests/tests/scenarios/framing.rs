//! Requests that are not what they seem (RFC 9112), through the real proxy; `cases/framing.jsonl`
//! says what has to come of each.

use std::path::Path;

use sluice_tests::cases::read;
use sluice_tests::framing::{self, Case};

fn cases() -> Vec<Case> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/framing.jsonl")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_forwarded_in_another_meaning_than_it_was_read() {
    let failures = framing::run(cases(), 16).await.unwrap();
    for failure in &failures {
        let sent = failure.case.raw.escape_ascii().to_string();
        eprintln!("{}: {:?} {:.200}", failure.case.id, failure.faults, sent);
        eprintln!("  client: {}", failure.outcome.answer.escape_ascii());
    }
    assert!(failures.is_empty(), "{} cases failed", failures.len());
}

#[test]
fn each_case_has_a_name_of_its_own() {
    let mut names: Vec<_> = cases().into_iter().map(|case| case.id).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}
