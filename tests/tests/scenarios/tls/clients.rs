//! Certificates of clients: whom they lead to, how far, and who took them back.

use serde_json::json;
use sluice_tests::authority::{Authority, Identity};
use sluice_tests::manifest::authority;
use sluice_tests::upstream::Echo;

use super::{Secured, text};

struct Clients {
    secured: Secured,
    valid: Identity,
    revoked: Identity,
    deep: Identity,
    stranger: Identity,
}

impl Clients {
    async fn start(mode: &str, depth: u8) -> Self {
        let tls = json!({
            "frontendValidation": {"caCertificateRefs": [{"name": "clients"}], "mode": mode},
            "options": {"sluice.dev/client-certificate-depth": depth.to_string()},
        });
        let mut made = None;
        let secured = Secured::with(1, &tls, |root| {
            let middle = root.below("middle").unwrap();
            let lower = middle.below("lower").unwrap();
            let directory = root.file().parent().unwrap().join("strangers");
            std::fs::create_dir(&directory).unwrap();
            let strangers = Authority::root(&directory, "strangers").unwrap();
            let issue =
                |authority: &Authority, name| authority.issue(name, &["URI:spiffe://shop/client"]).unwrap();
            let revoked = issue(root, "revoked");
            let crl = root.revoke(&[&revoked]).unwrap()
                + &middle.revoke(&[]).unwrap()
                + &lower.revoke(&[]).unwrap();
            made = Some((
                issue(&middle, "client"),
                revoked,
                issue(&lower, "deep"),
                issue(&strangers, "stranger"),
            ));
            vec![authority("clients", &root.pem().unwrap(), &crl)]
        })
        .await;
        let (valid, revoked, deep, stranger) = made.unwrap();
        Self {
            secured,
            valid,
            revoked,
            deep,
            stranger,
        }
    }

    /// The subject that the upstream was told of; none when the proxy turned the client away.
    async fn told(&self, identity: Option<&Identity>) -> Option<String> {
        let files = identity.map(|identity| [&identity.chain_file, &identity.key_file]);
        let files = files.map(|files| files.map(|file| file.to_str().unwrap().to_owned()));
        // What a client says of itself counts for nothing.
        let mut options = vec!["--header", "X-Forwarded-Client-Cert: Subject=\"CN=admin\""];
        if let Some([chain, key]) = &files {
            options.extend(["--cert", chain, "--key", key]);
        }
        let output = self.secured.curl(&options, "/").await;
        if !output.status.success() {
            assert!(output.stdout.is_empty(), "{}", text(&output));
            return None;
        }
        let echo: Echo = serde_json::from_slice(&output.stdout).unwrap();
        Some(echo.header("x-forwarded-client-cert").unwrap().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_clients_with_a_valid_certificate_are_let_in_and_their_subject_is_passed_on() {
    let clients = Clients::start("AllowValidOnly", 1).await;
    let told = clients.told(Some(&clients.valid)).await.unwrap();
    assert!(told.contains("Subject=\"CN=client\""), "{told}");
    assert!(told.contains("URI=spiffe://shop/client"), "{told}");
    assert!(!told.contains("admin"), "{told}");
    for (what, identity) in [
        ("no certificate", None),
        ("a revoked one", Some(&clients.revoked)),
        ("one too deep", Some(&clients.deep)),
        ("a stranger's", Some(&clients.stranger)),
    ] {
        assert_eq!(clients.told(identity).await, None, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_fallback_clients_without_a_valid_certificate_are_nobody() {
    let clients = Clients::start("AllowInsecureFallback", 1).await;
    let told = clients.told(Some(&clients.valid)).await.unwrap();
    assert!(told.contains("Subject=\"CN=client\""), "{told}");
    for identity in [None, Some(&clients.revoked), Some(&clients.stranger)] {
        assert_eq!(clients.told(identity).await.as_deref(), Some(""));
    }
}
