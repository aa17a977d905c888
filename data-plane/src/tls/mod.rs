//! TLS: what the live snapshot's listeners and backends do it with, and the handshakes.
//!
//! Configurations are built where snapshots are, off the worker threads, and go live with them in
//! one store. One that is made of the same content as before is the same object: connections to
//! upstreams and sessions live on.

mod accept;
mod connect;
mod content;
mod credentials;
mod failure;
mod set;

pub(crate) use self::{
    accept::{Secured, accept},
    connect::{Dial, connect},
    failure::{HandshakeFailure, Handshakes},
    set::{Builder, Listening, Tls},
};
