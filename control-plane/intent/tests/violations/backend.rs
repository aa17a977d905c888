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
            "{endpoints: [], discovery: {dns: {}}}",
            &["spec.discovery unsupported"],
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
