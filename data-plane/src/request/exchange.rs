//! What is known of a request while it is under way.

mod finish;

use std::{
    cell::Cell,
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Version};
use sluice_core::{CompiledRule, Matched, RequestView, Snapshot};
use sluice_model::Timeouts;

use super::{Arriving, Reason, RequestBody, http2_body::Http2Body, told::Told};
use crate::{
    access_log::{EndpointLabel, Target, Times},
    live::Pinned,
    upstream::{Lease, Upstream},
    worker::{Connection, Offer, Patience, RouteStats, Worker},
};

/// One request and its answer. Lives from the request's head to the last byte of the answer, or
/// until the client leaves; then it is counted and logged, once, whatever happened.
pub(crate) struct Exchange {
    connection: Rc<Connection>,
    started: Instant,
    version: Version,
    head: bool,
    revision: u64,
    route: Option<Rc<RouteStats>>,
    upstream: Option<Rc<Upstream>>,
    /// The upstream connection, while it belongs to this request.
    lease: Option<Lease>,
    sent: Option<Rc<Sent>>,
    received: u64,
    limit: Option<Limit>,
    /// 0 until there is a head to answer with.
    status: u16,
    complete: bool,
    reason: Option<Reason>,
    times: Times,
    reused: bool,
    retried: bool,
    upgraded: bool,
    /// Only kept when there is a log.
    target: Option<Box<Target>>,
    /// Only there when the request brought a token for it.
    pub(super) told: Option<Box<Told>>,
}

/// When a request has to be over because of what its rule says, and what it is called then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) at: tokio::time::Instant,
    pub(super) reason: Reason,
}

/// What of a request's body went upstream.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(super) bytes: Cell<u64>,
    /// Most of them.
    pub(super) limit: Cell<u64>,
    /// The body was asked for its first bytes: it cannot be sent again.
    pub(super) touched: Cell<bool>,
    /// What went wrong with it. hyper does not say it to whoever waits for the answer.
    pub(super) fault: Cell<Option<Reason>>,
}

impl Default for Sent {
    fn default() -> Self {
        Self {
            bytes: Cell::new(0),
            limit: Cell::new(u64::MAX),
            touched: Cell::new(false),
            fault: Cell::new(None),
        }
    }
}

impl Exchange {
    pub(super) fn begin<B>(connection: Rc<Connection>, request: &Request<B>) -> Box<Self> {
        let target = connection
            .worker
            .log
            .as_ref()
            .map(|_| Box::new(finish::target(request)));
        let head = request.method() == http::Method::HEAD;
        Self::new(connection, target, request.version(), head)
    }

    /// One that ends here: what came is no request. It is counted, and not logged, as nothing of
    /// it is known.
    pub(super) fn unread(connection: Rc<Connection>) -> Box<Self> {
        Self::new(connection, None, Version::HTTP_11, false)
    }

    fn new(
        connection: Rc<Connection>,
        target: Option<Box<Target>>,
        version: Version,
        head: bool,
    ) -> Box<Self> {
        connection.enter();
        Box::new(Self {
            started: Instant::now(),
            version,
            head,
            revision: 0,
            route: None,
            upstream: None,
            lease: None,
            sent: None,
            received: 0,
            limit: None,
            status: 0,
            complete: false,
            reason: None,
            times: Times::default(),
            reused: false,
            retried: false,
            upgraded: false,
            target,
            told: None,
            connection,
        })
    }

    pub(super) fn worker(&self) -> &Rc<Worker> {
        &self.connection.worker
    }

    /// The client's address.
    pub(super) fn client(&self) -> IpAddr {
        self.connection.peer.ip()
    }

    /// The same for `X-Forwarded-For`.
    pub(super) fn forwarded_for(&self) -> &HeaderValue {
        &self.connection.forwarded_for
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Whether the answer must not have a body.
    pub(super) fn is_head(&self) -> bool {
        self.head
    }

    /// The newest snapshot; this request sees no other.
    pub(super) fn pin(&mut self) -> Rc<Pinned> {
        let snapshot = self.worker().view.pin();
        self.revision = snapshot.position().revision.0;
        snapshot
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Match: the rule that takes the request.
    #[inline]
    pub(super) fn matched<'s>(&self, snapshot: &'s Snapshot, view: &RequestView<'_>) -> Option<Matched<'s>> {
        snapshot.route(self.connection.port.number, view)
    }

    /// What decides where it goes may be kept, for replays; nothing of it is unless that is asked for.
    #[inline]
    pub(super) fn sampled(&self, view: &RequestView<'_>) {
        let worker = self.worker();
        if let Some(sampler) = &worker.sampler {
            sampler.see(self.connection.port.number, view, &worker.random);
        }
    }

    /// The request belongs to `rule`, and to that variant.
    pub(super) fn routed(&mut self, rule: &CompiledRule, variant: Option<(usize, &str)>) {
        self.route = Some(self.worker().stats.route(rule, variant));
    }

    pub(super) fn route(&self) -> Option<&RouteStats> {
        self.route.as_deref()
    }

    /// Name of the variant as a header has it.
    pub(super) fn variant_value(&self) -> Option<HeaderValue> {
        self.route.as_ref()?.variant.clone()
    }

    /// 64 uniform bits.
    pub(super) fn random(&self) -> u64 {
        self.worker().random.next()
    }

    /// 128 bits that nobody can guess: they name a user from now on. Those that the request was explained
    /// with, if it was.
    pub(super) fn random_id(&self) -> u128 {
        if let Some(told) = &self.told {
            return told.random;
        }
        let mut bytes = [0; 16];
        match getrandom::fill(&mut bytes) {
            Ok(()) => u128::from_ne_bytes(bytes),
            // No entropy this early: unique is good enough.
            Err(_) => u128::from(self.random()) << 64 | u128::from(self.random()),
        }
    }

    /// The request's body as it is sent upstream, counted on its way.
    pub(super) fn request_body(&mut self, body: Arriving) -> RequestBody {
        if body.is_empty() {
            return RequestBody::Empty;
        }
        let sent = Rc::new(Sent::default());
        self.sent = Some(Rc::clone(&sent));
        match body {
            Arriving::Http1(upload, _) => RequestBody::Http1(upload, sent),
            Arriving::Http2(body) => {
                let limits = self.connection.limits();
                let (timeout, rate) = (limits.body_timeout, limits.body_min_rate);
                let patience = Patience::new(&self.worker().deadlines, timeout, rate);
                RequestBody::Http2(Http2Body::new(body, patience), sent)
            }
        }
    }

    /// Bounds the request's body.
    ///
    /// # Errors
    /// When it says itself that it is longer.
    pub(super) fn limit_body(&self, body: &RequestBody, bytes: u64) -> Result<(), Reason> {
        if let Some(sent) = &self.sent {
            sent.limit.set(bytes);
        }
        match body {
            RequestBody::Empty | RequestBody::Teed(_) | RequestBody::Copied(_) => Ok(()),
            RequestBody::Http1(upload, _) => upload.limit(bytes),
            RequestBody::Http2(body, _) => match body.size_hint().lower() > bytes {
                true => Err(Reason::BodyTooLarge),
                false => Ok(()),
            },
        }
    }

    /// What is known of the request's body on its way upstream.
    pub(super) fn sent_counter(&self) -> Option<Rc<Sent>> {
        self.sent.clone()
    }

    /// What went wrong with the request's body.
    pub(super) fn body_fault(&self) -> Option<Reason> {
        self.sent.as_ref().and_then(|sent| sent.fault.get())
    }

    /// Whether the body can be sent from its beginning once more.
    pub(super) fn body_is_untouched(&self) -> bool {
        self.sent.as_ref().is_none_or(|sent| !sent.touched.get())
    }

    /// An attempt begins under the limits of the rule.
    pub(super) fn limited(&mut self, timeouts: &Timeouts) -> Option<Limit> {
        let limit = |from: Instant, reason| {
            move |after: Duration| Limit {
                at: (from + after).into(),
                reason,
            }
        };
        let whole = timeouts.request.map(limit(self.started, Reason::RequestTimeout));
        let attempt = timeouts.backend_request;
        // The clock is only read when it matters.
        let attempt = attempt.map(|after| limit(Instant::now(), Reason::ResponseTimeout)(after));
        self.limit = whole.into_iter().chain(attempt).min_by_key(|limit| limit.at);
        self.limit
    }

    /// The limit of the last attempt, to the end of its answer.
    pub(super) fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// The request goes to `upstream`.
    pub(super) fn goes_to(&mut self, upstream: &Rc<Upstream>) {
        self.upstream = Some(Rc::clone(upstream));
    }

    /// It has a connection, which took `connect` to make if it is new.
    pub(super) fn leased(&mut self, lease: Lease, connect: Option<Duration>) {
        self.reused = connect.is_none();
        self.times.connect = connect;
        self.worker().stats.count(|counters| match connect {
            None => counters.reused += 1,
            Some(_) => counters.connects += 1,
        });
        self.lease = Some(lease);
    }

    /// The upstream connection of this request.
    pub(super) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// The same, to be read from.
    pub(super) fn lease_mut(&mut self) -> Option<&mut Lease> {
        self.lease.as_mut()
    }

    /// Takes the upstream connection out: it becomes another protocol.
    pub(super) fn take_lease(&mut self) -> Option<Lease> {
        self.lease.take()
    }

    /// Hands over heads of 1xx, if the client can take them.
    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Gives the connection up: its state is unknown.
    pub(super) fn unlease(&mut self) {
        self.lease = None;
    }

    /// The request is about to be sent again.
    pub(super) fn retry(&mut self) {
        self.retried = true;
        self.worker().stats.count(|counters| counters.retries += 1);
    }

    pub(super) fn was_retried(&self) -> bool {
        self.retried
    }

    /// The head of the upstream's response is there.
    pub(super) fn first_byte(&mut self) {
        self.times.first_byte = Some(self.started.elapsed());
    }

    /// The client gets this status.
    pub(super) fn answered(&mut self, status: u16, reason: Option<Reason>) {
        self.status = status;
        self.reason = self.reason.or(reason);
    }

    /// Bytes of the answer's body went out.
    #[inline]
    pub(super) fn passed(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// The connection became another protocol: counted as such, and its bytes here.
    pub(super) fn upgraded(&mut self) {
        self.upgraded = true;
        self.sent = Some(Rc::default());
        self.worker().stats.count(|counters| counters.upgrades += 1);
    }

    /// An upgraded connection has ended.
    pub(super) fn tunnelled(&mut self, sent: u64, received: u64) {
        if let Some(counter) = &self.sent {
            counter.bytes.set(sent);
        }
        self.received = received;
        self.complete = true;
    }

    /// A piece of the answer is handed over, in a protocol that asks for the next once the client
    /// has taken it.
    pub(super) fn offer(&self) -> Option<Offer> {
        (self.version == Version::HTTP_2).then(|| Offer::new(&self.connection))
    }

    /// The answer broke off.
    pub(super) fn broken(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }

    /// The answer is complete.
    #[inline]
    pub(super) fn complete(&mut self) {
        self.complete = true;
    }

    fn endpoint(&self) -> Option<std::sync::Arc<EndpointLabel>> {
        self.upstream
            .as_ref()
            .map(|upstream| std::sync::Arc::clone(&upstream.label))
    }
}
