//! All proxies of a run: one process per product and table.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use nix::unistd::Pid;
use reqwest::header::HOST as HOST_HEADER;
use serde::Serialize;

use super::options::{Options, Proxy};
use super::rivals::{self, Rival};
use super::sluice;
use super::table::{HOST, RouteIndex, Table};
use super::upstream::{BODY_BYTES, Upstreams};
use crate::eventually::eventually;
use crate::machine;
use crate::process::Process;

/// Longest start-up of a proxy with a large table.
const START: Duration = Duration::from_secs(60);

/// Every subject of the run.
#[derive(Debug)]
pub(super) struct Fleet {
    subjects: Vec<Subject>,
}

/// One proxy process with one table.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) proxy: Proxy,
    pub(super) table: Table,
    server: Server,
}

#[derive(Debug)]
enum Server {
    Rival(Rival),
    Sluice(Box<sluice::Site>),
}

/// Resident memory of one subject after it was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Resident {
    pub(super) proxy: Proxy,
    pub(super) table: Table,
    pub(super) bytes: u64,
}

impl Fleet {
    /// Starts every proxy with a table of one route and with the large one, and sees that each
    /// answers for its first and last route.
    pub(super) async fn start(
        options: &Options,
        upstreams: &Upstreams,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let mut subjects = Vec::new();
        for table in [Table(1), Table(options.routes)] {
            for &proxy in &options.proxies {
                let directory = directory.join(format!("{proxy}-{}", table.0));
                std::fs::create_dir(&directory)?;
                eprintln!("starting {proxy}, routes: {}", table.0);
                let subject = Subject::start(options, proxy, table, upstreams, &directory).await;
                subjects.push(subject.with_context(|| format!("{proxy}, routes: {}", table.0))?);
            }
        }
        Ok(Self { subjects })
    }

    pub(super) fn with_table(&self, table: Table) -> impl Iterator<Item = &Subject> {
        self.subjects.iter().filter(move |subject| subject.table == table)
    }

    pub(super) fn resident(&self) -> anyhow::Result<Vec<Resident>> {
        let resident = |subject: &Subject| {
            let bytes = machine::resident_bytes(subject.pid())?;
            Ok(Resident {
                proxy: subject.proxy,
                table: subject.table,
                bytes,
            })
        };
        self.subjects.iter().map(resident).collect()
    }

    pub(super) fn sluice_with_most_routes(&self) -> Option<&sluice::Site> {
        let sites = self.subjects.iter().filter_map(|subject| match &subject.server {
            Server::Sluice(site) => Some(site.as_ref()),
            Server::Rival(_) => None,
        });
        sites.max_by_key(|site| site.table)
    }
}

impl Subject {
    async fn start(
        options: &Options,
        proxy: Proxy,
        table: Table,
        upstreams: &Upstreams,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let site = rivals::Site {
            table,
            upstream: upstreams.stable.address,
            directory,
        };
        let server = match proxy {
            Proxy::Nginx => Server::Rival(rivals::nginx(options, &site)?),
            Proxy::Haproxy => Server::Rival(rivals::haproxy(options, &site)?),
            Proxy::Envoy => Server::Rival(rivals::envoy(options, &site)?),
            Proxy::Sluice => Server::Sluice(Box::new(
                sluice::Site::start(options, table, upstreams, directory).await?,
            )),
        };
        let subject = Self { proxy, table, server };
        for route in [RouteIndex::FIRST, table.last()] {
            eventually("first answer", START, async || subject.check(route).await)
                .await
                .with_context(|| subject.process().log())?;
        }
        Ok(subject)
    }

    /// Sends one request for `route` and looks at the whole answer.
    async fn check(&self, route: RouteIndex) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().timeout(START).build()?;
        let url = format!("http://{}{}", self.address(), route.request_path());
        let response = client
            .get(url)
            .header(HOST_HEADER, HOST)
            .send()
            .await?
            .error_for_status()?;
        let length = response.bytes().await?.len();
        anyhow::ensure!(length == BODY_BYTES, "{length} bytes of body");
        Ok(())
    }

    fn process(&self) -> &Process {
        match &self.server {
            Server::Rival(rival) => &rival.process,
            Server::Sluice(site) => &site.edge.proxy.process,
        }
    }

    /// The proxy's process.
    pub(super) fn pid(&self) -> Pid {
        self.process().pid()
    }

    /// Where it takes traffic.
    pub(super) fn address(&self) -> SocketAddr {
        match &self.server {
            Server::Rival(rival) => rival.address,
            Server::Sluice(site) => site.edge.address,
        }
    }
}
