//! Saves what is live, off the thread that serves the control plane; only the newest counts.

use std::sync::Arc;

use tokio::{sync::watch, task::spawn_blocking};

use super::StateDir;
use crate::{live::Live, status::Status};

/// Saves every complete snapshot that goes live, until the proxy stops. One that comes while
/// another is being written waits, and is skipped when a newer one comes.
pub(super) async fn save_all(state: Arc<StateDir>, live: Live, mut status: watch::Receiver<Status>) {
    let mut saved = None;
    loop {
        let current = {
            let status = status.borrow_and_update();
            status.complete.then_some((status.history, status.position))
        };
        if current.is_some() && current != saved {
            saved = current;
            let (state, snapshot) = (Arc::clone(&state), live.current());
            match spawn_blocking(move || state.save(&snapshot)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the snapshot cannot be saved"),
                Err(error) => tracing::error!(%error, "saving the snapshot failed"),
            }
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}
