//! What is known of a request that was made.

use http::HeaderName;

use crate::RequestView;

/// Headers that clients prove themselves with; the last carries a token.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "sluice-debug"];

/// One kind of request, and how often it was made.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The port that the Gateway names, if that is known.
    pub port: Option<u16>,
    /// Whether it came over TLS, if that is known. Counts only without a port.
    pub is_secure: Option<bool>,
    /// What decides where it goes, as far as it is known: only headers whose values are.
    pub request: RequestView<'a>,
    /// Which headers were looked at when it was recorded.
    pub recorded: Recorded<'a>,
    /// Headers that it had, with values that are not known, but for this: they are none of those
    /// that the rules of either snapshot spell out.
    pub hidden: &'a [HeaderName],
    /// Headers that it had, with values of which nothing is known.
    pub unknown: &'a [HeaderName],
    /// Whether its query was recorded; otherwise it is taken to have had none.
    pub has_query: bool,
    /// How many requests it stands for.
    pub weight: u64,
}

/// Which headers of a request were looked at. Others are taken as absent, and that is said.
#[derive(Clone, Copy, Debug)]
pub enum Recorded<'a> {
    /// All: what is not there was not there.
    Everything,
    /// These, and those that are there.
    Only(&'a [HeaderName]),
}

/// Whether clients prove themselves with this header: of its values no sample has more than a hash, and nothing is
/// judged by that.
pub fn is_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|one| name.eq_ignore_ascii_case(one))
}

/// What a header's value is known by where it is not kept itself: equal for equal values of one name, and
/// worth nothing to whoever does not have `key`.
pub fn sampled_value(key: &[u8; 32], name: &HeaderName, value: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    // No name has a zero byte.
    hasher.update(name.as_str().as_bytes()).update(&[0]);
    let hash = hasher.update(value.as_bytes()).finalize();
    let mut short = [0; 16];
    short.copy_from_slice(&hash.as_bytes()[..16]);
    short
}

/// What a key of [`sampled_value`] is called: says which it is, and nothing of it.
pub fn sample_key_id(key: &[u8; 32]) -> [u8; 8] {
    let derived = blake3::derive_key("sluice: the name of a key of samples", key);
    let mut id = [0; 8];
    id.copy_from_slice(&derived[..8]);
    id
}

impl Sample<'_> {
    /// Whether all is known that a rule may ask for.
    pub(super) fn is_whole(&self) -> bool {
        self.has_query
            && self.hidden.is_empty()
            && self.unknown.is_empty()
            && matches!(self.recorded, Recorded::Everything)
    }

    /// Whether it is known what the request has under `name`, be it nothing.
    pub(super) fn is_recorded(&self, name: &HeaderName) -> bool {
        match self.recorded {
            Recorded::Everything => true,
            Recorded::Only(names) => names.contains(name) || self.request.headers.contains_key(name),
        }
    }
}
