//! Who asks: bearer tokens (RFC 6750), looked up by their hash.
//!
//! A token that was found is believed for [`TRUST`] without a look into the store. So a token that
//! another replica withdrew works here for that long; one withdrawn here stops at once. The secret
//! itself is never compared: its hash is looked up, which tells nothing by how long it takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use sluice_intent::{Kind, Namespace};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::problem::Problem;
use crate::clock;
use crate::store::{Scope, Store, Token, TokenHash, Verb};

/// How long a token is believed without a look into the store.
const TRUST: Duration = Duration::from_secs(2);
/// Tokens that are remembered.
const MAX_KNOWN: usize = 1_024;
/// Lookups at once: whoever has no token must not take all of the store.
const MAX_LOOKUPS: usize = 16;

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Unauthenticated {
    /// It brought nothing.
    #[error("send a token: `Authorization: Bearer TOKEN`")]
    NoToken,
    /// It brought something that opens nothing here.
    #[error("the token is unknown, expired or withdrawn")]
    BadToken,
}

impl Unauthenticated {
    /// The value of `WWW-Authenticate` (RFC 6750 section 3).
    pub(super) const fn challenge(self) -> HeaderValue {
        match self {
            Self::NoToken => HeaderValue::from_static("Bearer realm=\"sluice\""),
            Self::BadToken => HeaderValue::from_static("Bearer realm=\"sluice\", error=\"invalid_token\""),
        }
    }
}

/// Why a request of somebody known is not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Forbidden {
    /// It is of the control plane itself.
    #[error("only a token that may do everything may do this")]
    Limited,
    /// It shows what becomes of requests, whoever's rules they meet.
    #[error("the token does not allow to make debug tokens")]
    Debug,
    /// It shows requests of clients, whoever's rules they meet.
    #[error("the token does not allow to replay what proxies sampled")]
    Samples,
    /// The resource is not one of those that the token may see.
    #[error("the token does not allow to {0} {1} in namespace `{2}`")]
    Verb(Verb, Kind, Namespace),
}

impl Forbidden {
    /// The value of `WWW-Authenticate` (RFC 6750 section 3.1).
    pub(super) const CHALLENGE: HeaderValue =
        HeaderValue::from_static("Bearer realm=\"sluice\", error=\"insufficient_scope\"");
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Public name of the token.
    pub(super) token: Arc<str>,
    /// What the token is called: the author of its changes.
    pub(super) name: Arc<str>,
    /// What it may do.
    pub(super) scope: Scope,
}

impl Caller {
    /// Nobody in particular, who may do nothing.
    pub(super) fn nobody() -> Self {
        Self {
            token: "".into(),
            name: "".into(),
            scope: Scope::of(Some(Vec::new())),
        }
    }

    /// # Errors
    /// Unless the token may do everything.
    pub(super) fn must_be_unlimited(&self) -> Result<(), Forbidden> {
        match self.scope {
            Scope::Everything => Ok(()),
            Scope::Granted(_) => Err(Forbidden::Limited),
        }
    }

    /// # Errors
    /// Unless the token may make debug tokens.
    pub(super) fn must_debug(&self) -> Result<(), Forbidden> {
        match self.scope.has(Verb::Debug) {
            true => Ok(()),
            false => Err(Forbidden::Debug),
        }
    }

    /// # Errors
    /// Unless the token may see what proxies sampled.
    pub(super) fn must_read_samples(&self) -> Result<(), Forbidden> {
        match self.scope.has(Verb::Samples) {
            true => Ok(()),
            false => Err(Forbidden::Samples),
        }
    }

    /// # Errors
    /// Unless the token may do it to such resources.
    pub(super) fn must(&self, verb: Verb, kind: Kind, namespace: &Namespace) -> Result<(), Forbidden> {
        match self.scope.allows(verb, kind, namespace) {
            true => Ok(()),
            false => Err(Forbidden::Verb(verb, kind, namespace.clone())),
        }
    }
}

/// Looks tokens up.
#[derive(Debug)]
pub(super) struct Gatekeeper {
    store: Store,
    known: Mutex<HashMap<[u8; 32], Known>>,
    lookups: Semaphore,
}

#[derive(Debug)]
struct Known {
    token: Token,
    caller: Caller,
    seen: Instant,
}

impl Gatekeeper {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            known: Mutex::default(),
            lookups: Semaphore::new(MAX_LOOKUPS),
        }
    }

    /// Who sent these headers.
    ///
    /// # Errors
    /// When nobody did that is known, or the store does not answer.
    pub(super) async fn admit(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let secret = bearer(headers)?;
        let hash = *blake3::hash(secret.as_bytes()).as_bytes();
        if let Some(caller) = self.remembered(&hash) {
            return Ok(caller);
        }
        let _turn = self.lookups.acquire().await.map_err(|_| Problem::Closing)?;
        let found = self.store.find_token(&TokenHash::of(secret)).await?;
        let token = found
            .filter(|token| token.is_valid(clock::wall()))
            .ok_or(Unauthenticated::BadToken)?;
        let caller = Caller {
            token: token.id.as_str().into(),
            name: token.name.as_str().into(),
            scope: token.scope.clone(),
        };
        self.remember(
            hash,
            Known {
                token,
                caller: caller.clone(),
                seen: Instant::now(),
            },
        );
        Ok(caller)
    }

    /// Believes a token no longer; to be called when it is withdrawn.
    pub(super) fn forget(&self, token: &str) {
        self.known().retain(|_, known| &*known.caller.token != token);
    }

    fn remembered(&self, hash: &[u8; 32]) -> Option<Caller> {
        let known = self.known();
        let known = known.get(hash).filter(|known| known.seen.elapsed() < TRUST)?;
        known.token.is_valid(clock::wall()).then(|| known.caller.clone())
    }

    fn remember(&self, hash: [u8; 32], new: Known) {
        let mut known = self.known();
        if known.len() >= MAX_KNOWN {
            known.retain(|_, known| known.seen.elapsed() < TRUST);
        }
        if known.len() < MAX_KNOWN {
            known.insert(hash, new);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Unauthenticated> {
    let value = headers.get(AUTHORIZATION).ok_or(Unauthenticated::NoToken)?;
    let value = value.to_str().map_err(|_| Unauthenticated::BadToken)?;
    let (scheme, secret) = value.split_once(' ').ok_or(Unauthenticated::BadToken)?;
    // The scheme's name is case-insensitive (RFC 9110 section 11.1).
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(secret.trim()),
        false => Err(Unauthenticated::BadToken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeyRing;
    use crate::store::UnixMillis;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[tokio::test]
    async fn a_token_opens_until_it_is_withdrawn_here() {
        let store = Store::open(&["sqlite::memory:".to_owned()], KeyRing::default())
            .await
            .unwrap();
        let token = Token {
            id: "t1".into(),
            name: "ci".into(),
            hash: TokenHash::of("secret"),
            created_at: UnixMillis(1),
            expires_at: None,
            revoked_at: None,
            scope: Scope::Everything,
        };
        store.create_token(&token, "test").await.unwrap();
        let gatekeeper = Gatekeeper::new(store.clone());
        let caller = gatekeeper.admit(&headers("bearer secret")).await.unwrap();
        assert_eq!((&*caller.token, &*caller.name), ("t1", "ci"));

        store.revoke_token("t1", "test", UnixMillis(2)).await.unwrap();
        gatekeeper.forget("t1");
        assert!(gatekeeper.admit(&headers("Bearer secret")).await.is_err());
    }

    #[test]
    fn only_a_bearer_token_is_looked_up() {
        assert_eq!(bearer(&HeaderMap::new()), Err(Unauthenticated::NoToken));
        assert_eq!(bearer(&headers("Basic c2VjcmV0")), Err(Unauthenticated::BadToken));
        assert_eq!(bearer(&headers("secret")), Err(Unauthenticated::BadToken));
        assert_eq!(bearer(&headers("Bearer secret")), Ok("secret"));
    }
}
