//! Bounds on what clients may do.

use std::time::Duration;

use sluice_proto::v1;

/// Limits of a listener, every default filled in. The greatest value of a number's type means that
/// there is no limit; so does `Duration::MAX`.
///
/// Those of a connection (`requests_per_connection`, the timeouts and rates) apply before a request
/// names its listener, so on one port the strictest of its listeners count: [`Limits::strictest`]. The
/// others are the listener's own; a connection is counted by the listener of its server name or, where
/// it is plain, of its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, of each proxy.
    pub connections: u64,
    /// Connections at a time per client address, of each proxy; `u32::MAX` is not counted at all.
    pub connections_per_client: u32,
    /// Bytes of a request's head, line ends included.
    pub header_bytes: u32,
    /// Header lines of a request.
    pub header_count: u32,
    /// Bytes of a request's target.
    pub uri_bytes: u32,
    /// Bytes of a request's body, without framing.
    pub body_bytes: u64,
    /// Requests of one connection; it is closed after the last, in order.
    pub requests_per_connection: u64,
    /// A request's head, from its first byte to its last; for the first also from the connection's
    /// start, with TLS from its handshake's.
    pub head_timeout: Duration,
    /// Between two pieces of a request's body.
    pub body_timeout: Duration,
    /// Between two requests.
    pub idle_timeout: Duration,
    /// Bytes per second that a client must send of a body, on average after the first seconds.
    pub body_min_rate: u64,
    /// The same for what it takes of an answer while there is something to take.
    pub response_min_rate: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 65_536,
            connections_per_client: u32::MAX,
            header_bytes: 32 * 1024,
            header_count: 100,
            uri_bytes: 8 * 1024,
            body_bytes: 1024 * 1024 * 1024,
            requests_per_connection: 100_000,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            body_min_rate: 100,
            response_min_rate: 100,
        }
    }
}

impl Limits {
    /// Limits as they travel: 0 is the default.
    pub(crate) fn read(wire: &v1::Limits) -> Self {
        let default = Self::default();
        let number = |wire: u64, default: u64| if wire == 0 { default } else { wire };
        let short = |wire: u32, default: u32| if wire == 0 { default } else { wire };
        let time = |ms: u64, default| match ms {
            0 => default,
            u64::MAX => Duration::MAX,
            ms => Duration::from_millis(ms),
        };
        Self {
            connections: number(wire.connections, default.connections),
            connections_per_client: short(wire.connections_per_client, default.connections_per_client),
            header_bytes: short(wire.header_bytes, default.header_bytes),
            header_count: short(wire.header_count, default.header_count),
            uri_bytes: short(wire.uri_bytes, default.uri_bytes),
            body_bytes: number(wire.body_bytes, default.body_bytes),
            requests_per_connection: number(wire.requests_per_connection, default.requests_per_connection),
            head_timeout: time(wire.head_timeout_ms, default.head_timeout),
            body_timeout: time(wire.body_timeout_ms, default.body_timeout),
            idle_timeout: time(wire.idle_timeout_ms, default.idle_timeout),
            body_min_rate: match wire.body_min_rate {
                u64::MAX => 0,
                rate => number(rate, default.body_min_rate),
            },
            response_min_rate: match wire.response_min_rate {
                u64::MAX => 0,
                rate => number(rate, default.response_min_rate),
            },
        }
    }

    /// The smaller of each bound, and the higher of each rate.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        Self {
            connections: self.connections.min(other.connections),
            connections_per_client: self.connections_per_client.min(other.connections_per_client),
            header_bytes: self.header_bytes.min(other.header_bytes),
            header_count: self.header_count.min(other.header_count),
            uri_bytes: self.uri_bytes.min(other.uri_bytes),
            body_bytes: self.body_bytes.min(other.body_bytes),
            requests_per_connection: self.requests_per_connection.min(other.requests_per_connection),
            head_timeout: self.head_timeout.min(other.head_timeout),
            body_timeout: self.body_timeout.min(other.body_timeout),
            idle_timeout: self.idle_timeout.min(other.idle_timeout),
            body_min_rate: self.body_min_rate.max(other.body_min_rate),
            response_min_rate: self.response_min_rate.max(other.response_min_rate),
        }
    }
}
