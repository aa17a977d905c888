//! Connections that stand. Whoever serves one can cut it, and those of proxies whose certificates do not
//! stand any more are cut though nothing is served on them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_tls::ProxyPeer;
use tokio_util::sync::CancellationToken;

use super::Peer;
use super::directory::Stranger;

/// What those who serve a connection know of it, and can do to it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Who is at the other end.
    pub peer: Peer,
    cut: CancellationToken,
}

impl Line {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer,
            cut: CancellationToken::new(),
        }
    }

    /// Ends the connection with all that runs on it. What was not sent is gone.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Told when it is cut.
    pub(crate) fn is_cut(&self) -> CancellationToken {
        self.cut.clone()
    }
}

/// All lines to proxies with certificates.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    lines: HashMap<u64, Line>,
    next: u64,
}

impl Lines {
    /// Notes a line, for as long as what is returned lives.
    pub(super) fn note(self: &Arc<Self>, line: Line) -> Noted {
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.lines.insert(number, line);
        Noted {
            lines: Arc::clone(self),
            number,
        }
    }

    /// Cuts the lines whose proxies do not `stand` and did not when this was called `before`, so that they have
    /// heard why; the numbers of those that do not stand now.
    pub(super) fn sweep(
        &self,
        before: &BTreeSet<u64>,
        stand: impl Fn(&ProxyPeer) -> Result<(), Stranger>,
    ) -> BTreeSet<u64> {
        let has_fallen = |line: &Line| matches!(&line.peer, Peer::Proxy(proxy) if stand(proxy).is_err());
        let open = self.open();
        let fallen = open.lines.iter().filter(|(_, line)| has_fallen(line));
        let mut warned = BTreeSet::new();
        for (number, line) in fallen {
            match before.contains(number) {
                true => line.cut(),
                false => drop(warned.insert(*number)),
            }
        }
        warned
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a line among those that are open.
#[derive(Debug)]
pub(super) struct Noted {
    lines: Arc<Lines>,
    number: u64,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.lines.open().lines.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use sluice_tls::KeyHash;

    use super::*;

    #[test]
    fn a_line_is_cut_when_its_proxy_has_not_stood_twice_and_only_then() {
        let key = KeyHash::parse(&"ab".repeat(32)).unwrap();
        let line = |id: &str| {
            Line::new(Peer::Proxy(ProxyPeer {
                id: id.to_owned(),
                key,
            }))
        };
        let lines = Arc::new(Lines::default());
        let (good, bad, gone) = (line("good"), line("bad"), line("gone"));
        let _noted = [lines.note(good.clone()), lines.note(bad.clone())];
        let left = lines.note(gone.clone());
        let stand = |proxy: &ProxyPeer| match proxy.id == "good" {
            true => Ok(()),
            false => Err(Stranger::Revoked),
        };
        let warned = lines.sweep(&BTreeSet::new(), stand);
        assert_eq!(warned, BTreeSet::from([1, 2]));
        assert!(!bad.is_cut().is_cancelled(), "it has still to hear why");
        drop(left);
        assert_eq!(lines.sweep(&warned, stand), BTreeSet::new());
        assert!(bad.is_cut().is_cancelled());
        assert!(!good.is_cut().is_cancelled() && !gone.is_cut().is_cancelled());
    }
}
