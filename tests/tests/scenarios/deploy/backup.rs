//! Backup and restore, with the commands of `deploy/backup.md`.

use serde_json::Value;
use sluice_tests::deployment::{Pod, Volume, commands};

use super::compose::{Composed, HTTP};
use super::load::Load;
use super::running::Running;

/// What a proxy holds: the id of the history, and the revision.
fn held(running: &Running, proxy: &str) -> anyhow::Result<(String, u64)> {
    let config = running.ask(proxy, "http://127.0.0.1:9000/config")?;
    let config: Value = serde_json::from_str(&config)?;
    let history = config["history"].as_str().unwrap().to_owned();
    Ok((history, config["revision"].as_u64().unwrap()))
}

/// The only block of commands below a heading.
fn command(heading: &str) -> String {
    let [command] = &commands("backup.md", heading).unwrap()[..] else {
        panic!("{heading}: other commands than one")
    };
    command.clone()
}

const SECRET: &str = "sluice apply --wait 20s --quorum 1 -f - <<END
{apiVersion: v1, kind: Secret, metadata: {name: NAME}, type: Opaque, data: {password: c2VjcmV0}}
END";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_of_postgres_as_it_is_documented_renews_the_history_and_proxies_go_on_serving() {
    let mut composed = Composed::start().await;
    let password = composed.password.clone();
    let store = [
        ("DATABASE_URL", "postgres://sluice@postgres:5432/sluice"),
        ("PGPASSWORD", password.as_str()),
    ];
    composed
        .running
        .shell(&composed.env(), &SECRET.replace("NAME", "kept"))
        .unwrap();
    let (history, revision) = held(&composed.running, "edge-1").unwrap();
    composed
        .running
        .shell(&store, &command("Backup of Postgres"))
        .unwrap();
    composed
        .running
        .shell(&composed.env(), &SECRET.replace("NAME", "lost"))
        .unwrap();
    assert_eq!(
        held(&composed.running, "edge-1").unwrap(),
        (history.clone(), revision + 1)
    );

    let edges = ["edge-1", "edge-2"].map(|edge| (composed.running.host(edge).address, HTTP).into());
    let load = Load::start(composed.running.host("postgres"), edges.into());
    composed.stop("control-1").await;
    composed.stop("control-2").await;
    composed
        .running
        .shell(&store, &command("Restore of Postgres"))
        .unwrap();
    composed.up("control-1").await;
    composed.up("control-2").await;
    let renewed = |edge| {
        let (now, at) = held(&composed.running, edge)?;
        anyhow::ensure!(now != history && at == revision, "{now} {at}");
        Ok(now)
    };
    let first = composed
        .running
        .eventually("edge-1 follows", || renewed("edge-1"))
        .await;
    let second = composed
        .running
        .eventually("edge-2 follows", || renewed("edge-2"))
        .await;
    assert_eq!(first, second);
    let said = ["control-1", "control-2"].map(|control| composed.running.log(control));
    assert!(
        said.iter().any(|log| log.contains("its history is renewed")),
        "{said:?}"
    );
    // Secrets open, and what came after the backup is gone.
    let kept = composed.running.shell(&composed.env(), "sluice get secret kept");
    kept.unwrap();
    composed
        .running
        .shell(&composed.env(), "sluice get secret lost")
        .unwrap_err();
    composed
        .running
        .shell(&composed.env(), &SECRET.replace("NAME", "next"))
        .unwrap();
    assert_eq!(held(&composed.running, "edge-2").unwrap(), (first, revision + 1));
    assert!(load.stop() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_of_sqlite_as_it_is_documented_renews_the_history_and_proxies_go_on_serving() {
    let mut running = Running::new(&[("control-1", &["control-1"]), ("edge-1", &[])]);
    let user = 10_001;
    let token = "0123456789abcdef0123456789abcdef";
    let state = Volume::directory("/var/lib/sluice", (user, user), 0o700);
    let pod = |name: &str, argv: &[&str], volumes| Pod {
        name: name.to_owned(),
        argv: argv.iter().map(ToString::to_string).collect(),
        env: vec![("SLUICE_TOKEN".to_owned(), token.to_owned())],
        volumes,
        user,
        group: user,
        capabilities: Vec::new(),
    };
    let database = "--database-url=sqlite:///var/lib/sluice/control.db";
    let listen = ["--admin=0.0.0.0:7400", "--grpc=0.0.0.0:7401"];
    let backup = Volume::directory("/backup", (user, user), 0o700);
    let control = pod(
        "control-1",
        &["sluice-control", database, listen[0], listen[1]],
        vec![state.clone(), backup],
    );
    let token_at = running.place("join-token");
    running.start(control.clone());
    running.answers("control-1", "http://127.0.0.1:7400/readyz").await;
    let env = [("SLUICE_ADMIN", "http://control-1:7400"), ("SLUICE_TOKEN", token)];
    running
        .shell(&env, "sluice token join create --proxy edge-1 >join-token")
        .unwrap();
    let join = Volume::outside("/run/join-token", &token_at, false);
    let edge = [
        "--control=control-1:7401",
        "--id=edge-1",
        "--join-token-file=/run/join-token",
    ];
    let edge = [
        &[
            "sluice-proxy",
            "--admin=127.0.0.1:9000",
            "--state-dir=/var/lib/sluice",
        ][..],
        &edge,
    ]
    .concat();
    running.start(pod("edge-1", &edge, vec![state, join]));
    running.answers("edge-1", "http://127.0.0.1:9000/ready").await;

    let sh = |command: String| ["sh", "-euc", &command].map(str::to_owned);
    running.shell(&env, &SECRET.replace("NAME", "kept")).unwrap();
    let (history, revision) = held(&running, "edge-1").unwrap();
    running
        .beside("control-1", &sh(command("Backup of SQLite")))
        .unwrap();
    running.shell(&env, &SECRET.replace("NAME", "lost")).unwrap();
    running
        .stops(
            "control-1",
            nix::sys::signal::Signal::SIGTERM,
            sluice_tests::site::SOON,
        )
        .await;
    let mut restore = control.clone();
    restore.argv = sh(command("Restore of SQLite")).into();
    assert!(
        running.run(restore, "control-1").await.success(),
        "{}",
        running.log("control-1")
    );
    running.start(control);
    let renewed = || {
        let (now, at) = held(&running, "edge-1")?;
        anyhow::ensure!(now != history && at == revision, "{now} {at}");
        Ok(())
    };
    running.eventually("edge-1 follows", renewed).await;
    running.shell(&env, "sluice get secret kept").unwrap();
    running.shell(&env, "sluice get secret lost").unwrap_err();
}
