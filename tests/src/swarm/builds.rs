//! Snapshots that members share: each is built once, with the proxies' own code.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sluice_core::{Snapshot, Update};
use sluice_model::{Digest, HistoryId, Position, Violation};

/// Builds that are kept. Members hold what they run themselves, so this only has to span those that
/// are on their way at the same time.
const KEPT: usize = 256;

type Built = Result<Arc<Snapshot>, Vec<Violation>>;

/// From where, and by which bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    from: Option<(HistoryId, Position)>,
    update: Digest,
}

/// The builds made last.
#[derive(Debug, Default)]
pub(super) struct Builds {
    recent: Mutex<VecDeque<(Step, Arc<OnceLock<Built>>)>>,
}

impl Builds {
    /// What `held` becomes by `update`, which came as bytes with the digest `bytes`. Whoever asks for
    /// the same at the same time waits for the one that builds it.
    pub(super) fn apply(&self, held: Option<&Snapshot>, update: &Update, bytes: Digest) -> Built {
        let step = Step {
            from: held.map(|held| (held.history(), held.position())),
            update: bytes,
        };
        let build = || {
            let empty = Snapshot::empty(update.history);
            held.unwrap_or(&empty).apply(update).map(Arc::new)
        };
        self.cell(step).get_or_init(build).clone()
    }

    fn cell(&self, step: Step) -> Arc<OnceLock<Built>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = recent.iter().rev().find(|(known, _)| *known == step) {
            return Arc::clone(cell);
        }
        if recent.len() == KEPT {
            recent.pop_front();
        }
        let cell = Arc::default();
        recent.push_back((step, Arc::clone(&cell)));
        cell
    }
}
