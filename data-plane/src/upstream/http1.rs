//! HTTP/1.1 connections of one endpoint that wait for a request.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use crate::http1::Client;

/// Connections kept per endpoint and worker; a further one is closed when its request is done.
const MAX_IDLE: usize = 256;

/// Connections without a request; the one used last is used first, so that the rest may grow old.
#[derive(Debug, Default)]
pub(super) struct Http1Pool {
    idle: RefCell<Vec<Idle>>,
    closed: Cell<bool>,
}

#[derive(Debug)]
struct Idle {
    client: Box<Client>,
    since: Instant,
}

impl Http1Pool {
    /// A connection that, as far as is known, still stands.
    #[inline]
    pub(super) fn take(&self) -> Option<Box<Client>> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let mut client = idle.pop()?.client;
            if client.is_alive() {
                return Some(client);
            }
        }
    }

    /// Keeps a connection whose response has been read.
    #[inline]
    pub(super) fn put(&self, mut client: Box<Client>, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE && !self.closed.get() {
            client.rest();
            idle.push(Idle { client, since: now });
        }
    }

    pub(super) fn sweep(&self, idle: Duration) {
        let now = Instant::now();
        self.idle
            .borrow_mut()
            .retain_mut(|one| one.client.is_alive() && now.duration_since(one.since) < idle);
    }

    /// Closes all.
    pub(super) fn clear(&self) {
        drop(self.idle.take());
    }

    /// Closes all, and those that are still to come back.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.idle.borrow().len()
    }
}
