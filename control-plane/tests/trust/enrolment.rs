//! Certificates for tokens, and for certificates.

use rcgen::KeyPair;
use sluice_proto::v1::RenewRequest;
use sluice_proto::v1::enrolment_client::EnrolmentClient;
use sluice_tls::{KeyHash, Leaf, ProxyPeer, pinned_client_config};
use tonic::Code;

use crate::site::{Site, control_name, request, subscribe};

#[tokio::test]
async fn a_join_is_answered_again_for_the_same_key_and_for_no_other() {
    let site = Site::start().await;
    let (token, key) = (site.token(&[]).await, KeyPair::generate().unwrap());
    let first = site.join(&token, "edge-1", &key).await.unwrap();
    let again = site.join(&token, "edge-1", &key).await.unwrap();
    let peer = |enrolled: &sluice_proto::v1::Enrolled| ProxyPeer::read(&enrolled.chain[0]).unwrap();
    assert_eq!(peer(&first), peer(&again));
    assert_eq!(peer(&first).id, "edge-1");
    let leaf = Leaf::read(&first.chain[0]).unwrap();
    assert_eq!(leaf.not_after - leaf.not_before, 24 * 3600 + 5 * 60);

    for (id, key) in [("edge-2", &key), ("edge-1", &KeyPair::generate().unwrap())] {
        let refused = site.join(&token, id, key).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    }
    let other = site.token(&[]).await;
    let taken = site.join(&other, "edge-1", &KeyPair::generate().unwrap()).await;
    assert_eq!(taken.unwrap_err().code(), Code::AlreadyExists);
}

#[tokio::test]
async fn a_token_that_is_guessed_and_a_request_that_is_none_are_refused() {
    let site = Site::start().await;
    let (token, key) = (site.token(&[]).await, KeyPair::generate().unwrap());
    let (id, _) = token.split_once('.').unwrap();
    for guess in [&format!("{id}.guess"), "nobody.guess", "", id] {
        let refused = site.join(guess, "edge-1", &key).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{guess}");
    }
    for bad in ["", "a/b", "a b", &"x".repeat(254)] {
        let refused = site.join(&token, bad, &key).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad}");
    }
    // Signed by another key than the one that it asks for.
    let mut tampered = request(&key);
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    let mut client = EnrolmentClient::new(site.stranger().await);
    for request in [tampered, vec![0x30; 64], Vec::new()] {
        let refused = client.join(sluice_proto::v1::JoinRequest {
            token: token.clone(),
            proxy_id: "edge-1".into(),
            request,
        });
        assert_eq!(refused.await.unwrap_err().code(), Code::InvalidArgument);
    }
    site.join(&token, "edge-1", &key)
        .await
        .expect("nothing of that has used the token up");
}

#[tokio::test]
async fn a_certificate_is_renewed_for_its_own_key_until_it_is_revoked() {
    let site = Site::start().await;
    let member = site.member("edge-1", &[]).await;
    let mut client = EnrolmentClient::new(site.connect(member.config()).await.unwrap());
    let renewal = |key: &KeyPair| RenewRequest {
        request: request(key),
    };
    let renewed = client.renew(renewal(&member.key)).await.unwrap().into_inner();
    let before = ProxyPeer::read(&member.enrolled.chain[0]).unwrap();
    assert_eq!(ProxyPeer::read(&renewed.chain[0]).unwrap(), before);
    assert_ne!(renewed.chain, member.enrolled.chain);
    let other = client.renew(renewal(&KeyPair::generate().unwrap())).await;
    assert_eq!(other.unwrap_err().code(), Code::InvalidArgument);

    let now = sluice_control::clock::wall();
    assert!(site.store.revoke_identity("edge-1", "test", now).await.unwrap());
    let revoked = client.renew(renewal(&member.key)).await;
    assert_eq!(revoked.unwrap_err().code(), Code::PermissionDenied);
    let back = site.join(&site.token(&[]).await, "edge-1", &member.key).await;
    assert_eq!(
        back.unwrap_err().code(),
        Code::PermissionDenied,
        "the key may be known"
    );
    site.member("edge-1", &[]).await;
}

#[tokio::test]
async fn nobody_gets_a_token_who_has_not_the_key_of_its_root() {
    let site = Site::start().await;
    let config = pinned_client_config(KeyHash([1; 32]), control_name(), b"h2").unwrap();
    assert!(site.connect(config).await.is_err());
}

#[tokio::test]
async fn labels_of_the_token_win_over_those_that_the_proxy_says() {
    let site = Site::start().await;
    let member = site.member("edge-1", &[("zone", "a")]).await;
    let channel = site.connect(member.config()).await.unwrap();
    let said = [("zone", "b"), ("rack", "7")];
    let _stream = subscribe(channel, &member.id, &said).await.unwrap();
    let published = site.control.live().published();
    let proxies = site
        .control
        .fleet()
        .proxies(&published, tokio::time::Instant::now());
    let labels: Vec<_> = proxies[0]
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(labels, ["rack=7", "zone=a"]);
}
