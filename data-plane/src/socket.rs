//! A TCP socket that writes short messages in one piece.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Up to this many bytes are copied together: cheaper than having the kernel gather them.
const TOGETHER: usize = 1024;

/// A TCP socket.
///
/// hyper hands over head and body in several slices. Copying a small answer costs tens of
/// nanoseconds; `writev` instead of `send` costs hundreds. Large ones go as they are.
#[derive(Debug)]
pub(crate) struct Socket(TcpStream);

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Heads and small bodies must not wait for each other. Fails only on a dead socket, which
        // the first read or write shows.
        let _ = stream.set_nodelay(true);
        Self(stream)
    }

    /// Ends with a reset when dropped.
    pub(crate) fn reset_on_drop(&self) {
        // Fails only on a dead socket, which has ended already.
        let _ = self.0.set_zero_linger();
    }
}

impl AsyncRead for Socket {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices {
            return self.poll_write(cx, only);
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total > TOGETHER {
            return Pin::new(&mut self.0).poll_write_vectored(cx, slices);
        }
        let mut together = [0; TOGETHER];
        let mut end = 0;
        for slice in slices {
            together[end..end + slice.len()].copy_from_slice(slice);
            end += slice.len();
        }
        self.poll_write(cx, &together[..end])
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn slices_arrive_in_order_however_long_they_are() {
        for lengths in [&[3, 0, 5][..], &[7], &[600, 424], &[600, 425], &[4000, 1, 9000]] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let mut socket = Socket::new(stream);
            let bytes: Vec<Vec<u8>> = (1..)
                .zip(lengths)
                .map(|(byte, length)| vec![byte; *length])
                .collect();
            let slices: Vec<_> = bytes.iter().map(|bytes| IoSlice::new(bytes)).collect();
            let written = poll_fn(|cx| Pin::new(&mut socket).poll_write_vectored(cx, &slices))
                .await
                .unwrap();
            drop(socket);
            let mut read = Vec::new();
            listener
                .accept()
                .await
                .unwrap()
                .0
                .read_to_end(&mut read)
                .await
                .unwrap();
            assert_eq!(read, bytes.concat()[..written], "{lengths:?}");
            assert_eq!(written, bytes.concat().len(), "{lengths:?}");
        }
    }
}
