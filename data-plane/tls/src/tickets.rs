//! Session tickets (RFC 5077, RFC 8446 section 4.6.1) that any proxy with the same keys can open.
//!
//! A ticket is `name (16) || salt (24) || AES-256-GCM(state) || tag (16)`. Its key and nonce come
//! from the ticket key and the salt by HKDF-SHA256, so that no number of tickets under one ticket
//! key, made by any number of proxies, comes near the bounds of AES-GCM with random nonces.
//!
//! Ticket keys are not used as they come: they are bound to a *scope*, which names the listener and
//! what it asks of clients. A session never moves to where somebody else would have been asked for.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;

/// Length of a ticket key.
pub const TICKET_KEY: usize = 32;
/// Seconds that clients are told a ticket is good for. Keys are given up later than that.
const LIFETIME: u32 = 12 * 60 * 60;

const NAME: usize = 16;
const SALT: usize = 24;
const TAG: usize = 16;
/// Largest session: with a client's chain in it.
const MAX_TICKET: usize = 64 * 1024;

/// Makes tickets under the newest of some keys, and opens those of all of them.
pub struct Tickets {
    keys: Vec<TicketKey>,
}

struct TicketKey {
    name: [u8; NAME],
    prk: Prk,
}

/// A number of bytes that HKDF is to give.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Tickets {
    /// The tickets of one scope under `keys`, the newest first; without keys there are none.
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k [u8; TICKET_KEY]>, scope: &[u8]) -> Self {
        let derive = |key: &[u8; TICKET_KEY]| {
            let salt = Salt::new(HKDF_SHA256, b"sluice session tickets 1");
            let prk = salt.extract(key);
            let mut bound = [0; TICKET_KEY];
            expand(&prk, &[b"scope", scope], &mut bound)?;
            let prk = Prk::new_less_safe(HKDF_SHA256, &bound);
            let mut name = [0; NAME];
            expand(&prk, &[b"name"], &mut name)?;
            Some(TicketKey { name, prk })
        };
        Self {
            keys: keys.into_iter().filter_map(derive).collect(),
        }
    }
}

/// Fills `out`; fails for lengths only that HKDF does not have (RFC 5869 section 2.3).
fn expand(prk: &Prk, info: &[&[u8]], out: &mut [u8]) -> Option<()> {
    let okm = prk.expand(info, Length(out.len())).ok()?;
    okm.fill(out).ok()
}

impl TicketKey {
    /// Key and nonce of the ticket with that salt.
    fn cipher(&self, salt: &[u8]) -> Option<(LessSafeKey, Nonce)> {
        let mut bytes = [0; TICKET_KEY + NONCE_LEN];
        expand(&self.prk, &[b"ticket", salt], &mut bytes)?;
        let (key, nonce) = bytes.split_at(TICKET_KEY);
        let key = UnboundKey::new(&AES_256_GCM, key).ok()?;
        Some((
            LessSafeKey::new(key),
            Nonce::try_assume_unique_for_key(nonce).ok()?,
        ))
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        !self.keys.is_empty()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.first()?;
        let mut salt = [0; SALT];
        rand::fill(&mut salt).ok()?;
        let (cipher, nonce) = key.cipher(&salt)?;
        let mut sealed = plain.to_vec();
        cipher
            .seal_in_place_append_tag(nonce, Aad::from(key.name), &mut sealed)
            .ok()?;
        Some([&key.name[..], &salt, &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() < NAME + SALT + TAG || ticket.len() > MAX_TICKET {
            return None;
        }
        let (name, rest) = ticket.split_at(NAME);
        let (salt, sealed) = rest.split_at(SALT);
        let named = |key: &&TicketKey| verify_slices_are_equal(&key.name, name).is_ok();
        let key = self.keys.iter().find(named)?;
        let (cipher, nonce) = key.cipher(salt)?;
        let mut plain = sealed.to_vec();
        let length = cipher
            .open_in_place(nonce, Aad::from(key.name), &mut plain)
            .ok()?
            .len();
        plain.truncate(length);
        Some(plain)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("keys", &self.keys.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; TICKET_KEY] = [1; TICKET_KEY];
    const NEW: [u8; TICKET_KEY] = [2; TICKET_KEY];

    #[test]
    fn a_ticket_opens_wherever_its_key_is_known() {
        let (here, there) = (Tickets::new([&OLD], b"a"), Tickets::new([&NEW, &OLD], b"a"));
        let ticket = here.encrypt(b"session").unwrap();
        assert_eq!(there.decrypt(&ticket).unwrap(), b"session");
        let newer = there.encrypt(b"session").unwrap();
        assert_eq!(here.decrypt(&newer), None, "it is made under the newest key");
        assert_ne!(here.encrypt(b"session").unwrap(), ticket);
    }

    #[test]
    fn a_ticket_does_not_leave_its_scope() {
        let (here, there) = (Tickets::new([&OLD], b"a"), Tickets::new([&OLD], b"b"));
        assert_eq!(there.decrypt(&here.encrypt(b"session").unwrap()), None);
    }

    #[test]
    fn a_ticket_that_was_changed_is_none() {
        let tickets = Tickets::new([&OLD], b"a");
        let ticket = tickets.encrypt(b"session").unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(tickets.decrypt(&changed), None, "{at}");
            assert_eq!(tickets.decrypt(&ticket[..at]), None, "{at}");
        }
        assert_eq!(tickets.decrypt(&[0; MAX_TICKET + 1]), None);
    }

    #[test]
    fn without_a_key_there_are_no_tickets() {
        let tickets = Tickets::new([], b"a");
        assert!(!tickets.enabled());
        assert_eq!(tickets.encrypt(b"session"), None);
    }
}
