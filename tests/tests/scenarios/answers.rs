//! Answers that are not what they seem, through the real proxy; `cases/answers.jsonl` says what has
//! to come of each.

use std::path::Path;

use sluice_tests::{answers, cases};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_answer_reaches_no_client_and_spoils_no_other() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/answers.jsonl");
    let failures = answers::run(cases::read(&file).unwrap()).await.unwrap();
    for failure in &failures {
        let client = failure.got.bytes.escape_ascii().to_string();
        eprintln!("{}: {:?} {client:.200}", failure.case.id, failure.faults);
    }
    assert!(failures.is_empty(), "{} cases failed", failures.len());
}
