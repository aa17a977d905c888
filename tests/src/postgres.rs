//! A private PostgreSQL server: its own data directory, its own port on 127.0.0.1, gone when its
//! owner is. A server that happens to run on the machine is never touched.

use std::fs::Permissions;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use tempfile::TempDir;

use crate::authority::Identity;
use crate::eventually::eventually;
use crate::process::{Process, command};

/// Where Debian's packages put the servers, one folder per major version.
const INSTALLATIONS: &str = "/usr/lib/postgresql";
/// The server refuses to run as root; Debian's package makes this user for it.
const UNPRIVILEGED: &str = "postgres";
const SUPERUSER: &str = "sluice";
/// Another process may take the free port before the server does.
const PORTS_TRIED: usize = 3;
const WAIT: Duration = Duration::from_secs(30);

/// A server of its own for one test.
#[derive(Debug)]
pub struct Postgres {
    binaries: PathBuf,
    directory: TempDir,
    port: u16,
    server: Option<Process>,
}

impl Postgres {
    /// Makes a data directory and starts a server on it.
    ///
    /// # Errors
    /// When no server is installed, or it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let mut postgres = Self {
            binaries: installed()?,
            directory: private_directory()?,
            port: 0,
            server: None,
        };
        let mut initdb = postgres.tool("initdb")?;
        initdb
            .arg("--pgdata")
            .arg(postgres.data())
            .args(["--username", SUPERUSER]);
        initdb.args([
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--locale",
            "C.UTF-8",
            "--no-sync",
        ]);
        run(initdb)?;
        for _ in 1..PORTS_TRIED {
            postgres.port = free_port()?;
            if postgres.start_again().await.is_ok() {
                return Ok(postgres);
            }
        }
        postgres.port = free_port()?;
        postgres.start_again().await?;
        Ok(postgres)
    }

    /// A second server that follows this one. If `synchronous`, no commit is acknowledged from now on
    /// that it does not have.
    ///
    /// # Errors
    /// When it does not start or follow.
    pub async fn standby(&self, synchronous: bool) -> anyhow::Result<Self> {
        let directory = private_directory()?;
        let mut standby = Self {
            binaries: self.binaries.clone(),
            directory,
            port: free_port()?,
            server: None,
        };
        let mut backup = standby.tool("pg_basebackup")?;
        backup.arg("--pgdata").arg(standby.data());
        backup.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        backup.args(["--dbname", &self.url()]);
        run(backup)?;
        standby.start_again().await?;
        if synchronous {
            self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")?;
            self.sql("SELECT pg_reload_conf()")?;
        }
        let state = if synchronous { "sync" } else { "async" };
        eventually("the standby follows", WAIT, async || {
            let states = self.sql("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'")?;
            ensure!(states == state, "{states:?}");
            Ok(())
        })
        .await?;
        Ok(standby)
    }

    /// Has this standby go through all that `primary` has done until now, and get nothing more.
    ///
    /// # Errors
    /// When it does not follow, or goes on doing so.
    pub async fn left_behind(&self, primary: &Self) -> anyhow::Result<()> {
        let done = primary.sql("SELECT pg_current_wal_flush_lsn()")?;
        eventually("the standby has it all", WAIT, async || {
            let behind = format!("SELECT pg_wal_lsn_diff('{done}', pg_last_wal_replay_lsn()) > 0");
            ensure!(self.sql(&behind)? == "f");
            Ok(())
        })
        .await?;
        self.sql("ALTER SYSTEM SET primary_conninfo = ''")?;
        self.sql("SELECT pg_reload_conf()")?;
        eventually("the standby follows no more", WAIT, async || {
            ensure!(primary.sql("SELECT count(*) FROM pg_stat_replication")? == "0");
            Ok(())
        })
        .await
    }

    /// Makes the standby a server of its own.
    ///
    /// # Errors
    /// When it is none.
    pub fn promote(&self) -> anyhow::Result<()> {
        self.sql("SELECT pg_promote()").map(drop)
    }

    /// Runs a client program of the installation on this server's database; what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn client(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut client = Command::new(self.binaries.join(program));
        client.args(["--dbname", &self.url()]).args(arguments);
        run(client)
    }

    /// Where clients connect, as the superuser.
    pub fn url(&self) -> String {
        format!(
            "postgres://{SUPERUSER}@{}:{}/postgres",
            Ipv4Addr::LOCALHOST,
            self.port
        )
    }

    /// The TCP port on 127.0.0.1; the same after every restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Shuts down in good order: clients are disconnected, everything is written.
    ///
    /// # Errors
    /// When it is not running or does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.end(Signal::SIGINT).await
    }

    /// Ends at once without writing anything, as in a crash: the next start has to recover.
    ///
    /// # Errors
    /// When it is not running or does not end.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        self.end(Signal::SIGQUIT).await
    }

    /// Starts the stopped server on the same data and port, and waits until it takes clients.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let mut server = self.tool("postgres")?;
        server
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()]);
        server.args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=on",
            "-c",
            "shared_buffers=16MB",
        ]);
        server.arg("-k").arg(self.directory.path());
        let mut server = Process::spawn("postgres", server)?;
        let ready = eventually("postgres takes clients", WAIT, async || {
            if let Some(status) = server.exited() {
                return Ok(Err(status));
            }
            self.sql("SELECT 1")?;
            Ok(Ok(()))
        });
        if let Err(status) = ready.await? {
            bail!("postgres ended with {status}\n{}", server.log());
        }
        self.server = Some(server);
        Ok(())
    }

    /// Runs statements as the superuser; what they print, without headers.
    ///
    /// # Errors
    /// When one of them fails.
    pub fn sql(&self, statements: &str) -> anyhow::Result<String> {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
        ]);
        psql.args(["--dbname", &self.url(), "--command", statements]);
        run(psql)
    }

    /// From now on takes TLS connections only, with this certificate, and a password from everybody
    /// but the superuser.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn demand_tls(&self, identity: &Identity) -> anyhow::Result<()> {
        let file = |name: &str| self.directory.path().join(name);
        for (name, text) in [("server.crt", &identity.chain), ("server.key", &identity.key)] {
            std::fs::write(file(name), text)?;
            std::fs::set_permissions(file(name), Permissions::from_mode(0o600))?;
            if let Some(user) = other_user()? {
                chown(file(name), Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
            }
        }
        let access = format!(
            "local all all trust\nhostnossl all all all reject\n\
             hostssl all {SUPERUSER} all trust\nhostssl all all all scram-sha-256\n"
        );
        std::fs::write(self.data().join("pg_hba.conf"), access)?;
        let (certificate, key) = (file("server.crt"), file("server.key"));
        for statement in [
            format!("ALTER SYSTEM SET ssl_cert_file = '{}'", certificate.display()),
            format!("ALTER SYSTEM SET ssl_key_file = '{}'", key.display()),
            "ALTER SYSTEM SET ssl = on".to_owned(),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            self.sql(&statement)?;
        }
        Ok(())
    }

    async fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        let mut server = self.server.take().context("postgres is not running")?;
        server.signal(signal)?;
        server.exit(WAIT).await?;
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A program of the installation, as a user that the server accepts.
    fn tool(&self, name: &str) -> anyhow::Result<Command> {
        let program = self.binaries.join(name);
        let mut tool = match other_user()? {
            None => command(program),
            Some(user) => {
                // `setpriv` sets the death signal after the user: the kernel clears it in between.
                let mut tool = command("setpriv");
                tool.args([format!("--reuid={}", user.uid), format!("--regid={}", user.gid)]);
                tool.args(["--clear-groups", "--pdeathsig", "KILL", "--"])
                    .arg(program);
                tool
            }
        };
        tool.current_dir(self.directory.path()).env("LC_ALL", "C.UTF-8");
        Ok(tool)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The server's children have sessions of their own, so killing the group would leave them
        // behind for a moment, writing into a directory that is being removed.
        if self.server.is_some()
            && let Ok(mut stop) = self.tool("pg_ctl")
        {
            stop.arg("stop")
                .arg("-D")
                .arg(self.data())
                .args(["-m", "immediate", "-w", "-t", "10"]);
            let _ = run(stop);
        }
    }
}

/// A directory of the user that the server runs as.
fn private_directory() -> anyhow::Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("sluice-pg-").tempdir()?;
    if let Some(user) = other_user()? {
        let (user, group) = (user.uid.as_raw(), user.gid.as_raw());
        chown(directory.path(), Some(user), Some(group))?;
    }
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o700))?;
    Ok(directory)
}

/// The newest installation.
fn installed() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir(INSTALLATIONS).context("PostgreSQL is not installed")?;
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    versions
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(|path| version(path))
        .map(|path| path.join("bin"))
        .with_context(|| format!("no PostgreSQL server in {INSTALLATIONS}"))
}

/// Whom the server is to run as when this process is root.
fn other_user() -> anyhow::Result<Option<User>> {
    match Uid::effective().is_root() {
        false => Ok(None),
        true => Ok(Some(
            User::from_name(UNPRIVILEGED)?.with_context(|| format!("no user {UNPRIVILEGED}"))?,
        )),
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn run(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{error}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_keeps_its_data_over_stop_and_crash_and_leaves_nothing_behind() {
        let mut postgres = Postgres::start().await.unwrap();
        let directory = postgres.directory.path().to_owned();
        postgres
            .sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
            .unwrap();
        postgres.stop().await.unwrap();
        assert!(postgres.sql("SELECT 1").is_err());
        postgres.start_again().await.unwrap();
        postgres.sql("INSERT INTO t VALUES (2)").unwrap();
        postgres.crash().await.unwrap();
        postgres.start_again().await.unwrap();
        assert_eq!(postgres.sql("SELECT n FROM t ORDER BY n").unwrap(), "1\n2");
        drop(postgres);
        assert!(!directory.exists());
    }
}
