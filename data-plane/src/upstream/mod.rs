//! Connections to endpoints, each worker's own: no request waits for another worker.
//!
//! Kept by the endpoint's uid, so that they survive every change that leaves the endpoint in its
//! backend. HTTP/1.1 connections are lent to one request at a time, the last returned first;
//! HTTP/2 connections are shared.

mod connect;
mod http1;
mod http2;
mod lease;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use sluice_core::{BackendState, EndpointState, Snapshot};
use sluice_model::Protocol;

pub(crate) use self::lease::{Lease, SendError, UpstreamBody};
use self::{http1::Http1Pool, http2::Http2Pool};
use crate::{access_log::EndpointLabel, http1::Client, tls::Dial, worker::UidHash};

/// All endpoints that this worker has sent a request to.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    by_uid: RefCell<HashMap<u64, Rc<Upstream>, UidHash>>,
}

/// One endpoint as this worker knows it.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) label: Arc<EndpointLabel>,
    /// Requests of this worker that are under way to it.
    in_flight: Cell<u32>,
    /// How the connections of the pools are secured.
    dial: RefCell<Option<Arc<Dial>>>,
    /// Counts how often that has changed.
    epoch: Cell<u32>,
    http1: Http1Pool,
    http2: Http2Pool,
}

impl Upstreams {
    /// Requests under way to `endpoint`.
    #[inline]
    pub(crate) fn in_flight(&self, endpoint: &EndpointState) -> u32 {
        let upstreams = self.by_uid.borrow();
        upstreams
            .get(&endpoint.uid)
            .map_or(0, |upstream| upstream.in_flight.get())
    }

    /// The endpoint of that backend.
    #[inline]
    pub(crate) fn of(&self, backend: &BackendState, endpoint: &EndpointState) -> Rc<Upstream> {
        let mut upstreams = self.by_uid.borrow_mut();
        let upstream = upstreams
            .entry(endpoint.uid)
            .or_insert_with(|| Rc::new(Upstream::new(backend, endpoint)));
        Rc::clone(upstream)
    }

    /// Closes connections that were idle for `idle`, and those that the other side has closed.
    pub(crate) fn sweep(&self, idle: Duration) {
        for upstream in self.by_uid.borrow().values() {
            upstream.http1.sweep(idle);
            upstream.http2.sweep(idle);
        }
    }

    /// Forgets the endpoints that `snapshot` does not have. Requests under way to them go on.
    pub(crate) fn retain(&self, snapshot: &Snapshot) {
        let uids: HashSet<u64, UidHash> = snapshot
            .backends()
            .flat_map(|backend| backend.endpoints.iter().map(|endpoint| endpoint.uid))
            .collect();
        let gone = |uid: &u64| !uids.contains(uid);
        // Dropped outside of the borrow: closing connections runs other code.
        let gone: Vec<_> = self.by_uid.borrow_mut().extract_if(|uid, _| gone(uid)).collect();
        for (_, upstream) in gone {
            upstream.http1.close();
        }
    }

    /// Connections that wait for a request.
    pub(crate) fn idle(&self) -> usize {
        self.by_uid
            .borrow()
            .values()
            .map(|upstream| upstream.http1.len())
            .sum()
    }
}

impl Upstream {
    fn new(backend: &BackendState, endpoint: &EndpointState) -> Self {
        Self {
            label: Arc::new(EndpointLabel {
                backend: backend.backend.key.clone(),
                address: endpoint.address,
            }),
            in_flight: Cell::new(0),
            dial: RefCell::default(),
            epoch: Cell::new(0),
            http1: Http1Pool::default(),
            http2: Http2Pool::default(),
        }
    }

    /// A connection that is there already and is secured by `dial`, for one request.
    #[inline]
    pub(crate) fn kept(self: &Rc<Self>, protocol: Protocol, dial: Option<&Arc<Dial>>) -> Option<Lease> {
        let same = match (&*self.dial.borrow(), dial) {
            (None, None) => true,
            (Some(held), Some(dial)) => Arc::ptr_eq(held, dial),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !same {
            self.secure(dial);
        }
        match protocol {
            Protocol::Http => Some(Lease::http1(InFlight::new(self), self.http1.take()?)),
            Protocol::H2c => Some(Lease::http2(InFlight::new(self), self.http2.stream()?)),
        }
    }

    /// Keeps a connection that a test has made.
    #[cfg(test)]
    pub(crate) fn keep(&self, client: Client) {
        self.http1.put(Box::new(client), std::time::Instant::now());
    }

    /// Connections are secured in another way from now on: those that wait are closed, and those
    /// that are in use when their requests are done.
    #[cold]
    fn secure(&self, dial: Option<&Arc<Dial>>) {
        self.dial.replace(dial.cloned());
        self.epoch.set(self.epoch.get().wrapping_add(1));
        self.http1.clear();
        self.http2.clear();
    }

    /// A connection that is made now and secured by `dial`, and whether it was made for this request alone.
    ///
    /// # Errors
    /// When none can be made within `timeout`.
    pub(crate) async fn connect(
        self: &Rc<Self>,
        protocol: Protocol,
        timeout: Duration,
        dial: Option<&Arc<Dial>>,
    ) -> Result<(Lease, bool), crate::request::Reason> {
        let counted = InFlight::new(self);
        let address = self.label.address;
        match protocol {
            Protocol::Http => {
                let transport = connect::connect(address, timeout, dial.map(|dial| &**dial)).await?;
                Ok((Lease::http1(counted, Box::new(Client::new(transport))), true))
            }
            Protocol::H2c => {
                let (stream, made) = self
                    .http2
                    .connect(address, timeout, dial.map(|dial| &**dial))
                    .await?;
                Ok((Lease::http2(counted, stream), made))
            }
        }
    }
}

/// Counts a request for as long as it is under way.
#[derive(Debug)]
struct InFlight {
    upstream: Rc<Upstream>,
    /// The upstream's when the request got its connection.
    epoch: u32,
}

impl InFlight {
    fn new(upstream: &Rc<Upstream>) -> Self {
        upstream.in_flight.set(upstream.in_flight.get() + 1);
        Self {
            upstream: Rc::clone(upstream),
            epoch: upstream.epoch.get(),
        }
    }

    /// The upstream, if its connections are still secured in the way that this one is.
    fn current(&self) -> Option<&Upstream> {
        (self.epoch == self.upstream.epoch.get()).then_some(&self.upstream)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let in_flight = &self.upstream.in_flight;
        in_flight.set(in_flight.get() - 1);
    }
}
