//! What holds of reading and checking, with certificates made on the spot.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
    SerialNumber, date_time_ymd,
};

use super::*;

fn ca(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name.to_owned());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

fn leaf(names: &[&str], issuer: &Issuer<'static, KeyPair>) -> (String, KeyPair) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names).unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key)
}

#[test]
fn a_chain_is_read_in_order_only() {
    let (root, issuer) = ca("root");
    let (leaf, _) = leaf(&["a.example"], &issuer);
    assert_eq!(read_chain(format!("{leaf}{root}").as_bytes()).unwrap().len(), 2);
    assert_eq!(read_chain(leaf.as_bytes()).unwrap().len(), 1);
    let wrong = format!("{root}{leaf}");
    assert_eq!(read_chain(wrong.as_bytes()), Err(Fault::Order { at: 0 }));
    let (other, _) = ca("other");
    let foreign = format!("{leaf}{root}{other}");
    assert_eq!(read_chain(foreign.as_bytes()), Err(Fault::Order { at: 1 }));
}

#[test]
fn a_key_belongs_to_its_own_leaf_only() {
    let (_, issuer) = ca("root");
    let (first, key) = leaf(&["a.example"], &issuer);
    let (second, _) = leaf(&["a.example"], &issuer);
    let key = read_private_key(key.serialize_pem().as_bytes()).unwrap();
    let chain = |pem: &str| read_chain(pem.as_bytes()).unwrap();
    assert_eq!(check_pair(&chain(&first), &key), Ok(()));
    assert_eq!(check_pair(&chain(&second), &key), Err(Fault::Mismatch));
}

#[test]
fn what_is_no_pem_and_what_has_the_wrong_sections_is_told_apart_and_never_quoted() {
    let (root, issuer) = ca("root");
    let (_, key) = leaf(&["a.example"], &issuer);
    let key = key.serialize_pem();
    let damaged = key.replacen("MIG", "M*G", 1);
    assert_ne!(key, damaged);
    assert_eq!(read_private_key(damaged.as_bytes()).unwrap_err(), Fault::Pem);
    assert_eq!(read_private_key(root.as_bytes()).unwrap_err(), Fault::PrivateKey);
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert_eq!(
        read_private_key(encrypted.as_bytes()).unwrap_err(),
        Fault::PrivateKey
    );
    assert_eq!(read_chain(key.as_bytes()), Err(Fault::NoCertificate));
    assert_eq!(read_chain(b""), Err(Fault::NoCertificate));
    assert_eq!(read_roots(b"no"), Err(Fault::NoCertificate));
    assert_eq!(read_crls(root.as_bytes()).unwrap_err(), Fault::NoCrl);
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(read_chain(garbage.as_bytes()), Err(Fault::Certificate { at: 0 }));
    let many = root.repeat(MAX_CHAIN + 1);
    assert_eq!(
        read_chain(many.as_bytes()),
        Err(Fault::TooMany { most: MAX_CHAIN })
    );
}

#[test]
fn a_private_key_that_is_cut_short_is_refused() {
    let (_, issuer) = ca("root");
    let (pem, key) = leaf(&["a.example"], &issuer);
    let chain = read_chain(pem.as_bytes()).unwrap();
    let der = key.serialize_der();
    for length in [0, 1, der.len() / 2, der.len() - 1] {
        let cut = rustls::pki_types::PrivatePkcs8KeyDer::from(der[..length].to_vec());
        assert_eq!(
            check_pair(&chain, &cut.into()),
            Err(Fault::PrivateKey),
            "{length}"
        );
    }
}

#[test]
fn trust_takes_roots_and_their_revocation_lists() {
    let (root, issuer) = ca("root");
    let crl = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2036, 1, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let crl = crl.signed_by(&issuer).unwrap().pem().unwrap();
    let roots = read_roots(root.as_bytes()).unwrap();
    let crls = read_crls(crl.as_bytes()).unwrap();
    assert_eq!(check_trust(&roots, &crls), Ok(()));
    assert_eq!(check_trust(&roots, &[]), Ok(()));
    assert_eq!(check_trust(&[], &crls), Err(Fault::NoCertificate));
    let cut = vec![crls[0].as_ref()[..20].to_vec().into()];
    assert_eq!(check_trust(&roots, &cut), Err(Fault::Crl));
}

#[test]
fn a_leaf_covers_its_names_and_one_label_below_a_wildcard() {
    let (_, issuer) = ca("root");
    let (pem, _) = leaf(&["A.example", "*.b.example"], &issuer);
    let read = Leaf::read(&read_chain(pem.as_bytes()).unwrap()[0]).unwrap();
    assert_eq!(read.names, ["a.example", "*.b.example"]);
    assert!(read.not_before < read.not_after);
    for hostname in ["a.example", "x.b.example", "*.b.example"] {
        assert!(read.covers(hostname), "{hostname}");
    }
    for hostname in [
        "b.example",
        "x.y.b.example",
        "*.example",
        "x.a.example",
        "*.a.example",
        "",
    ] {
        assert!(!read.covers(hostname), "{hostname}");
    }
}
