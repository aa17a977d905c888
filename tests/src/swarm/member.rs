//! One member of a swarm: the proxy's end of the stream, in good and in bad manners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, bail};
use h2::client::Connection;
use sluice_core::{Backoff, Snapshot, Update, complete, position_to_wire, statement_of};
use sluice_model::Digest;
use sluice_proto::v1::{self, control_message, proxy_message::Body};
use sluice_tls::Verifiers;
use tokio::time::{Instant, interval_at, sleep, timeout};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::board::Board;
use super::builds::Builds;
use super::health::Health;
use super::link::{Link, Metered};
use crate::manifest::LISTENER;

/// As in the proxies: a peer that is silent is asked this often.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// As in the proxies: longest wait for the connection, and again for the welcome.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a deaf member is deaf before it starts over; shorter than a control plane waits.
const DEAF: Duration = Duration::from_secs(9);

/// How a member behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It applies and acknowledges at once.
    Prompt,
    /// It takes that long for every update.
    Slow(Duration),
    /// It says Hello and then reads nothing more from its socket.
    Deaf,
    /// It keeps its connection alive, and takes nothing of what it is sent.
    Stuck,
    /// It comes without anything, takes everything, leaves without a word that long after each welcome,
    /// and comes back without anything.
    Newcomer(Duration),
    /// It refuses every update, once it has something.
    Refusing,
    /// It leaves without a word that long after each welcome, and comes back.
    Flapping(Duration),
    /// It is prompt, and reports that all its endpoints are ejected for that long, then healthy for as
    /// long, and so on.
    Ailing(Duration),
}

impl Manner {
    /// Whether it is measured how fast it follows.
    pub(super) fn is_prompt(self) -> bool {
        matches!(self, Self::Prompt | Self::Ailing(_))
    }

    /// How long its endpoints are ejected at a time.
    pub(super) fn turns(self) -> Option<Duration> {
        match self {
            Self::Ailing(turns) => Some(turns),
            Self::Prompt
            | Self::Slow(_)
            | Self::Deaf
            | Self::Stuck
            | Self::Newcomer(_)
            | Self::Refusing
            | Self::Flapping(_) => None,
        }
    }
}

pub(super) struct Member {
    pub(super) number: usize,
    pub(super) manner: Manner,
    pub(super) control: SocketAddr,
    pub(super) held: Option<Arc<Snapshot>>,
    pub(super) board: Arc<Board>,
    pub(super) builds: Arc<Builds>,
    pub(super) health: Health,
}

/// A stream that was welcomed.
struct Greeted {
    link: Link,
    /// Who may sign updates.
    signers: Option<Verifiers>,
    report_interval: Duration,
}

impl Member {
    /// Subscribes again and again, with the proxies' pauses.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        for attempt in 0_u64.. {
            if let Manner::Newcomer(_) = self.manner {
                self.held = None;
            }
            // Nobody is welcomed for ever, so this ends with the stream.
            if let Err(_lost) = self.stream(&mut backoff).await {
                self.board.lost.fetch_add(1, Ordering::Relaxed);
            }
            sleep(backoff.next(self.random(attempt))).await;
        }
    }

    async fn stream(&mut self, backoff: &mut Backoff) -> anyhow::Result<()> {
        let opening = Link::open(self.control, Arc::clone(&self.board.meter));
        let (link, mut connection) = timeout(PATIENCE, opening).await??;
        match self.manner {
            Manner::Deaf => {
                let welcome = self.greet(link, backoff);
                let greeted = tokio::select! {
                    end = &mut connection => bail!("{end:?}"),
                    greeted = welcome => greeted?,
                };
                let _counted = self.board.welcome();
                let _open = (greeted, connection);
                sleep(DEAF).await;
                Ok(())
            }
            Manner::Flapping(after) | Manner::Newcomer(after) => {
                // The end is what was wanted.
                timeout(after, self.serve(link, connection, backoff))
                    .await
                    .unwrap_or(Ok(()))
            }
            Manner::Prompt | Manner::Slow(_) | Manner::Refusing | Manner::Ailing(_) | Manner::Stuck => {
                self.serve(link, connection, backoff).await
            }
        }
    }

    async fn serve(
        &mut self,
        link: Link,
        mut connection: Connection<Metered, bytes::Bytes>,
        backoff: &mut Backoff,
    ) -> anyhow::Result<()> {
        let pings = connection.ping_pong().context("no pings")?;
        let talk = async {
            let greeted = self.greet(link, backoff).await?;
            self.talk(greeted).await
        };
        tokio::select! {
            end = connection => bail!("the connection ended: {end:?}"),
            end = talk => end,
            end = keep_alive(pings) => end,
        }
    }

    /// Says what is held, and is welcomed and told who signs.
    async fn greet(&self, mut link: Link, backoff: &mut Backoff) -> anyhow::Result<Greeted> {
        link.say(self.hello())?;
        let (message, _) = timeout(PATIENCE, link.hear()).await??;
        let control_message::Body::Welcome(welcome) = message else {
            bail!("no welcome");
        };
        backoff.reset(Duration::from_millis(u64::from(welcome.reconnect_spread_ms)));
        Ok(Greeted {
            link,
            signers: welcome.bundle.as_ref().map(verifiers).transpose()?,
            report_interval: Duration::from_millis(u64::from(welcome.report_interval_ms)),
        })
    }

    async fn talk(&mut self, greeted: Greeted) -> anyhow::Result<()> {
        let Greeted {
            mut link,
            mut signers,
            report_interval,
        } = greeted;
        let _counted = self.board.welcome();
        if self.manner == Manner::Stuck {
            return std::future::pending().await;
        }
        self.health.start_over();
        let mut report = interval_at(Instant::now() + report_interval, report_interval);
        loop {
            // What has come of a message stays in the link when a report is due.
            let (message, bytes) = tokio::select! {
                message = link.hear() => message?,
                _ = report.tick(), if self.health.may_have_news() => {
                    if let Some(report) = self.health.report(self.held.as_deref()) {
                        link.say(Body::Report(report))?;
                    }
                    continue;
                }
            };
            let wire = match message {
                control_message::Body::Update(mut wire) => {
                    complete(
                        &mut wire,
                        self.held.as_deref().map(Snapshot::history).unwrap_or_default(),
                    );
                    wire
                }
                control_message::Body::Bundle(bundle) => {
                    signers = Some(verifiers(&bundle)?);
                    continue;
                }
                control_message::Body::Welcome(_)
                | control_message::Body::Drain(_)
                | control_message::Body::Recount(_) => continue,
            };
            let (history, target) = (wire.history.clone(), wire.target.clone());
            let verified = signers.as_ref().map_or(Ok(()), |signers| verify(&wire, signers));
            let verified = verified.inspect_err(|error| self.fault(error));
            let built = verified.and_then(|()| self.build(wire, Digest::of(&bytes)));
            if let Manner::Slow(delay) = self.manner {
                sleep(delay).await;
            }
            if self.manner == Manner::Refusing && self.held.is_some() {
                link.say(refusal(history, target))?;
                continue;
            }
            let snapshot = built?;
            link.say(acknowledgement(history, target, &snapshot))?;
            let revision = snapshot.position().revision.0;
            self.held = Some(snapshot);
            self.board.acked(self.number, revision, self.manner.is_prompt());
        }
    }

    /// Decodes and verifies; what was built before for another member is taken from there.
    fn build(&self, wire: v1::Update, bytes: Digest) -> anyhow::Result<Arc<Snapshot>> {
        let kind = match wire.base {
            Some(_) => &self.board.differences,
            None => &self.board.full,
        };
        kind.fetch_add(1, Ordering::Relaxed);
        let built = Update::from_wire(wire).and_then(|update| {
            let held = self.held.as_deref();
            self.builds.apply(held, &update, bytes)
        });
        let built = built.map_err(|violations| anyhow::anyhow!("a wrong update: {violations:?}"));
        built.inspect_err(|error| self.fault(error))
    }

    fn fault(&self, error: &anyhow::Error) {
        self.board.fault(format!("member {}: {error}", self.number));
    }

    fn hello(&self) -> Body {
        let held = self.held.as_deref();
        Body::Hello(v1::Hello {
            proxy_id: format!("swarm-{:05}", self.number),
            labels: vec![v1::Label {
                name: "swarm".into(),
                value: "true".into(),
            }],
            version: env!("CARGO_PKG_VERSION").to_owned(),
            wire_version: sluice_proto::WIRE_VERSION,
            history: held.map(|held| held.history().0.to_vec()).unwrap_or_default(),
            holds: held.map(|held| position_to_wire(held.position())),
            admin: "127.0.0.1:9000".into(),
            instance: (self.number as u128).to_be_bytes().to_vec(),
            listeners: held.map(bound).unwrap_or_default(),
            commit: held.map(|held| held.commit().0).unwrap_or_default(),
            commit_seal: held.map(|held| held.commit_seal().0).unwrap_or_default(),
        })
    }

    /// Uniform, and the same in every run.
    fn random(&self, attempt: u64) -> u64 {
        xxh3_64_with_seed(&self.number.to_be_bytes(), attempt)
    }
}

fn verifiers(bundle: &v1::Bundle) -> anyhow::Result<Verifiers> {
    Verifiers::new(&bundle.signing_keys).context("keys that are none")
}

/// As in the proxies: what is not signed by one of those is not even looked at.
fn verify(update: &v1::Update, signers: &Verifiers) -> anyhow::Result<()> {
    let statement = statement_of(update).context("no position")?;
    Ok(signers.verify(&update.signing_key, &statement, &update.signature)?)
}

async fn keep_alive(mut pings: h2::PingPong) -> anyhow::Result<()> {
    let mut due = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    loop {
        due.tick().await;
        timeout(KEEP_ALIVE, pings.ping(h2::Ping::opaque())).await??;
    }
}

fn acknowledgement(history: Vec<u8>, position: Option<v1::Position>, snapshot: &Snapshot) -> Body {
    Body::Ack(v1::Ack {
        history,
        position,
        build_us: 1_000,
        warnings: Vec::new(),
        listeners: bound(snapshot),
    })
}

fn refusal(history: Vec<u8>, position: Option<v1::Position>) -> Body {
    Body::Nack(v1::Nack {
        history,
        position,
        violations: vec![v1::Violation {
            resource: LISTENER.into(),
            field: "port".into(),
            code: "unsupported".into(),
            message: "this member refuses everything".into(),
        }],
        retrying: false,
    })
}

fn bound(snapshot: &Snapshot) -> Vec<v1::BoundListener> {
    let listeners = snapshot.listeners().map(|listener| v1::BoundListener {
        listener: listener.key.as_str().to_owned(),
        address: "127.0.0.1:8080".into(),
    });
    listeners.collect()
}
