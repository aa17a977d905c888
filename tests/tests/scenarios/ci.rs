//! `deploy/ci`: the very commands that the workflows of GitHub and GitLab have, against a real fleet.

mod checkout;
mod review;
mod taken_back;

use std::fs;
use std::path::Path;

use serde_json::Value;
use sluice_tests::forge::Forge;
use sluice_tests::rest::Rest;
use sluice_tests::servers::sluice;
use sluice_tests::site::Site;

use checkout::{Checkout, Place};

/// What is live, without a word on revisions.
async fn live(rest: &Rest) -> String {
    sluice(rest, &["export", "-A"]).await.unwrap()
}

async fn newest(rest: &Rest) -> u64 {
    let history = sluice(rest, &["history", "-o", "json"]).await.unwrap();
    let history: Value = serde_json::from_str(&history).unwrap();
    history["items"][0]["revision"].as_u64().unwrap_or_default()
}

#[test]
fn every_script_that_a_workflow_runs_is_there_and_may_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/ci");
    let read = |file: &str| fs::read_to_string(directory.join(file)).unwrap();
    for file in ["github.yaml", "gitlab.yaml"] {
        let text = read(file);
        let mut scripts: Vec<_> = text
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("ci/")?.strip_suffix(".sh"))
            .collect();
        scripts.sort_unstable();
        assert_eq!(scripts, ["comment", "deliver", "review"], "{file}");
        for script in scripts {
            let path = directory.join(format!("{script}.sh"));
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o111, 0o111, "{}", path.display());
        }
    }
    let github: Value = serde_saphyr::from_str(&read("github.yaml")).unwrap();
    assert_eq!(github["on"]["push"]["branches"][0], "main");
    assert_eq!(github["jobs"]["review"]["permissions"]["pull-requests"], "write");
    assert_eq!(github["permissions"]["contents"], "read");
    let gitlab: Value = serde_saphyr::from_str(&read("gitlab.yaml")).unwrap();
    for job in ["review", "deliver"] {
        let stages = gitlab["stages"].as_array().unwrap();
        assert!(stages.contains(&gitlab[job]["stage"]), "{job}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_say_how_they_are_used_and_what_they_cannot_reach() {
    let (site, forge) = (Site::start(0).await.unwrap(), Forge::start(0).await.unwrap());
    let rest = site.rest();
    let checkout = Checkout::new(Place::GitHub, rest).await;
    let run =
        async |command: &str, more: &[(&str, &str)]| checkout.shell(command, rest, &forge, &[], more).await;
    for wrong in [
        "ci/review.sh",
        "ci/review.sh routing",
        "ci/review.sh nowhere review.md",
        "ci/deliver.sh",
        "ci/deliver.sh nowhere",
        "ci/comment.sh github",
        "ci/comment.sh github nothing.md",
        "ci/comment.sh forge ci/review.sh",
    ] {
        let ran = run(wrong, &[]).await;
        assert_eq!(ran.code, Some(2), "{wrong}: {ran:?}");
        assert!(ran.stderr.contains("Exit codes: 0"), "{wrong}: {ran:?}");
    }
    let nobody = [("SLUICE_TOKEN", "none")];
    for command in ["ci/review.sh routing review.md", "ci/deliver.sh routing"] {
        let ran = run(command, &nobody).await;
        assert_eq!(ran.code, Some(1), "{command}: {ran:?}");
        assert!(
            ran.stderr.contains("does not accept this token"),
            "{command}: {ran:?}"
        );
    }
    let stranger = [("GITHUB_TOKEN", "none"), ("PULL_REQUEST", "7")];
    let ran = run("ci/comment.sh github ci/review.sh", &stranger).await;
    assert_eq!(ran.code, Some(22), "curl says what the forge refuses: {ran:?}");
}
