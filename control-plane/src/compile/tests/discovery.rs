//! Endpoints that are discovered.

use super::*;
use crate::compile::{Findings, Found, NO_PORT, Source};

const DNS: &str = "dns: {name: shop.internal, port: 8080}";
const SRV: &str = "dns: {name: _http._tcp.shop.internal, type: SRV}";
const ETCD: &str = "etcd: {endpoints: ['http://127.0.0.1:2379'], service: services/shop}";

/// An address that a source knows.
pub(super) fn found(address: &str, port: u16, weight: u32) -> Found {
    Found {
        address: address.parse().unwrap(),
        port,
        weight,
    }
}

fn discovering(name: &str, discovery: &str) -> String {
    format!(
        "\napiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {{name: {name}}}\n\
         spec: {{discovery: {{{discovery}}}}}\n"
    )
}

impl Site {
    /// What the only source knows now.
    fn finds(&mut self, found: &[Found]) {
        let source = self.source();
        let findings = Findings::from([(source, found.to_vec())]);
        self.world = self.world.with_found(&findings).unwrap().unwrap();
    }

    fn source(&self) -> Source {
        let sources: Vec<_> = self.world.sources().keys().cloned().collect();
        assert_eq!(sources.len(), 1, "{sources:?}");
        sources[0].clone()
    }

    /// `ADDRESS:PORT*WEIGHT` of each endpoint that proxies get.
    fn endpoints(&self, backend: &str) -> Vec<String> {
        let endpoints: v1::Endpoints = self.body(&format!("endpoints/default/{backend}"));
        let all = endpoints.endpoints.iter();
        all.map(|one| format!("{}:{}*{}", one.address, one.port, one.weight))
            .collect()
    }
}

#[test]
fn sources_say_where_a_backend_is_and_the_backend_says_the_port_where_they_do_not() {
    for (discovery, known, expected) in [
        (DNS, found("10.0.0.1", NO_PORT, 1), "10.0.0.1:8080*1"),
        (SRV, found("10.0.0.1", 81, 7), "10.0.0.1:81*7"),
        (ETCD, found("::1", 82, 3), "::1:82*3"),
    ] {
        let mut site = Site::empty();
        site.apply(&discovering("a", discovery)).unwrap();
        assert_eq!(site.endpoints("a"), Vec::<String>::new());
        let position = site.world.position();
        site.finds(&[known, found("10.0.0.9", 9, 0)]);
        assert_eq!(site.endpoints("a"), [expected], "what has weight 0 gets nothing");
        assert_eq!(site.world.position().revision, position.revision);
        assert_eq!(site.world.position().config, position.config);
    }
}

#[test]
fn whatever_the_order_of_an_answer_proxies_get_the_same_bytes() {
    let digest = |known: &[Found]| {
        let mut site = Site::empty();
        site.apply(&discovering("a", ETCD)).unwrap();
        site.finds(known);
        site.world.position()
    };
    let (one, other) = (found("10.0.0.1", 80, 1), found("10.0.0.2", 80, 1));
    assert_eq!(
        digest(&[one, other]),
        digest(&[other, found("::ffff:10.0.0.1", 80, 1)])
    );
    assert_ne!(digest(&[one]), digest(&[other]));
}

#[test]
fn a_source_that_empties_itself_is_believed() {
    let mut site = Site::empty();
    site.apply(&discovering("a", ETCD)).unwrap();
    site.finds(&[found("10.0.0.1", 80, 1)]);
    site.finds(&[]);
    assert_eq!(site.endpoints("a"), Vec::<String>::new());
}

#[test]
fn a_backend_stays_where_it_was_until_its_new_source_answers() {
    let mut site = Site::shop();
    site.apply(&discovering("a", ETCD)).unwrap();
    assert_eq!(site.endpoints("a"), ["10.0.0.1:80*1"]);
    site.finds(&[found("10.0.0.7", 80, 1)]);
    // One more member, for which the service is asked anew.
    let more = ETCD.replace("2379'", "2379', 'http://127.0.0.1:2380'");
    site.apply(&discovering("a", &more)).unwrap();
    assert_eq!(site.endpoints("a"), ["10.0.0.7:80*1"]);
    site.finds(&[]);
    assert_eq!(site.endpoints("a"), Vec::<String>::new());
}

#[test]
fn what_a_source_knew_outlives_a_change_of_its_backend_and_ends_with_the_last() {
    let mut site = Site::empty();
    site.apply(&discovering("a", DNS)).unwrap();
    site.apply(&discovering("b", DNS)).unwrap();
    site.finds(&[found("10.0.0.1", NO_PORT, 1)]);
    site.apply(&discovering("a", &DNS.replace("8080", "8081")))
        .unwrap();
    assert_eq!(site.endpoints("a"), ["10.0.0.1:8081*1"]);
    site.change(delete("Backend/default/a"), DanglingRefs::Refuse)
        .unwrap();
    assert_eq!(site.world.found().len(), 1);
    site.change(delete("Backend/default/b"), DanglingRefs::Refuse)
        .unwrap();
    assert!(site.world.found().is_empty() && site.world.sources().is_empty());
}

const LOGIN: &str = "
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {username: sluice, password: s3cret}
";

#[test]
fn a_login_comes_from_a_secret_that_no_proxy_gets() {
    let with_login = ETCD.replace("service:", "credentialsRef: {name: login}, service:");
    let backend = discovering("a", &with_login);
    let mut site = Site::empty();
    let refused = site.apply(&backend).unwrap_err();
    let field = "spec.discovery.etcd.credentialsRef.name";
    assert_eq!(told(&refused), [("Backend/default/a", field, "dangling")]);
    let other = LOGIN.replace("username", "user");
    let refused = site.apply(&[&*other, &backend].join("---")).unwrap_err();
    assert_eq!(told(&refused), [("Backend/default/a", field, "dangling")]);

    site.apply(&[LOGIN, &backend].join("---")).unwrap();
    assert_eq!(site.keys(), ["backend/default/a", "endpoints/default/a"]);
    let access = |site: &Site| {
        let Source::Etcd(service) = site.source() else {
            panic!("not etcd");
        };
        let access = site.world.etcd_access(&service.cluster).unwrap();
        let (name, password) = access.login.unwrap();
        (name, password.expose().clone())
    };
    assert_eq!(access(&site), ("sluice".into(), "s3cret".into()));
    site.apply(&LOGIN.replace("s3cret", "other")).unwrap();
    assert_eq!(access(&site).1, "other");
}
