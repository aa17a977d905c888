//! How a control plane reaches its database: over verified TLS, with a password that no list of
//! processes shows.

use sluice_tests::authority::Authority;
use sluice_tests::manifest::backend;
use sluice_tests::postgres::Postgres;
use sluice_tests::process::Process;
use sluice_tests::servers::{ControlPlane, command};
use sluice_tests::site::{SOON, TOKEN};

const PASSWORD: &str = "correct horse battery staple";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_reached_over_verified_tls_with_a_password_from_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::root(directory.path(), "ours").unwrap();
    let stranger = Authority::root(directory.path(), "stranger").unwrap();
    let postgres = Postgres::start().await.unwrap();
    postgres
        .sql(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'"))
        .unwrap();
    postgres.sql("CREATE DATABASE app OWNER app").unwrap();
    postgres
        .demand_tls(&authority.issue("db", &["DNS:localhost"]).unwrap())
        .unwrap();
    let url = |root: &Authority, mode: &str| {
        format!(
            "postgres://app@localhost:{}/app?sslmode={mode}&sslrootcert={}",
            postgres.port(),
            root.file().display()
        )
    };
    let control = |password: &str| {
        let mut control = command("sluice-control", None).unwrap();
        control.env("PGPASSWORD", password);
        control
    };

    let verified = url(&authority, "verify-full");
    let running = ControlPlane::start(control(PASSWORD), &verified, TOKEN)
        .await
        .unwrap();
    running.rest.apply(&backend("web", &[]), "").await.unwrap();
    let encrypted = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl \
                     JOIN pg_stat_activity USING (pid) WHERE usename = 'app'";
    assert_eq!(postgres.sql(encrypted).unwrap(), "t");

    for (password, url, why) in [
        (PASSWORD, url(&stranger, "verify-full"), "certificate"),
        (PASSWORD, url(&authority, "disable"), "rejects connection"),
        ("wrong", verified.clone(), "password authentication failed"),
    ] {
        let mut refused = control(password);
        refused.args([
            "--database-url",
            &url,
            "--admin",
            "127.0.0.1:0",
            "--grpc",
            "127.0.0.1:0",
        ]);
        let mut refused = Process::spawn("sluice-control", refused).unwrap();
        let status = refused.exit(SOON).await.unwrap();
        let log = refused.log();
        assert!(!status.success() && log.contains(why), "{why}: {status} {log}");
        assert!(!log.contains(PASSWORD), "{log}");
    }
}
