//! HTTP/1 on the wire, in both directions: connections of clients and to endpoints. What the bytes
//! mean is the business of `sluice-http1`.

mod body;
mod channel;
mod client;
mod pipe;
mod respond;
mod serve;
#[cfg(test)]
mod tests;
mod upload;

pub(crate) use self::{
    channel::Channel,
    client::{Client, Interim},
    pipe::Pipe,
    serve::serve,
    upload::Upload,
};
