//! nginx, HAProxy and Envoy, each configured to do what Sluice does.
//!
//! Alike for all: one worker, upstream and client keep-alive without a limit of requests per
//! connection, no access log, Host passed on, X-Forwarded-For and X-Forwarded-Proto set. All else
//! is the product's default. Many routes are written in the form each product recommends: nested
//! in one server (nginx), a prefix map (HAProxy), the route list of a virtual host (Envoy).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::options::Options;
use super::table::{HOST, Table};
use crate::process::{self, Process};

/// Idle connections a proxy may keep to the upstream; above the number of clients.
const UPSTREAM_IDLE: u32 = 256;

/// Requests on one connection after which nginx would close it; larger than any run.
const NEVER: u32 = 1_000_000_000;

/// What the configuration of a rival is made from.
#[derive(Debug)]
pub(super) struct Site<'a> {
    pub(super) table: Table,
    pub(super) upstream: SocketAddr,
    /// Private to this one process.
    pub(super) directory: &'a Path,
}

/// A rival that was started, and where it will listen.
#[derive(Debug)]
pub(super) struct Rival {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

/// A port nobody listens on. None of the rivals can be asked which port it got, so there is a
/// moment in which another process may take it; the start then fails.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

impl Site<'_> {
    fn file(&self, name: &str, content: &str) -> std::io::Result<PathBuf> {
        let path = self.directory.join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }
}

pub(super) fn nginx(options: &Options, site: &Site<'_>) -> anyhow::Result<Rival> {
    let address = free_address()?;
    let configuration = site.file("nginx.conf", &nginx_configuration(address, site))?;
    let mut command = process::command_on_core("nginx", options.proxy_core);
    command
        .arg("-e")
        .arg("stderr")
        .arg("-p")
        .arg(site.directory)
        .arg("-c")
        .arg(configuration);
    Ok(Rival {
        process: Process::spawn("nginx", command)?,
        address,
    })
}

/// One process that is its own worker, so that its CPU clock counts everything.
fn nginx_configuration(address: SocketAddr, site: &Site<'_>) -> String {
    let mut text = format!(
        "daemon off; master_process off; worker_processes 1; error_log stderr warn; pid nginx.pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
         access_log off; keepalive_requests {NEVER};\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme;\n\
         upstream up {{ server {upstream}; keepalive {UPSTREAM_IDLE}; keepalive_requests {NEVER}; }}\n\
         server {{ listen {address}; server_name {HOST};\n",
        upstream = site.upstream,
    );
    for route in site.table.routes() {
        let _ = writeln!(text, "location {} {{ proxy_pass http://up; }}", route.prefix());
    }
    text.push_str("}\n}\n");
    text
}

pub(super) fn haproxy(options: &Options, site: &Site<'_>) -> anyhow::Result<Rival> {
    let address = free_address()?;
    let mut map = String::new();
    for route in site.table.routes() {
        let _ = writeln!(map, "{} up", route.prefix());
    }
    let map = site.file("routes.map", &map)?;
    let configuration = format!(
        "global\n  nbthread 1\n  maxconn 4096\n\
         defaults\n  mode http\n  option forwardfor\n  http-reuse always\n\
         \x20 timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         frontend bench\n  bind {address}\n\
         \x20 http-request set-header X-Forwarded-Proto http\n\
         \x20 acl host hdr(host) -i {HOST}\n\
         \x20 use_backend %[path,map_beg({map})] if host\n\
         backend up\n  server up {upstream}\n",
        map = map.display(),
        upstream = site.upstream,
    );
    let configuration = site.file("haproxy.cfg", &configuration)?;
    let mut command = process::command_on_core("haproxy", options.proxy_core);
    command.arg("-db").arg("-f").arg(configuration);
    Ok(Rival {
        process: Process::spawn("haproxy", command)?,
        address,
    })
}

pub(super) fn envoy(options: &Options, site: &Site<'_>) -> anyhow::Result<Rival> {
    let address = free_address()?;
    let configuration = site.file("envoy.json", &envoy_configuration(address, site).to_string())?;
    let mut command = process::command_on_core(&options.envoy, options.proxy_core);
    command.args([
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "error",
        "--config-path",
    ]);
    command.arg(configuration);
    Ok(Rival {
        process: Process::spawn("envoy", command)?,
        address,
    })
}

fn envoy_configuration(address: SocketAddr, site: &Site<'_>) -> Value {
    const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters";
    let routes: Vec<_> = site
        .table
        .routes()
        .map(|route| json!({"match": {"prefix": route.prefix()}, "route": {"cluster": "up"}}))
        .collect();
    let manager = json!({
        "@type": format!("{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "bench",
        "use_remote_address": true,
        "route_config": {"name": "bench", "virtual_hosts": [{"name": "bench", "domains": [HOST], "routes": routes}]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": format!("{FILTERS}.http.router.v3.Router")},
        }],
    });
    json!({
        "static_resources": {
            "listeners": [{
                "name": "bench",
                "address": envoy_address(address),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": manager,
                }]}],
            }],
            "clusters": [{
                "name": "up",
                "type": "STATIC",
                "connect_timeout": "5s",
                "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": envoy_address(site.upstream)}},
                ]}]},
            }],
        },
    })
}

fn envoy_address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}
