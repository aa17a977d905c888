//! One validated resource of any kind: the only way from wire bytes into the model.

use prost::Message;
use sluice_proto::v1;

use crate::{
    Backend, Certificate, Code, Endpoints, Experiment, Key, Kind, Listener, Route, Rule, Split, Tickets,
    Trust, Violation,
};

/// Largest body of one resource, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// A resource that was read and found right.
#[derive(Clone, Debug)]
pub enum Resource {
    /// What a listener shows, or a proxy to a backend.
    Certificate(Certificate),
    /// What certificates may lead to.
    Trust(Trust),
    /// Keys of session tickets.
    Tickets(Tickets),
    /// Where requests come in.
    Listener(Listener),
    /// An upstream service.
    Backend(Backend),
    /// Its addresses.
    Endpoints(Endpoints),
    /// Shares by weight.
    Split(Split),
    /// Shares by user.
    Experiment(Experiment),
    /// Where rules are served.
    Route(Route),
    /// What is done with a request.
    Rule(Rule),
}

impl Resource {
    /// Reads the body that stands under `key`.
    ///
    /// # Errors
    /// Every violation found; references to other resources are judged by the snapshot.
    pub fn decode(key: &Key, body: &[u8]) -> Result<Self, Vec<Violation>> {
        if body.len() > MAX_BODY {
            let message = format!("{} bytes; at most {MAX_BODY}", body.len());
            return Err(vec![Violation::new(key.as_str(), "", Code::OutOfRange, message)]);
        }
        match key.kind() {
            Kind::Certificate => Certificate::read(key, parse(key, body)?).map(Self::Certificate),
            Kind::Trust => Trust::read(key, parse(key, body)?).map(Self::Trust),
            Kind::Tickets => Tickets::read(key, parse(key, body)?).map(Self::Tickets),
            Kind::Listener => Listener::read(key, &parse(key, body)?).map(Self::Listener),
            Kind::Backend => Backend::read(key, &parse::<v1::Backend>(key, body)?).map(Self::Backend),
            Kind::Endpoints => Endpoints::read(key, &parse(key, body)?).map(Self::Endpoints),
            Kind::Split => Split::read(key, &parse(key, body)?).map(Self::Split),
            Kind::Experiment => Experiment::read(key, &parse(key, body)?).map(Self::Experiment),
            Kind::Route => Route::read(key, &parse(key, body)?).map(Self::Route),
            Kind::Rule => Rule::read(key, &parse(key, body)?).map(Self::Rule),
        }
    }
}

fn parse<M: Message + Default>(key: &Key, body: &[u8]) -> Result<M, Vec<Violation>> {
    M::decode(body).map_err(|error| {
        vec![Violation::new(
            key.as_str(),
            "",
            Code::Malformed,
            error.to_string(),
        )]
    })
}
