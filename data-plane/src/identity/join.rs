//! From a token to a certificate.

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use sluice_proto::v1::{JoinRequest, enrolment_client::EnrolmentClient};
use sluice_tls::{ALPN_H2, CONTROL_URI, SubjectName, pinned_client_config};
use tokio::task::spawn_blocking;

use super::{
    channel,
    credentials::{ConnectError, Credentials},
    stored::Stored,
    token::JoinToken,
};
use crate::clock::WallClock;

impl Credentials {
    /// Joins with the token, for the key that was made for it. A token that has been used is used
    /// again: nothing may have been heard of the answer.
    pub(super) async fn join(&self, address: &str) -> Result<(), ConnectError> {
        let token = self.token().await?;
        self.join_with(address, token).await
    }

    /// Joins if there is another token than the one that the certificate came with.
    pub(super) async fn join_anew(&self, address: &str) -> Result<(), ConnectError> {
        if self.shared.token_file.is_none() {
            return Ok(());
        }
        let token = self.token().await?;
        match self.held().stored.joined_with == token.hash {
            true => Ok(()),
            false => self.join_with(address, token).await,
        }
    }

    /// The file is read every time: it may have been replaced.
    async fn token(&self) -> Result<JoinToken, ConnectError> {
        let path = self.shared.token_file.clone().ok_or(ConnectError::Expired)?;
        let read = spawn_blocking(move || JoinToken::read(&path));
        let read = read
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error).into()));
        Ok(read?)
    }

    async fn join_with(&self, address: &str, token: JoinToken) -> Result<(), ConnectError> {
        // Before anything is sent: whoever comes again after a crash must come with the same key.
        self.change(|stored| stored.prepare(&token)).await?;
        let names = vec![SubjectName::Uri(CONTROL_URI.into())];
        let tls = pinned_client_config(token.pin, names, ALPN_H2)?;
        let channel = channel::connect(address, Some(tls.into())).await?;
        let request = JoinRequest {
            token: token.secret.to_string(),
            proxy_id: self.shared.id.clone(),
            request: request(&self.held().stored.pending_key)?,
        };
        let answer = EnrolmentClient::new(channel).join(request).await;
        let enrolled = answer.map_err(|status| ConnectError::Refused(status.into()))?;
        let now = WallClock::read().since_epoch();
        let joined = self.change(|stored| {
            stored.take_pending();
            stored.receive(enrolled.into_inner(), now);
            Ok(())
        });
        joined.await?;
        tracing::info!(address, "joined the fleet");
        Ok(())
    }
}

impl Stored {
    /// Has a key wait for the certificate that the token brings.
    fn prepare(&mut self, token: &JoinToken) -> Result<(), ConnectError> {
        if self.pending_with == token.hash {
            return Ok(());
        }
        self.pending_key = match self.joined_with == token.hash {
            true => self.key.clone(),
            false => KeyPair::generate()
                .map_err(|_| ConnectError::Key)?
                .serialize_der(),
        };
        self.pending_with = token.hash.to_vec();
        Ok(())
    }
}

/// A request for a certificate of this key, PKCS #10 in DER. The control plane says what is in it.
pub(super) fn request(pkcs8: &[u8]) -> Result<Vec<u8>, ConnectError> {
    let made = || {
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8))?;
        let request = CertificateParams::default().serialize_request(&key)?;
        Ok(request.der().to_vec())
    };
    made().map_err(|_: rcgen::Error| ConnectError::Key)
}
