//! Connections through memory, and a clock that only moves when nothing else does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sluice_proto::v1;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::LocalSet,
    time::{Instant, timeout},
};

use super::snapshot::Site;
use crate::transport::Transport;

/// What fits into a connection before somebody reads it.
pub(crate) const BUFFER: usize = 64 * 1024;
/// The clock moves this far when nothing else does.
pub(crate) const MOMENT: Duration = Duration::from_millis(1);

/// One end of a connection.
pub(crate) struct End {
    pub(crate) stream: DuplexStream,
    /// The proxy has broken the connection off.
    reset: Arc<AtomicBool>,
}

/// Runs `test` with a clock that is stopped.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

/// A connection of which one end is a [`Transport`].
pub(crate) fn wire(buffer: usize) -> (Transport, End) {
    let (near, stream) = duplex(buffer);
    let reset = Arc::new(AtomicBool::new(false));
    (Transport::Memory(near, Arc::clone(&reset)), End { stream, reset })
}

/// One route for everything, to one endpoint.
pub(crate) fn site(limits: v1::Limits) -> Site {
    Site {
        limits,
        // Nobody listens there: connections are given.
        ..Site::to(&["127.0.0.1:1"])
    }
}

impl End {
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything that is there once nothing moves any more.
    pub(crate) async fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        while let Ok(Ok(1..)) = timeout(MOMENT, self.stream.read_buf(&mut heard)).await {}
        String::from_utf8(heard).unwrap()
    }

    /// Everything until the proxy closes, and how long that took.
    pub(crate) async fn hear_all(&mut self) -> (String, Duration) {
        let (mut heard, start) = (Vec::new(), Instant::now());
        self.stream.read_to_end(&mut heard).await.unwrap();
        (String::from_utf8(heard).unwrap(), start.elapsed())
    }

    /// Whether the proxy has closed without saying more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        matches!(timeout(MOMENT, self.stream.read(&mut byte)).await, Ok(Ok(0)))
    }

    pub(crate) fn was_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed)
    }
}
