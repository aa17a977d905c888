//! What a run found, as numbers: for JSON, and for the tables of `markdown`.

use anyhow::Context as _;
use serde::Serialize;

use super::change::Changes;
use super::markdown;
use super::options::{Options, Proxy};
use super::rounds::{self, Case, Requests};
use super::subject::Resident;
use super::versions::{self, Version};
use crate::{machine, results};

/// Everything a run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: String,
    pub(super) versions: Vec<Version>,
    pub(super) rounds: u32,
    pub(super) seconds: u32,
    pub(super) connections: u32,
    pub(super) requests: Vec<Requests>,
    pub(super) memory: Vec<Memory>,
    pub(super) changes: Option<Changes>,
    pub(super) reach: Vec<Reach>,
}

/// Resident memory of a proxy with one and with many routes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Memory {
    pub(super) proxy: Proxy,
    pub(super) one_route_bytes: u64,
    pub(super) many_routes_bytes: u64,
    pub(super) bytes_per_route: f64,
}

/// A bound Sluice is held to, and where it stands.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Reach {
    pub(super) what: &'static str,
    pub(super) at_most: f64,
    pub(super) measured: f64,
    pub(super) met: bool,
}

impl Report {
    pub(super) fn new(
        options: &Options,
        requests: Vec<Requests>,
        resident: &[Resident],
        changes: Option<Changes>,
    ) -> anyhow::Result<Self> {
        let mut report = Self {
            machine: machine::description()?,
            versions: versions::of(options)?,
            rounds: options.rounds,
            seconds: options.seconds,
            connections: options.connections,
            requests,
            memory: options
                .proxies
                .iter()
                .filter_map(|&proxy| memory(proxy, resident))
                .collect(),
            changes,
            reach: Vec::new(),
        };
        report.reach = report.reaches(&rounds::cases(options));
        Ok(report)
    }

    /// Median CPU microseconds per request.
    fn cpu_us(&self, proxy: Proxy, case: Case) -> Option<f64> {
        let found = self
            .requests
            .iter()
            .find(|requests| requests.proxy == proxy && requests.case == case);
        found.map(|requests| requests.cpu_us.median)
    }

    /// CPU per request of `requests` as a multiple of what `other` needs in the same case.
    pub(super) fn ratio(&self, requests: &Requests, other: Proxy) -> Option<f64> {
        Some(requests.cpu_us.median / self.cpu_us(other, requests.case)?)
    }

    /// Those bounds for which this run has the numbers.
    fn reaches(&self, &[one, first, last]: &[Case; 3]) -> Vec<Reach> {
        let sluice = |case| self.cpu_us(Proxy::Sluice, case);
        let over = |other| Some(sluice(one)? / self.cpu_us(other, one)?);
        let last_over_first = || Some(sluice(last)? / sluice(first)?);
        let memory = self.memory.iter().find(|memory| memory.proxy == Proxy::Sluice);
        [
            ("CPU per request with one route, x nginx", 1.2, over(Proxy::Nginx)),
            (
                "CPU per request with one route, x Envoy",
                0.45,
                over(Proxy::Envoy),
            ),
            (
                "CPU per request, last of many routes x first",
                1.1,
                last_over_first(),
            ),
            (
                "Resident bytes per route",
                4_096.0,
                memory.map(|memory| memory.bytes_per_route),
            ),
            (
                "One-route change live after the write was sent, p99 ms",
                20.0,
                self.changes.map(|c| c.live_after_write_ms.p99),
            ),
            (
                "Receipt with two proxies, p99 ms",
                100.0,
                self.changes.map(|c| c.receipt_ms.p99),
            ),
        ]
        .into_iter()
        .filter_map(|(what, at_most, measured)| {
            let measured = measured?;
            Some(Reach {
                what,
                at_most,
                measured,
                met: measured <= at_most,
            })
        })
        .collect()
    }

    pub(super) fn markdown(&self) -> String {
        markdown::render(self)
    }

    /// Writes what `options` ask for.
    pub(super) fn save(&self, options: &Options) -> anyhow::Result<()> {
        if let Some(path) = &options.json {
            std::fs::write(path, serde_json::to_vec_pretty(self)?)
                .with_context(|| path.display().to_string())?;
        }
        if options.write {
            results::write(&self.markdown())?;
        }
        Ok(())
    }
}

/// From the smallest and the largest table of `proxy`.
fn memory(proxy: Proxy, resident: &[Resident]) -> Option<Memory> {
    let of_proxy = || resident.iter().filter(|resident| resident.proxy == proxy);
    let one = of_proxy().min_by_key(|resident| resident.table)?;
    let many = of_proxy().max_by_key(|resident| resident.table)?;
    let routes = many
        .table
        .0
        .checked_sub(one.table.0)
        .filter(|&routes| routes > 0)?;
    Some(Memory {
        proxy,
        one_route_bytes: one.bytes,
        many_routes_bytes: many.bytes,
        bytes_per_route: (many.bytes as f64 - one.bytes as f64) / f64::from(routes),
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::Table;
    use super::*;

    #[test]
    fn memory_per_route_is_what_the_additional_routes_take() {
        let resident = |routes, bytes| Resident {
            proxy: Proxy::Nginx,
            table: Table(routes),
            bytes,
        };
        let memory = memory(Proxy::Nginx, &[resident(1, 5_000), resident(11, 6_000)]).unwrap();
        assert!((memory.bytes_per_route - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn memory_needs_two_tables() {
        let one = Resident {
            proxy: Proxy::Nginx,
            table: Table(1),
            bytes: 5_000,
        };
        assert!(memory(Proxy::Nginx, &[one]).is_none());
    }
}
