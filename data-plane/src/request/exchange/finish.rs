//! Finish: a request is counted and logged when it is dropped, once, whatever happened.

use std::{net::SocketAddr, time::Instant};

use http::{Request, header::HOST};

use super::Exchange;
use crate::{
    access_log::{Record, Target},
    request::{Reason, reason::Fault},
};

impl Drop for Exchange {
    fn drop(&mut self) {
        let now = Instant::now();
        self.connection.leave();
        if let Some(lease) = self.lease.take_if(|_| self.complete && !self.upgraded) {
            lease.give_back(now);
        }
        if self.status == 0 {
            self.status = Reason::ClientAbort.status().as_u16();
        }
        if !self.complete && self.reason.is_none() {
            self.reason = Some(Reason::ClientAbort);
        }
        self.times.total = now.saturating_duration_since(self.started);
        self.count();
        self.log();
    }
}

impl Exchange {
    /// Endpoints that were tried, one of them maybe twice.
    pub(in crate::request) fn attempts(&self) -> u32 {
        match (&self.upstream, self.retried) {
            (None, _) => 0,
            (Some(_), false) => 1,
            (Some(_), true) => 2,
        }
    }

    /// Where the last endpoint listens that was tried.
    pub(in crate::request) fn endpoint_address(&self) -> Option<SocketAddr> {
        self.upstream.as_ref().map(|upstream| upstream.label.address)
    }

    /// What the client gets, and why if that is not what was asked for.
    pub(in crate::request) fn outcome(&self) -> (u16, Option<Reason>) {
        (self.status, self.reason)
    }

    fn sent_bytes(&self) -> u64 {
        self.sent.as_ref().map_or(0, |sent| sent.bytes.get())
    }

    fn count(&self) {
        let stats = &self.connection.worker.stats;
        let upstream_failed = self
            .reason
            .is_some_and(|reason| reason.fault() == Fault::Upstream);
        let failed = self.status >= 500 || upstream_failed;
        match &self.route {
            Some(route) => route.record(self.status, failed, self.times.total),
            None => stats.unrouted().record(self.status, failed, self.times.total),
        }
        stats.count(|counters| {
            if let Some(reason) = self.reason {
                counters.reasons.0[reason.index()] += 1;
            }
            counters.request_bytes += self.sent_bytes();
            counters.response_bytes += self.received;
        });
    }

    fn log(&mut self) {
        let worker = &self.connection.worker;
        let (Some(log), Some(target)) = (&worker.log, self.target.take()) else {
            return;
        };
        let route = match &self.route {
            Some(route) => &route.label,
            None => &worker.stats.unrouted().label,
        };
        let dropped = log.push(Record {
            started: self.started,
            revision: self.revision,
            route: std::sync::Arc::clone(route),
            endpoint: self.endpoint(),
            target: *target,
            status: self.status,
            times: self.times,
            bytes_in: self.sent_bytes(),
            bytes_out: self.received,
            reason: self.reason,
            reused: self.reused,
            retried: self.retried,
            upgraded: self.upgraded,
            client: self.connection.peer,
            port: self.connection.port.number,
            secured: self.connection.secured.is_some(),
        });
        worker
            .stats
            .count(|counters| counters.dropped_log_lines += dropped);
    }
}

/// What was asked for, copied: the head's own buffer must not wait for the log.
pub(super) fn target<B>(request: &Request<B>) -> Target {
    let uri = request.uri();
    let line = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(|authority| authority.as_str()).or(line);
    Target {
        method: request.method().clone(),
        host: host.unwrap_or("").into(),
        path: uri
            .path_and_query()
            .map_or(uri.path(), |path| path.as_str())
            .into(),
        version: request.version(),
    }
}
