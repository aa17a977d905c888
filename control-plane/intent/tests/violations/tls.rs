//! TLS of listeners and to Backends.

use crate::check_specs;

fn check_listener(listener: &str, expected: &[&str]) {
    let spec = format!("{{gatewayClassName: sluice, listeners: [{{name: a, port: 443, {listener}}}]}}");
    let expected: Vec<_> = expected
        .iter()
        .map(|line| format!("spec.listeners[0].tls{line}"))
        .collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    check_specs("gateway.networking.k8s.io/v1", "Gateway", &[(&spec, &expected)]);
}

#[test]
fn tls_goes_with_https_and_https_with_tls() {
    let refs = "certificateRefs: [{name: a}]";
    check_listener(&format!("protocol: HTTPS, tls: {{mode: Terminate, {refs}}}"), &[]);
    check_listener(&format!("protocol: HTTP, tls: {{{refs}}}"), &[" conflict"]);
    check_listener("protocol: HTTPS", &[" missing"]);
    check_listener("protocol: HTTPS, tls: {}", &[".certificateRefs missing"]);
    check_listener(
        &format!("protocol: HTTPS, tls: {{mode: Passthrough, {refs}}}"),
        &[".mode unsupported"],
    );
    check_listener(
        &format!("protocol: HTTPS, tls: {{{refs}, frontendValidation: {{caCertificateRefs: []}}}}"),
        &[".frontendValidation.caCertificateRefs outOfRange"],
    );
}

#[test]
fn options_of_our_own_are_known_and_those_of_others_are_left_alone() {
    let options = |options: &str| {
        format!("protocol: HTTPS, tls: {{certificateRefs: [{{name: a}}], options: {{{options}}}}}")
    };
    let good = "sluice.dev/min-version: '1.3', sluice.dev/client-certificate-depth: '6', other.example/x: y";
    check_listener(&options(good), &[]);
    check_listener(&options("sluice.dev/client-certificate-depth: '0'"), &[]);
    check_listener(
        &options("sluice.dev/min-version: '1.1'"),
        &[r#".options["sluice.dev/min-version"] invalid"#],
    );
    check_listener(
        &options("sluice.dev/client-certificate-depth: '7'"),
        &[r#".options["sluice.dev/client-certificate-depth"] outOfRange"#],
    );
    check_listener(
        &options("sluice.dev/min-versoin: '1.2'"),
        &[r#".options["sluice.dev/min-versoin"] unknownField"#],
    );
}

#[test]
fn a_gateway_says_once_for_each_port_how_clients_are_verified() {
    let frontend = |ports: &str| {
        format!(
            "{{gatewayClassName: sluice, listeners: [{{name: a, port: 80, protocol: HTTP}}], \
             tls: {{frontend: {{default: {{}}, perPort: [{ports}]}}}}}}"
        )
    };
    let validation =
        "tls: {validation: {caCertificateRefs: [{kind: Secret, name: a}], mode: AllowValidOnly}}";
    check_specs(
        "gateway.networking.k8s.io/v1",
        "Gateway",
        &[
            (&frontend(&format!("{{port: 443, {validation}}}")), &[]),
            (
                &frontend(&format!(
                    "{{port: 443, {validation}}}, {{port: 443, {validation}}}"
                )),
                &["spec.tls.frontend.perPort[1].port duplicate"],
            ),
            (
                "{gatewayClassName: sluice, listeners: [{name: a, port: 80, protocol: HTTP}], \
                 tls: {backend: {clientCertificateRef: {name: a}}}}",
                &["spec.tls.backend unsupported"],
            ),
        ],
    );
}

#[test]
fn an_upstream_is_trusted_by_secrets_or_by_the_system() {
    let policy = |rest: &str| {
        format!(
            "{{targetRefs: [{{group: '', kind: Service, name: a}}], validation: {{hostname: a.example{rest}}}}}"
        )
    };
    let backend = |rest: &str| format!("{{endpoints: [], tls: {{hostname: a.example{rest}}}}}");
    let refs = ", caCertificateRefs: [{name: a}]";
    let system = ", wellKnownCACertificates: System";
    for (rest, expected) in [
        (refs.to_owned(), vec![]),
        (system.to_owned(), vec![]),
        (String::new(), vec!["caCertificateRefs missing"]),
        (
            format!("{refs}{system}"),
            vec!["wellKnownCACertificates conflict"],
        ),
        (
            format!("{refs}, subjectAltNames: [{{type: URI, hostname: a.example}}]"),
            vec![
                "subjectAltNames[0].uri missing",
                "subjectAltNames[0].hostname conflict",
            ],
        ),
        (
            format!(
                "{refs}, subjectAltNames: [{{type: URI, uri: nonsense}}, {{type: Hostname, hostname: '*.a'}}]"
            ),
            vec![
                "subjectAltNames[0].uri invalid",
                "subjectAltNames[1].hostname invalid",
            ],
        ),
        (format!("{refs}, hostnames: []"), vec!["hostnames unknownField"]),
    ] {
        let at = |path: &str| {
            expected
                .iter()
                .map(|line| format!("{path}.{line}"))
                .collect::<Vec<_>>()
        };
        let (of_policy, of_backend) = (at("spec.validation"), at("spec.tls"));
        let of_policy: Vec<_> = of_policy.iter().map(String::as_str).collect();
        let of_backend: Vec<_> = of_backend.iter().map(String::as_str).collect();
        let version = "gateway.networking.k8s.io/v1alpha3";
        check_specs(version, "BackendTLSPolicy", &[(&policy(&rest), &of_policy)]);
        check_specs("sluice.dev/v1", "Backend", &[(&backend(&rest), &of_backend)]);
    }
}

#[test]
fn a_policys_certificate_is_named_by_an_option() {
    let policy = |options: &str| {
        format!(
            "{{targetRefs: [{{group: '', kind: Service, name: a}}], options: {{{options}}}, \
             validation: {{hostname: a.example, wellKnownCACertificates: System}}}}"
        )
    };
    check_specs(
        "gateway.networking.k8s.io/v1",
        "BackendTLSPolicy",
        &[
            (
                &policy("sluice.dev/client-certificate: me, other.example/x: y"),
                &[],
            ),
            (
                &policy("sluice.dev/client-certificate: No Name"),
                &[r#"spec.options["sluice.dev/client-certificate"] invalid"#],
            ),
            (
                &policy("sluice.dev/client-certifcate: me"),
                &[r#"spec.options["sluice.dev/client-certifcate"] unknownField"#],
            ),
            (
                &policy("sluice.dev/min-version: '1.3'"),
                &[r#"spec.options["sluice.dev/min-version"] unknownField"#],
            ),
        ],
    );
}

#[test]
fn a_wildcard_is_no_name_to_send_and_the_message_does_not_propose_one() {
    let manifest = "apiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {name: x}\n\
        spec: {endpoints: [], tls: {hostname: '*.x', wellKnownCACertificates: System}}\n";
    let told = sluice_intent::parse(manifest.as_bytes(), sluice_intent::Format::Yaml, "default").unwrap_err();
    let [violation] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(violation.field, "spec.tls.hostname");
    assert_eq!(
        violation.message,
        "\"*.x\" must be one host such as `shop.example.com`: there is no `*` here"
    );
}
