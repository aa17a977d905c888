//! `deploy/ci`: the very commands that the workflows of GitHub and GitLab have, against a real fleet.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sluice_proto::v1::{Update, Violation};
use sluice_tests::fake_proxy::{FakeProxy, revision};
use sluice_tests::forge::{FORGE_TOKEN, Forge};
use sluice_tests::manifest::{HOST, backend, gateway, list, route_to};
use sluice_tests::rest::Rest;
use sluice_tests::servers::{Ran, binary, sluice};
use sluice_tests::site::Site;
use tempfile::TempDir;

/// One place where pull requests are reviewed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    GitHub,
    GitLab,
}

/// A repository as a runner has checked it out: the scripts in `ci`, the manifests in `routing`.
struct Checkout {
    directory: TempDir,
    place: Place,
    workflow: Value,
    /// What expressions and variables of the workflow stand for.
    values: Vec<(&'static str, String)>,
}

impl Checkout {
    /// A repository with the manifests of a shop, and tokens with the grants that the workflows name.
    async fn new(place: Place, rest: &Rest) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/ci");
        let to = directory.path().join("ci");
        fs::create_dir_all(&to).unwrap();
        fs::create_dir(directory.path().join("routing")).unwrap();
        for script in ["review.sh", "deliver.sh", "comment.sh"] {
            fs::copy(from.join(script), to.join(script)).unwrap();
        }
        let file = match place {
            Place::GitHub => "github.yaml",
            Place::GitLab => "gitlab.yaml",
        };
        let workflow = fs::read_to_string(from.join(file)).unwrap();
        let review = token(rest, "review", &["get,plan"]).await;
        let deliver = token(rest, "deliver", &["get,plan", "create,update,delete"]).await;
        let checkout = Self {
            directory,
            place,
            workflow: serde_saphyr::from_str(&workflow).unwrap(),
            values: vec![
                ("${{ vars.SLUICE_ADMIN }}", rest.url("")),
                ("${{ secrets.SLUICE_REVIEW_TOKEN }}", review.clone()),
                ("${{ secrets.SLUICE_DELIVER_TOKEN }}", deliver.clone()),
                ("${{ github.token }}", FORGE_TOKEN.into()),
                ("${{ github.event.pull_request.number }}", "7".into()),
                ("$SLUICE_REVIEW_TOKEN", review),
                ("$SLUICE_DELIVER_TOKEN", deliver),
            ],
        };
        checkout.write(
            "shop",
            &[gateway(), backend("web", &[]), route_to("shop", HOST, "web")],
        );
        checkout
    }

    /// Commits a file of manifests.
    fn write(&self, name: &str, manifests: &[Value]) {
        let path = self.directory.path().join("routing").join(format!("{name}.json"));
        fs::write(path, list(manifests).to_string()).unwrap();
    }

    /// What the workflow says in this member, with its expressions filled in.
    fn value(&self, value: &Value) -> String {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned);
        let known = self.values.iter().find(|(name, _)| *name == text);
        let value = known.map_or(text, |(_, value)| value.clone());
        assert!(!value.contains("${{"), "{value}");
        value
    }

    fn pairs(&self, members: &Value) -> Vec<(String, String)> {
        let members = members.as_object().into_iter().flatten();
        members
            .map(|(name, value)| (name.clone(), self.value(value)))
            .collect()
    }

    /// The commands of a job, each with what is in its environment: the steps of GitHub, the one script of
    /// GitLab.
    fn commands(&self, job: &str) -> Vec<(String, Vec<(String, String)>)> {
        match self.place {
            Place::GitHub => {
                let steps = self.workflow["jobs"][job]["steps"].as_array().unwrap().iter();
                let commands = steps.filter_map(|step| Some((step.get("run")?, &step["env"])));
                commands
                    .map(|(run, env)| {
                        let all = [self.pairs(&self.workflow["env"]), self.pairs(env)].concat();
                        (run.as_str().unwrap().to_owned(), all)
                    })
                    .collect()
            }
            Place::GitLab => {
                let lines = self.workflow[job]["script"].as_array().unwrap().iter();
                let lines: Vec<_> = lines.map(|line| line.as_str().unwrap()).collect();
                vec![(lines.join("\n"), self.pairs(&self.workflow[job]["variables"]))]
            }
        }
    }

    /// Runs a job as its runner does: every command of GitHub's, since the second one is for all ends of the first.
    async fn run(&self, job: &str, rest: &Rest, forge: &Forge, more: &[(&str, &str)]) -> Ran {
        let mut all = Ran {
            code: Some(0),
            stdout: String::new(),
            stderr: String::new(),
        };
        for (command, env) in self.commands(job) {
            let ran = self.shell(&command, rest, forge, &env, more).await;
            all.stdout += &ran.stdout;
            all.stderr += &ran.stderr;
            if all.code == Some(0) {
                all.code = ran.code;
            }
        }
        all
    }

    async fn shell(
        &self,
        command: &str,
        rest: &Rest,
        forge: &Forge,
        env: &[(String, String)],
        more: &[(&str, &str)],
    ) -> Ran {
        let programs = binary("sluice").unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut shell = tokio::process::Command::new("bash");
        shell
            .args(["-e", "-o", "pipefail", "-c", command])
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", format!("{}:{path}", programs.parent().unwrap().display()))
            .env("SLUICE_ADMIN", rest.url(""))
            .env("GITHUB_API_URL", forge.url())
            .env("GITHUB_REPOSITORY", "team/site")
            .env("GITLAB_TOKEN", FORGE_TOKEN)
            .env("CI_API_V4_URL", forge.url())
            .env("CI_PROJECT_ID", "12")
            .env("CI_MERGE_REQUEST_IID", "7")
            .env("CI_COMMIT_SHA", "0123abc")
            .envs(env.iter().map(|(name, value)| (name, value)))
            .envs(more.iter().copied());
        Ran::to_end(shell).await.unwrap()
    }
}

/// A token with these grants.
async fn token(rest: &Rest, name: &str, grants: &[&str]) -> String {
    let mut arguments = vec!["token", "create", name, "-o", "json"];
    for grant in grants {
        arguments.extend(["--allow", grant]);
    }
    let made: Value = serde_json::from_str(&sluice(rest, &arguments).await.unwrap()).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

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

async fn reviewed_and_delivered(place: Place) {
    let (site, forge) = (Site::start(2).await.unwrap(), Forge::start(150).await.unwrap());
    let rest = site.rest();
    let checkout = Checkout::new(place, rest).await;

    let review = async || checkout.run("review", rest, &forge, &[]).await;
    let first = review().await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let comment = || {
        let comments = forge.comments();
        assert_eq!(comments.len(), 151, "one comment, which is replaced");
        comments[150].body.clone()
    };
    assert!(comment().contains("HTTPRoute/default/shop"), "{}", comment());
    assert_eq!(newest(rest).await, 0, "nothing is written by a review");

    let delivered = checkout.run("deliver", rest, &forge, &[]).await;
    assert_eq!(delivered.code, Some(0), "{delivered:?}");
    assert!(
        delivered
            .stdout
            .contains("httproute/shop created\nrevision 1\n2 of 2 proxies"),
        "{delivered:?}"
    );
    let again = checkout.run("deliver", rest, &forge, &[]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(newest(rest).await, 1);

    // A file that is wrong in itself, a reference that leads nowhere, and what is probably not meant.
    checkout.write("more", &[route_to("more", HOST, "web")]);
    let path = checkout.directory.path().join("routing/wrong.yaml");
    fs::write(&path, "kind: Backend\nmetadata: {name: x}\n").unwrap();
    let wrong = review().await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(
        comment().contains("an apply would be refused")
            && comment().contains("Backend/default/x  apiVersion"),
        "{}",
        comment()
    );
    fs::remove_file(path).unwrap();
    checkout.write("more", &[route_to("more", HOST, "nowhere")]);
    let dangling = review().await;
    assert_eq!(dangling.code, Some(1), "{dangling:?}");
    assert!(comment().contains("HTTPRoute/default/more"), "{}", comment());
    let refused = checkout.run("deliver", rest, &forge, &[]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(newest(rest).await, 1, "what is refused is not written");
    checkout.write("more", &[backend("more", &[])]);
    assert_eq!(review().await.code, Some(0));
    assert!(comment().contains("Backend/default/more"), "{}", comment());
    assert!(
        comment().contains("The linter has found something"),
        "{}",
        comment()
    );

    // Somebody else has changed the same since the review: nothing is written.
    let theirs = list(&[backend("more", &["127.0.0.1:9".parse().unwrap()])]);
    rest.apply(&theirs, "").await.unwrap();
    let before = live(rest).await;
    let raced = checkout
        .run("deliver", rest, &forge, &[("SLUICE_BASE", "1")])
        .await;
    assert_eq!(raced.code, Some(1), "{raced:?}");
    assert!(
        raced.stderr.contains("changed since the base revision"),
        "{raced:?}"
    );
    assert_eq!((live(rest).await, newest(rest).await), (before, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_reviewed_and_delivered_by_github() {
    reviewed_and_delivered(Place::GitHub).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_reviewed_and_delivered_by_gitlab() {
    reviewed_and_delivered(Place::GitLab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_fleet_does_not_take_in_time_is_taken_back() {
    let (site, forge) = (Site::start(1).await.unwrap(), Forge::start(0).await.unwrap());
    let rest = site.rest();
    let checkout = Checkout::new(Place::GitHub, rest).await;
    assert_eq!(checkout.run("deliver", rest, &forge, &[]).await.code, Some(0));
    let before = live(rest).await;

    // A proxy that says nothing: half of the fleet takes the change, and that is not enough.
    let _deaf = FakeProxy::join(site.control.grpc, "deaf").await.unwrap();
    checkout.write("more", &[backend("more", &[])]);
    let all = [("SLUICE_WAIT", "1s"), ("SLUICE_QUORUM", "1")];
    let late = checkout.run("deliver", rest, &forge, &all).await;
    assert_eq!(late.code, Some(3), "{late:?}");
    assert!(
        late.stderr
            .contains("revision 2 is taken back: 3 has the content of 1"),
        "{late:?}"
    );
    assert_eq!((live(rest).await, newest(rest).await), (before, 3));

    let half = [("SLUICE_WAIT", "20s"), ("SLUICE_QUORUM", "0.5")];
    let enough = checkout.run("deliver", rest, &forge, &half).await;
    assert_eq!(enough.code, Some(0), "{enough:?}");
}

/// A proxy that refuses one revision and takes all others.
async fn refuse(mut proxy: FakeProxy, refused: u64) {
    let violation = || Violation {
        resource: "listener/default/edge/http".into(),
        field: "port".into(),
        code: "local".into(),
        message: "in use".into(),
    };
    let is_refused = |update: &Update| revision(update) == refused;
    // The stream ends with the site.
    while let Ok(update) = proxy.update().await {
        let said = match is_refused(&update) {
            true => proxy.nack(&update, violation()).await,
            false => proxy.ack(&update).await,
        };
        if said.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_proxy_refuses_is_taken_back_unless_others_have_gone_on() {
    let (site, forge) = (Site::start(1).await.unwrap(), Forge::start(0).await.unwrap());
    let rest = site.rest();
    let checkout = Checkout::new(Place::GitLab, rest).await;
    let picky = FakeProxy::join(site.control.grpc, "picky").await.unwrap();
    let picky = tokio::spawn(refuse(picky, 2));
    let all = [("SLUICE_WAIT", "10s"), ("SLUICE_QUORUM", "1")];
    assert_eq!(checkout.run("deliver", rest, &forge, &all).await.code, Some(0));
    let before = live(rest).await;
    checkout.write("more", &[backend("more", &[])]);
    let refused = checkout.run("deliver", rest, &forge, &all).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("refused by picky"), "{refused:?}");
    assert!(
        refused
            .stdout
            .contains("backend/more deleted\nrevision 3\n2 of 2 proxies"),
        "{refused:?}"
    );
    assert_eq!(live(rest).await, before);
    picky.abort();

    // Somebody writes while the fleet is waited for: that is not taken back, and neither is ours.
    let _deaf = FakeProxy::join(site.control.grpc, "deaf").await.unwrap();
    let slow = [("SLUICE_WAIT", "3s"), ("SLUICE_QUORUM", "1")];
    let theirs = async {
        sluice_tests::eventually::eventually("ours is written", sluice_tests::site::SOON, async || {
            anyhow::ensure!(newest(rest).await == 4);
            Ok(())
        })
        .await
        .unwrap();
        rest.apply(&list(&[backend("theirs", &[])]), "").await.unwrap();
    };
    let (stands, ()) = tokio::join!(checkout.run("deliver", rest, &forge, &slow), theirs);
    assert_eq!(stands.code, Some(4), "{stands:?}");
    assert!(
        stands
            .stderr
            .contains("revision 4 stands: it could not be taken back"),
        "{stands:?}"
    );
    assert_eq!(newest(rest).await, 5);
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
