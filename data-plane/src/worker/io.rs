//! What a client speaks, told by the first bytes it sends.

use std::io;

use bytes::BytesMut;
use tokio::io::AsyncReadExt as _;

use crate::transport::Transport;

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Read ahead at most.
const AHEAD: usize = 8 * 1024;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1,
    Http2,
}

/// Reads as much as it takes to tell what the client speaks; returns that, too.
///
/// # Errors
/// When the connection breaks. A client that says nothing and leaves speaks HTTP/1.1.
pub(super) async fn listen_first(transport: &mut Transport) -> io::Result<(BytesMut, Spoken)> {
    let mut ahead = BytesMut::with_capacity(AHEAD);
    let spoken = loop {
        let read = transport.read_buf(&mut ahead).await?;
        let compared = ahead.len().min(PREFACE.len());
        if ahead[..compared] != PREFACE[..compared] {
            break Spoken::Http1;
        }
        match (read, compared == PREFACE.len()) {
            (_, true) => break Spoken::Http2,
            (0, false) => break Spoken::Http1,
            (_, false) => {}
        }
    };
    Ok((ahead, spoken))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncWriteExt as _,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::socket::Socket;

    async fn spoken(chunks: &[&[u8]]) -> (Spoken, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut transport = Transport::Plain(Socket::new(listener.accept().await.unwrap().0));
        let listening = tokio::spawn(async move {
            let heard = listen_first(&mut transport).await.unwrap();
            (heard, transport)
        });
        for chunk in chunks {
            client.write_all(chunk).await.unwrap();
            tokio::task::yield_now().await;
        }
        drop(client);
        let ((ahead, spoken), mut transport) = listening.await.unwrap();
        let mut all = ahead.to_vec();
        transport.read_to_end(&mut all).await.unwrap();
        (spoken, all)
    }

    #[tokio::test]
    async fn the_preface_tells_http2_apart_however_it_is_cut() {
        assert_eq!(spoken(&[&PREFACE[..5], &PREFACE[5..]]).await.0, Spoken::Http2);
        assert_eq!(spoken(&[PREFACE]).await.0, Spoken::Http2);
        assert_eq!(spoken(&[b"PRI", b"NT / HTTP/1.1\r\n\r\n"]).await.0, Spoken::Http1);
        assert_eq!(spoken(&[b"GET / HTTP/1.1\r\n\r\n"]).await.0, Spoken::Http1);
        assert_eq!(spoken(&[]).await.0, Spoken::Http1);
    }

    #[tokio::test]
    async fn nothing_that_was_read_ahead_is_lost() {
        let (_, all) = spoken(&[b"PRI", b"NT / HTTP/1.1\r\n\r\n"]).await;
        assert_eq!(all, b"PRINT / HTTP/1.1\r\n\r\n");
    }
}
