//! A connection with what was read ahead and what is still to be written.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::transport::Transport;

/// Read at once of heads and small bodies, over the stack: a connection that waits holds no buffer.
const SMALL: usize = 8 * 1024;
/// Read at once of large bodies; the bound on what is read ahead of a slow reader.
const LARGE: usize = 64 * 1024;
/// Data up to this length is copied behind what goes before it, to leave in one piece.
const COPIED: usize = 4 * 1024;
/// What is gathered before it is written.
const GATHERED: usize = 16 * 1024;

/// One connection.
#[derive(Debug)]
pub(crate) struct Pipe {
    transport: Transport,
    /// What was read and is not used yet.
    pub(super) input: BytesMut,
    /// The last read found more than a small one takes.
    plenty: bool,
    /// What is to be written; of it, `written` bytes are.
    pub(super) output: Vec<u8>,
    written: usize,
    /// A piece of a body to be written after `output`.
    data: Bytes,
    /// And what goes behind it.
    tail: &'static [u8],
    /// The transport holds back some of what it took. TLS does.
    unflushed: bool,
}

impl Pipe {
    /// A connection of which `input` was read already.
    pub(crate) fn new(transport: Transport, input: BytesMut) -> Self {
        Self {
            transport,
            input,
            plenty: false,
            output: Vec::new(),
            written: 0,
            data: Bytes::new(),
            tail: &[],
            unflushed: false,
        }
    }

    /// The connection, and what was read of it.
    pub(crate) fn into_parts(self) -> (Transport, BytesMut) {
        (self.transport, self.input)
    }

    /// Reads more into `input`. 0 is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.plenty {
            self.input.reserve(LARGE);
            return poll_read_buf(Pin::new(&mut self.transport), cx, &mut self.input);
        }
        let mut scratch = [const { MaybeUninit::uninit() }; SMALL];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut self.transport).poll_read(cx, &mut scratch))?;
        let read = scratch.filled();
        self.input.extend_from_slice(read);
        self.plenty = read.len() == SMALL;
        Poll::Ready(Ok(read.len()))
    }

    /// Whether anything may still be put behind what is to be written.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        // What is gathered goes out before these two.
        self.data.is_empty() && self.tail.is_empty() && self.output.len() < GATHERED
    }

    /// Puts a piece of a body behind what is to be written, and `tail` behind that.
    pub(super) fn put(&mut self, data: Bytes, tail: &'static [u8]) {
        if data.len() <= COPIED {
            self.output.extend_from_slice(&data);
            self.output.extend_from_slice(tail);
        } else {
            (self.data, self.tail) = (data, tail);
        }
    }

    /// Whether everything was written, and is on its way.
    pub(super) fn is_drained(&self) -> bool {
        self.left() == 0 && !self.unflushed
    }

    /// Bytes that are still to be written.
    pub(super) fn left(&self) -> usize {
        self.output.len() - self.written + self.data.len() + self.tail.len()
    }

    /// Writes everything that is to be written.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left() != 0 {
            let written = ready!(self.poll_write(cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        let flushed = Pin::new(&mut self.transport).poll_flush(cx);
        self.unflushed = flushed.is_pending();
        flushed
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let transport = Pin::new(&mut self.transport);
        let output = &self.output[self.written..];
        if self.data.is_empty() && self.tail.is_empty() {
            return transport.poll_write(cx, output);
        }
        let slices = [output, &self.data, self.tail].map(IoSlice::new);
        transport.poll_write_vectored(cx, &slices)
    }

    fn advance(&mut self, written: usize) {
        let of_output = written.min(self.output.len() - self.written);
        self.written += of_output;
        if self.written == self.output.len() {
            // An idle connection holds no buffer; one that writes a lot keeps it until it is idle.
            self.output.clear();
            self.written = 0;
        }
        let of_data = (written - of_output).min(self.data.len());
        self.data.advance(of_data);
        self.tail = &self.tail[written - of_output - of_data..];
    }

    /// Drops what is to be written: nobody takes it.
    pub(super) fn discard(&mut self) {
        self.output.clear();
        self.written = 0;
        (self.data, self.tail) = (Bytes::new(), &[]);
    }

    /// Lets go of buffers that are empty.
    pub(super) fn rest(&mut self) {
        if self.output.is_empty() {
            self.output = Vec::new();
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        self.plenty = false;
    }

    /// Writes nothing more.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }

    /// Ends with a reset when dropped.
    pub(super) fn reset_on_drop(&self) {
        self.transport.reset_on_drop();
    }
}
