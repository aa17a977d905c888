//! The first token: without one nobody could make any.

use crate::clock;
use crate::control::StartError;
use crate::store::{Scope, Store, StoreError, Token, TokenHash};

/// Author of tokens that nobody asked for over REST.
const AUTHOR: &str = "bootstrap";
/// Random bytes of a secret; written in hexadecimal.
const SECRET_BYTES: usize = 32;

/// Makes sure that there is a token. `preset` is the secret of one that is to be accepted; else a
/// store without tokens gets a random one, whose secret is returned.
pub(crate) async fn token(store: &Store, preset: Option<&str>) -> Result<Option<String>, StartError> {
    if let Some(secret) = preset {
        accept(store, secret).await?;
        return Ok(None);
    }
    if !store.tokens().await?.is_empty() {
        return Ok(None);
    }
    let secret = random_hex::<SECRET_BYTES>()?;
    create(store, &secret).await?;
    Ok(Some(secret))
}

/// Stores the token unless it is there. Replicas that start together may both try.
async fn accept(store: &Store, secret: &str) -> Result<(), StartError> {
    let hash = TokenHash::of(secret);
    if store.find_token(&hash).await?.is_none()
        && let Err(error) = create(store, secret).await
        && store.find_token(&hash).await?.is_none()
    {
        return Err(error);
    }
    match store.find_token(&hash).await? {
        Some(token) if token.is_valid(clock::wall()) => Ok(()),
        Some(_) | None => Err(StartError::DeadToken),
    }
}

async fn create(store: &Store, secret: &str) -> Result<(), StartError> {
    let token = Token {
        id: random_hex::<8>()?,
        name: "admin".to_owned(),
        hash: TokenHash::of(secret),
        created_at: clock::wall(),
        expires_at: None,
        revoked_at: None,
        scope: Scope::Everything,
    };
    store
        .create_token(&token, AUTHOR)
        .await
        .map_err(|error: StoreError| error.into())
}

fn random_hex<const BYTES: usize>() -> Result<String, StartError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| StartError::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
