//! The end of a client's connection: what is still read so that the answer arrives.

use std::{
    future::poll_fn,
    task::{Poll, ready},
    time::Duration,
};

use super::Channel;

/// What is read of a client that has been told to go, and for how long: a socket that is closed
/// with bytes unread resets the connection, and the client may lose the answer.
pub(super) const LINGER: (usize, Duration) = (256 * 1024, Duration::from_secs(2));

impl Channel {
    /// Closes in order: says that nothing follows, and reads what the client may still be sending.
    pub(in crate::http1) async fn close(&self) {
        if self.with(|inner| inner.receiving.is_done() && inner.pipe.input.is_empty()) {
            self.shut_down().await;
        } else {
            self.linger().await;
        }
    }

    /// Says that nothing follows: over TLS that takes a message of its own (RFC 8446 section 6.1), for
    /// which there may be no room.
    pub(in crate::http1) async fn shut_down(&self) {
        self.with(|inner| inner.deadline.reset(LINGER.1));
        poll_fn(|cx| {
            self.with(|inner| match inner.pipe.poll_shutdown(cx) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => inner.deadline.poll_elapsed(cx),
            })
        })
        .await;
    }

    async fn linger(&self) {
        self.with(|inner| inner.deadline.reset(LINGER.1));
        let mut left = LINGER.0;
        let mut shut = false;
        poll_fn(|cx| {
            let inner = &mut *self.0.borrow_mut();
            if inner.deadline.poll_elapsed(cx).is_ready() {
                return Poll::Ready(());
            }
            if !shut {
                shut = ready!(inner.pipe.poll_shutdown(cx)).is_ok();
            }
            loop {
                inner.pipe.input.clear();
                match ready!(inner.pipe.poll_fill(cx)) {
                    Ok(read) if shut && read != 0 && read <= left => left -= read,
                    Ok(_) | Err(_) => return Poll::Ready(()),
                }
            }
        })
        .await;
    }
}
