//! What one stream answers, as HTTP/2 takes it: a piece at a time, and none before there is room for it.
//! Pieces are parts of bytes that all streams share, so a proxy that does not read costs no memory of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

/// Messages that are ready to be sent to one proxy, besides the one that is being taken. An update is in
/// flight at a time; what else is said is small, and seldom.
const OUTBOUND: usize = 8;
/// Largest piece, in bytes: what a frame holds unless the other side allows more (RFC 9113 section 6.5.2).
const PIECE: usize = 16 * 1024;

/// The end that messages are put into.
#[derive(Debug)]
pub(super) struct Outbound {
    messages: mpsc::Sender<Result<Bytes, Status>>,
    left: Arc<AtomicU64>,
    gone: CancellationToken,
}

/// The end that HTTP/2 takes pieces from.
#[derive(Debug)]
pub(super) struct Answers {
    messages: mpsc::Receiver<Result<Bytes, Status>>,
    /// Of the message that is being taken.
    rest: Bytes,
    left: Arc<AtomicU64>,
    ended: bool,
    _gone: DropGuard,
}

/// The other side takes nothing any more.
#[derive(Debug)]
pub(super) struct Gone;

/// Both ends of what one stream answers.
pub(super) fn answers() -> (Outbound, Answers) {
    let (sender, messages) = mpsc::channel(OUTBOUND);
    let (left, gone) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let outbound = Outbound {
        messages: sender,
        left: Arc::clone(&left),
        gone: gone.clone(),
    };
    let answers = Answers {
        messages,
        rest: Bytes::new(),
        left,
        ended: false,
        _gone: gone.drop_guard(),
    };
    (outbound, answers)
}

impl Outbound {
    /// Hands a framed message over once there is a place for it.
    pub(super) async fn send(&self, message: Bytes) -> Result<(), Gone> {
        self.left.fetch_add(message.len() as u64, Ordering::Relaxed);
        self.messages.send(Ok(message)).await.map_err(|_| Gone)
    }

    /// Says why nothing follows.
    pub(super) async fn end(&self, status: Status) -> Result<(), Gone> {
        self.messages.send(Err(status)).await.map_err(|_| Gone)
    }

    /// Bytes that were handed over and that HTTP/2 has not taken.
    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Once nothing is taken any more.
    pub(super) async fn closed(&self) {
        self.messages.closed().await;
    }

    /// Told when all was taken or nothing can be any more, so that nothing is kept for it.
    pub(super) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }
}

impl Body for Answers {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.rest.is_empty() {
            match ready!(self.messages.poll_recv(cx)) {
                Some(Ok(message)) => self.rest = message,
                Some(Err(status)) => return Poll::Ready(Some(self.end(&status))),
                None => return Poll::Ready(Some(self.end(&Status::ok("")))),
            }
        }
        let length = self.rest.len().min(PIECE);
        self.left.fetch_sub(length as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl Answers {
    fn end(&mut self, status: &Status) -> Result<Frame<Bytes>, Status> {
        self.ended = true;
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_message_is_taken_in_pieces_of_the_bytes_that_all_share() {
        let (outbound, mut answers) = answers();
        let message = Bytes::from(vec![7; 2 * PIECE + 1]);
        outbound.send(message.clone()).await.unwrap();
        for (length, left) in [(PIECE, PIECE + 1), (PIECE, 1), (1, 0)] {
            assert_eq!(outbound.left(), (length + left) as u64);
            let piece = answers.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!((piece.len(), outbound.left()), (length, left as u64));
            assert!(message.as_ptr_range().contains(&piece.as_ptr()), "a copy");
        }
        let (gone, status) = (outbound.gone(), Status::aborted("enough"));
        outbound.end(status).await.unwrap();
        let trailers = answers.frame().await.unwrap().unwrap().into_trailers().unwrap();
        let said = ["grpc-status", "grpc-message"].map(|name| trailers[name].to_str().unwrap());
        assert_eq!(said, ["10", "enough"]);
        assert!(answers.is_end_stream() && answers.frame().await.is_none());
        assert!(!gone.is_cancelled());
        drop(answers);
        assert!(gone.is_cancelled() && outbound.send(message).await.is_err());
    }
}
