//! Which builds were measured.

use std::process::Command;

use anyhow::Context as _;
use serde::Serialize;

use super::options::{Options, Proxy};
use crate::servers;

/// What a proxy says about itself.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Version {
    pub(super) proxy: Proxy,
    pub(super) version: String,
}

/// The version of each proxy of the run, in its own words.
pub(super) fn of(options: &Options) -> anyhow::Result<Vec<Version>> {
    let version = |&proxy: &Proxy| {
        let (mut command, argument) = match proxy {
            Proxy::Sluice => (servers::command("sluice-proxy", None)?, "--version"),
            Proxy::Nginx => (Command::new("nginx"), "-v"),
            Proxy::Haproxy => (Command::new("haproxy"), "-v"),
            Proxy::Envoy => (Command::new(&options.envoy), "--version"),
        };
        let output = command.arg(argument).output()?;
        // nginx prints it on standard error; Envoy after an empty line, with its path before it.
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        let line = line.with_context(|| format!("{proxy} has no version"))?;
        let version = line.rsplit_once("version: ").map_or(line, |(_, version)| version);
        Ok(Version {
            proxy,
            version: version.to_owned(),
        })
    };
    options.proxies.iter().map(version).collect()
}
