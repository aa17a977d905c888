//! Sites with TLS.

use sluice_core::Entry;
use sluice_model::Key;
use sluice_proto::v1;

use super::authority::{Authority, Issued};
use crate::snapshot::Site;

pub(super) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(super) fn certificate(name: &str, issued: Issued) -> Entry {
    let certificate = v1::Certificate {
        chain: issued.chain.iter().map(|der| der.to_vec()).collect(),
        private_key: issued.key,
        ocsp: issued.ocsp.unwrap_or_default(),
    };
    Entry::new(key(&format!("certificate/default/{name}")), &certificate)
}

pub(super) fn trust(name: &str, authority: &Authority, crls: &[&[u8]]) -> Entry {
    let trust = v1::Trust {
        roots: vec![authority.certificate.to_vec()],
        crls: crls.iter().map(|crl| crl.to_vec()).collect(),
    };
    Entry::new(key(&format!("trust/default/{name}")), &trust)
}

pub(super) fn tickets(keys: &[u8]) -> Entry {
    let keys = keys.iter().map(|byte| vec![*byte; 32]).collect();
    Entry::new(key("tickets/default/fleet"), &v1::Tickets { keys })
}

/// `site`, served over TLS with that certificate.
pub(super) fn secured(site: Site, issued: Issued) -> Site {
    let mut site = Site {
        tls: Some(v1::ListenerTls {
            certificates: vec!["certificate/default/web".into()],
            ..v1::ListenerTls::default()
        }),
        ..site
    };
    site.more.push(certificate("web", issued));
    site
}

/// Another site on the same port, for another host: its listener is `listener/default/edge/NAME`.
pub(crate) fn beside(site: &mut Site, name: &str, hostname: &str) {
    let listener = v1::Listener {
        port: site.port,
        hostname: hostname.into(),
        protocol: match site.tls {
            Some(_) => v1::listener::Protocol::Https.into(),
            None => v1::listener::Protocol::Http.into(),
        },
        tls: site.tls.clone(),
        limits: None,
    };
    let listener_key = format!("listener/default/edge/{name}");
    let route = v1::Route {
        creation_revision: 1,
        attachments: vec![v1::Attachment {
            listener: listener_key.clone(),
            hostnames: vec![hostname.into()],
        }],
    };
    let rule = v1::Rule {
        target: "split/default/shop/0".into(),
        ..v1::Rule::default()
    };
    site.more.extend([
        Entry::new(key(&listener_key), &listener),
        Entry::new(key(&format!("route/default/{name}")), &route),
        Entry::new(key(&format!("rule/default/{name}/0")), &rule),
    ]);
}
