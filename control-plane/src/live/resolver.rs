//! Looks up the DNS names of endpoints, again and again. A name that cannot be looked up keeps the
//! addresses it had: a resolver that is away must not take upstreams with it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};

use super::Command;
use super::publication::Published;
use crate::compile::Addresses;

/// Pause between rounds, before jitter.
const PERIOD: Duration = Duration::from_secs(5);
/// Most milliseconds that are added to a pause, so that replicas do not ask in step.
const JITTER_MS: u64 = 1_000;
/// Lookups at a time.
const CONCURRENT: usize = 16;
/// Longest lookup.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Resolver {
    published: watch::Receiver<Arc<Published>>,
    commands: mpsc::WeakSender<Command>,
}

impl Resolver {
    pub(super) fn new(
        published: watch::Receiver<Arc<Published>>,
        commands: mpsc::WeakSender<Command>,
    ) -> Self {
        Self { published, commands }
    }

    /// Looks up for ever; ends with the writer.
    pub(super) async fn run(mut self) {
        loop {
            let names: HashSet<_> = self
                .published
                .borrow_and_update()
                .world
                .names()
                .cloned()
                .collect();
            let found = look_up(&names).await;
            if !found.is_empty() {
                let Some(commands) = self.commands.upgrade() else {
                    return;
                };
                if commands.send(Command::Resolved(found)).await.is_err() {
                    return;
                }
            }
            let has_news =
                |published: &Arc<Published>| published.world.names().any(|name| !names.contains(name));
            // Ends at the pause's end, or at once when there is a name that was never looked up.
            if let Ok(Err(_)) = tokio::time::timeout(pause(), self.published.wait_for(has_news)).await {
                return;
            }
        }
    }
}

async fn look_up(names: &HashSet<Arc<str>>) -> Addresses {
    let lookups: Vec<_> = names.iter().map(|name| look_up_one(Arc::clone(name))).collect();
    let lookups = futures_util::stream::iter(lookups).buffer_unordered(CONCURRENT);
    lookups.filter_map(std::future::ready).collect().await
}

async fn look_up_one(name: Arc<str>) -> Option<(Arc<str>, Vec<IpAddr>)> {
    // The port is not looked up; any will do.
    let lookup = async {
        let found = tokio::net::lookup_host((&*name, 0)).await?;
        std::io::Result::Ok(found.map(|address| address.ip()).collect::<Vec<IpAddr>>())
    };
    match tokio::time::timeout(TIMEOUT, lookup).await {
        Ok(Ok(found)) => (!found.is_empty()).then_some((name, found)),
        Ok(Err(error)) => {
            tracing::warn!(%name, %error, "endpoint cannot be looked up");
            None
        }
        Err(_) => {
            tracing::warn!(%name, "endpoint cannot be looked up in {TIMEOUT:?}");
            None
        }
    }
}

fn pause() -> Duration {
    // Without randomness there is just no jitter.
    let random = getrandom::u64().unwrap_or_default();
    PERIOD + Duration::from_millis(random % JITTER_MS)
}
