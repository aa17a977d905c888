//! An update that is to be built, and whose signature it has to have.

use std::sync::Arc;

use sluice_core::statement_of;
use sluice_model::{Code, Violation};
use sluice_proto::v1;
use sluice_tls::{Unsigned, Verifiers};

/// One update.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) update: Box<v1::Update>,
    /// Those who may have signed it; `None` where nothing is signed.
    pub(super) verifiers: Option<Arc<Verifiers>>,
}

impl Order {
    /// What this proxy has sealed itself.
    pub(crate) fn of_own(update: v1::Update) -> Self {
        Self {
            update: Box::new(update),
            verifiers: None,
        }
    }

    /// The update, if its signature says that its target is a position of its history. Everything
    /// else about it follows from the digests in there.
    ///
    /// # Errors
    /// When it is not signed by one of those.
    pub(crate) fn verified(self) -> Result<v1::Update, Vec<Violation>> {
        let Some(verifiers) = &self.verifiers else {
            return Ok(*self.update);
        };
        let update = &*self.update;
        let verified = statement_of(update)
            .ok_or(Unsigned::Forged)
            .and_then(|statement| verifiers.verify(&update.signing_key, &statement, &update.signature));
        match verified {
            Ok(()) => Ok(*self.update),
            Err(reason) => {
                let message = reason.to_string();
                Err(vec![Violation::new(
                    "update",
                    "signature",
                    Code::Unsigned,
                    message,
                )])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_core::{position_to_wire, statement};
    use sluice_model::{Digest, HistoryId, Position, Revision};
    use sluice_tls::Signer;

    use super::*;

    fn signer() -> Signer {
        Signer::new(&Signer::generate().unwrap()).unwrap()
    }

    fn update(signer: &Signer) -> v1::Update {
        let target = Position {
            revision: Revision(7),
            config: Digest::of(b"config"),
            runtime: Digest::of(b"runtime"),
        };
        v1::Update {
            history: vec![3; 16],
            target: Some(position_to_wire(target)),
            signature: signer.sign(&statement(HistoryId([3; 16]), target)),
            signing_key: signer.id().0.to_vec(),
            ..v1::Update::default()
        }
    }

    fn verify(update: v1::Update, trusted: &Signer) -> Result<v1::Update, Code> {
        let order = Order {
            update: Box::new(update),
            verifiers: Verifiers::new([trusted.public_key()]).map(Arc::new),
        };
        order.verified().map_err(|violations| violations[0].code)
    }

    #[test]
    fn an_update_is_built_only_if_a_trusted_key_signed_where_it_leads() {
        let (ours, other) = (signer(), signer());
        assert!(verify(update(&ours), &ours).is_ok());
        assert_eq!(verify(update(&other), &ours), Err(Code::Unsigned), "another key");
        for what in [
            "history",
            "revision",
            "config",
            "runtime",
            "target",
            "signature",
            "key",
        ] {
            let mut update = update(&ours);
            let mut target = update.target.take().unwrap();
            match what {
                "history" => update.history = vec![4; 16],
                "revision" => target.revision += 1,
                "config" => target.config_digest[0] ^= 1,
                "runtime" => target.runtime_digest.clear(),
                "signature" => update.signature.clear(),
                "key" => update.signing_key.clear(),
                _ => {}
            }
            update.target = (what != "target").then_some(target);
            assert_eq!(verify(update, &ours), Err(Code::Unsigned), "{what}");
        }
    }

    #[test]
    fn where_nobody_is_trusted_nothing_is_built_and_where_nothing_is_signed_nothing_is_asked() {
        let order = |verifiers| Order {
            update: Box::new(update(&signer())),
            verifiers,
        };
        assert!(order(Some(Arc::default())).verified().is_err());
        assert!(order(None).verified().is_ok());
    }
}
