//! An answer on its way to a client that speaks HTTP/1.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_LENGTH, DATE},
    response::Parts,
};
use http_body::{Body as _, Frame};
use sluice_http1::{Framing, Persistence, write_chunk_head, write_last_chunk, write_response};

use super::channel::{Channel, Inner};
use crate::request::{BodyError, Exchange, ResponseBody, broken_answer};

/// Room for a head, so that it is written without growing the buffer.
const HEAD: usize = 1024;

/// What of the request an answer depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The answer has no body, whatever its head says.
    pub(super) head: bool,
    /// The client speaks 1.0.
    pub(super) http10: bool,
    /// Another request may follow.
    pub(super) persistent: bool,
}

/// How an answer ended.
pub(super) enum Answered {
    /// Whole; another request may follow.
    Persistent,
    /// Whole; the connection is to be closed in order.
    Last,
    /// It broke off, or the client takes no more.
    Broken,
    /// The connection is another protocol from now on.
    Switched(Box<Exchange>),
}

/// Writes `response`, to its end.
pub(super) async fn respond(
    channel: &Channel,
    response: Response<ResponseBody>,
    asked: Asked,
    date: &[u8],
) -> Answered {
    let (parts, body) = response.into_parts();
    let framing = framing(&parts, &body, asked);
    let open_ended = framing == Framing::Silent && !body.is_end_stream();
    let persistent = asked.persistent && !open_ended && channel.with(|inner| inner.can_go_on());
    channel.with(|inner| {
        inner.stop_asking();
        write_head(
            inner,
            &parts,
            framing,
            persistence(&parts, asked, persistent),
            date,
        );
    });
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return switch(channel, body).await;
    }
    let mut body = pin!(body);
    let mut writer = Writer {
        chunked: framing == Framing::Chunked,
        ended: false,
        begun: false,
        refused: false,
    };
    let whole = poll_fn(|cx| writer.poll(channel, body.as_mut(), cx)).await;
    match (whole, persistent && !writer.refused) {
        (false, _) => Answered::Broken,
        (true, true) => Answered::Persistent,
        (true, false) => Answered::Last,
    }
}

async fn switch(channel: &Channel, body: ResponseBody) -> Answered {
    let written = poll_fn(|cx| channel.with(|inner| inner.poll_drain(cx))).await;
    match (written, body.into_exchange()) {
        (Ok(()), Some(exchange)) => Answered::Switched(exchange),
        _ => Answered::Broken,
    }
}

/// RFC 9112 section 6.
fn framing(parts: &Parts, body: &ResponseBody, asked: Asked) -> Framing {
    let status = parts.status;
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        return Framing::Silent;
    }
    if asked.head || status == StatusCode::NOT_MODIFIED {
        // What a body would have had, if that is known.
        return said(&parts.headers).map_or(Framing::Silent, Framing::Length);
    }
    match body.size_hint().exact() {
        Some(length) => Framing::Length(length),
        None if asked.http10 => Framing::Silent,
        None => Framing::Chunked,
    }
}

fn said(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn persistence(parts: &Parts, asked: Asked, persistent: bool) -> Persistence {
    match (persistent, asked.http10) {
        _ if parts.status == StatusCode::SWITCHING_PROTOCOLS => Persistence::Implied,
        (false, _) => Persistence::Close,
        (true, true) => Persistence::KeepAlive,
        (true, false) => Persistence::Implied,
    }
}

fn write_head(inner: &mut Inner, parts: &Parts, framing: Framing, persistence: Persistence, date: &[u8]) {
    inner.pipe.output.reserve(HEAD);
    let date = (!parts.headers.contains_key(DATE)).then_some(date);
    write_response(
        &mut inner.pipe.output,
        parts.status,
        &parts.headers,
        framing,
        persistence,
        date,
    );
}

/// Writes a body behind its head.
struct Writer {
    chunked: bool,
    /// All of it is in the pipe.
    ended: bool,
    /// Some of the answer was written.
    begun: bool,
    /// Another answer takes its place.
    refused: bool,
}

impl Writer {
    /// Ready with whether the whole answer was written.
    fn poll(
        &mut self,
        channel: &Channel,
        mut body: Pin<&mut ResponseBody>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        loop {
            let Ok(waiting) = self.gather(channel, body.as_mut(), cx) else {
                return Poll::Ready(false);
            };
            self.begun = true;
            match ready!(channel.with(|inner| inner.poll_drain(cx))) {
                Err(_) => return Poll::Ready(false),
                Ok(()) if self.ended => return Poll::Ready(true),
                Ok(()) if waiting => return channel.poll_gone(cx).map(|()| false),
                Ok(()) => {}
            }
        }
    }

    /// Takes as much of the body as may wait to be written. Whether more is to come that is not
    /// there yet.
    fn gather(
        &mut self,
        channel: &Channel,
        mut body: Pin<&mut ResponseBody>,
        cx: &mut Context<'_>,
    ) -> Result<bool, ()> {
        while !self.ended && channel.with(|inner| inner.pipe.has_room()) {
            let Poll::Ready(frame) = body.as_mut().poll_frame(cx) else {
                return Ok(true);
            };
            match frame.transpose() {
                Ok(frame) => channel.with(|inner| self.put(inner, frame)),
                Err(error) => self.break_off(channel, &error)?,
            }
        }
        Ok(false)
    }

    fn put(&mut self, inner: &mut Inner, frame: Option<Frame<Bytes>>) {
        let data = match frame.map(Frame::into_data) {
            Some(Ok(data)) if data.is_empty() => return,
            Some(Ok(data)) => data,
            Some(Err(frame)) => {
                self.end(inner, frame.trailers_ref());
                return;
            }
            None => {
                self.end(inner, None);
                return;
            }
        };
        if self.chunked {
            write_chunk_head(&mut inner.pipe.output, data.len());
            inner.pipe.put(data, b"\r\n");
        } else {
            inner.pipe.put(data, b"");
        }
    }

    fn end(&mut self, inner: &mut Inner, trailers: Option<&HeaderMap>) {
        if self.chunked {
            write_last_chunk(&mut inner.pipe.output, trailers);
        }
        self.ended = true;
    }

    /// The body broke off. As long as nothing was written, the client can be told; after that the
    /// connection must not end as if the message were whole.
    fn break_off(&mut self, channel: &Channel, error: &BodyError) -> Result<(), ()> {
        channel.with(|inner| {
            inner.pipe.discard();
            if self.begun {
                inner.pipe.reset_on_drop();
                return Err(());
            }
            let (parts, text) = broken_answer(error.reason()).into_parts();
            let length = Framing::Length(text.len() as u64);
            write_response(
                &mut inner.pipe.output,
                parts.status,
                &parts.headers,
                length,
                Persistence::Close,
                None,
            );
            inner.pipe.put(text, b"");
            (self.ended, self.refused) = (true, true);
            Ok(())
        })
    }
}
