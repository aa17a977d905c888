//! Backend.

use crate::check_specs;

fn check_backends(cases: &[(&str, &[&str])]) {
    check_specs("sluice.dev/v1", "Backend", cases);
}

#[test]
fn endpoints_are_distinct_addresses_of_single_hosts() {
    check_backends(&[
        ("{}", &["spec.endpoints missing"]),
        ("{endpoints: []}", &[]),
        (
            "{endpoints: [{address: 10.0.0.1}]}",
            &["spec.endpoints[0].port missing"],
        ),
        (
            "{endpoints: [{address: 'a:80', port: 80}]}",
            &["spec.endpoints[0].address invalid"],
        ),
        (
            "{endpoints: [{address: 0.0.0.0, port: 80}]}",
            &["spec.endpoints[0].address invalid"],
        ),
        (
            "{endpoints: [{address: 10.0.0.300, port: 80}]}",
            &["spec.endpoints[0].address invalid"],
        ),
        (
            "{endpoints: [{address: a.internal, port: 80, weight: 1000001, labels: {zone: 'a b'}}]}",
            &[
                "spec.endpoints[0].labels.zone invalid",
                "spec.endpoints[0].weight outOfRange",
            ],
        ),
        (
            "{endpoints: [{address: 10.0.0.1, port: 80}, {address: '::ffff:10.0.0.1', port: 80}, \
              {address: 10.0.0.1, port: 81}, {address: a, port: 80}, {address: a, port: 80}]}",
            &["spec.endpoints[1] duplicate", "spec.endpoints[4] duplicate"],
        ),
    ]);
}

#[test]
fn endpoints_are_written_or_discovered_in_one_way() {
    check_backends(&[
        ("{discovery: {dns: {name: shop.internal, port: 80}}}", &[]),
        (
            "{discovery: {dns: {name: _http._tcp.shop.internal, type: SRV}}}",
            &[],
        ),
        (
            "{endpoints: [], discovery: {dns: {name: shop.internal, type: SRV}}}",
            &["spec.discovery conflict"],
        ),
        ("{discovery: {}}", &["spec.discovery invalid"]),
        (
            "{discovery: {dns: {name: a, port: 1}, etcd: {endpoints: ['http://a:1'], service: s}}}",
            &["spec.discovery invalid"],
        ),
        (
            "{discovery: {dns: {name: shop.internal}}}",
            &["spec.discovery.dns.port missing"],
        ),
        (
            "{discovery: {dns: {name: shop.internal, type: SRV, port: 80}}}",
            &["spec.discovery.dns.port conflict"],
        ),
    ]);
}

#[test]
fn etcd_is_reached_in_the_clear_or_with_tls_but_not_both() {
    check_backends(&[
        (
            "{discovery: {etcd: {endpoints: ['http://10.0.0.1:2379', 'http://[::1]:2379'], service: services/shop, \
              credentialsRef: {name: login}}}}",
            &[],
        ),
        (
            "{discovery: {etcd: {endpoints: ['https://etcd:2379'], service: s, \
              tls: {caCertificateRefs: [{name: ca}], clientCertificateRef: {name: me}}}}}",
            &[],
        ),
        (
            "{discovery: {etcd: {endpoints: ['https://etcd:2379'], service: s}}}",
            &["spec.discovery.etcd.endpoints[0] conflict"],
        ),
        (
            "{discovery: {etcd: {endpoints: ['http://etcd:2379'], service: s, tls: {caCertificateRefs: []}}}}",
            &[
                "spec.discovery.etcd.tls.caCertificateRefs outOfRange",
                "spec.discovery.etcd.endpoints[0] conflict",
            ],
        ),
        (
            "{discovery: {etcd: {endpoints: ['http://etcd', 'http://etcd:1/a', 'http://etcd:0', 'http://a:1', \
              'http://a:1'], service: s}}}",
            &[
                "spec.discovery.etcd.endpoints[0] invalid",
                "spec.discovery.etcd.endpoints[1] invalid",
                "spec.discovery.etcd.endpoints[2] invalid",
                "spec.discovery.etcd.endpoints[4] duplicate",
            ],
        ),
    ]);
}

#[test]
fn protocols_ports_and_times_are_within_what_works() {
    check_backends(&[
        ("{endpoints: [], protocol: h2c, ports: [80, 443]}", &[]),
        ("{endpoints: [], protocol: https}", &["spec.protocol unsupported"]),
        ("{endpoints: [], protocol: grpc}", &["spec.protocol invalid"]),
        (
            "{endpoints: [], ports: [80, 80, 0]}",
            &["spec.ports[2] outOfRange", "spec.ports[1] duplicate"],
        ),
        (
            "{endpoints: [], connectTimeout: 0s}",
            &["spec.connectTimeout outOfRange"],
        ),
        (
            "{endpoints: [], outlierDetection: {baseEjectionTime: 1m, maxEjectionTime: 30s, maxEjectedPercent: 101}}",
            &[
                "spec.outlierDetection.maxEjectedPercent outOfRange",
                "spec.outlierDetection.maxEjectionTime invalid",
            ],
        ),
        (
            "{endpoints: [], outlierDetection: {baseEjectionTime: 0s, consecutiveFailures: 0}}",
            &["spec.outlierDetection.baseEjectionTime outOfRange"],
        ),
    ]);
}
