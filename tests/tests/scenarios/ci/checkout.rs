//! A repository as a runner has it, and its workflow read and run.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sluice_tests::forge::{FORGE_TOKEN, Forge};
use sluice_tests::manifest::{HOST, backend, gateway, list, route_to};
use sluice_tests::rest::Rest;
use sluice_tests::servers::{Ran, binary, sluice};
use tempfile::TempDir;

/// One place where pull requests are reviewed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    GitHub,
    GitLab,
}

/// A repository as a runner has checked it out: the scripts in `ci`, the manifests in `routing`.
pub(super) struct Checkout {
    pub(super) directory: TempDir,
    place: Place,
    workflow: Value,
    /// What expressions and variables of the workflow stand for.
    values: Vec<(&'static str, String)>,
}

impl Checkout {
    /// A repository with the manifests of a shop, and tokens with the grants that the workflows name.
    pub(super) async fn new(place: Place, rest: &Rest) -> Self {
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
    pub(super) fn write(&self, name: &str, manifests: &[Value]) {
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
    pub(super) async fn run(&self, job: &str, rest: &Rest, forge: &Forge, more: &[(&str, &str)]) -> Ran {
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

    pub(super) async fn shell(
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
