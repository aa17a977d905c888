use super::*;

fn pay(rest: &str) -> String {
    SHOP.replace("backendRefs: [{name: a}]", rest)
}

#[test]
fn mirrors_keep_their_order_and_their_part() {
    let mut site = Site::shop();
    let mirror = |name: &str, part: &str| {
        format!("{{type: RequestMirror, requestMirror: {{backendRef: {{name: {name}}}{part}}}}}")
    };
    let filters = [
        mirror("b", ""),
        mirror("a", ", percent: 5"),
        mirror("b", ", fraction: {numerator: 1, denominator: 1000}"),
        mirror("b", ", percent: 0"),
    ];
    site.apply(&pay(&format!(
        "filters: [{}]\n    backendRefs: [{{name: a}}]",
        filters.join(", ")
    )))
    .unwrap();
    let mirrors = site.rule("rule/default/shop/pay").mirrors;
    let told: Vec<_> = mirrors
        .iter()
        .map(|one| (one.backend.as_str(), one.numerator, one.denominator))
        .collect();
    let (a, b) = ("backend/default/a", "backend/default/b");
    assert_eq!(told, [(b, 1, 1), (a, 5, 100), (b, 1, 1000), (b, 0, 100)]);
}

#[test]
fn a_mirror_that_leads_nowhere_is_refused_or_sends_nothing() {
    let mut site = Site::shop();
    let route = pay(
        "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: none}}}]\n    backendRefs: [{name: a}]",
    );
    let violations = site.apply(&route).unwrap_err();
    let field = "spec.rules[0].filters[0].requestMirror.backendRef.name";
    assert_eq!(told(&violations), [("HTTPRoute/default/shop", field, "dangling")]);
    site.change(puts(&route), DanglingRefs::Warn).unwrap();
    assert_eq!(site.rule("rule/default/shop/pay").mirrors[0].backend, "");
    site.apply(&backend("none", &["10.0.0.8"])).unwrap();
    assert_eq!(
        site.rule("rule/default/shop/pay").mirrors[0].backend,
        "backend/default/none"
    );
}

#[test]
fn cors_is_a_filter_of_the_rule() {
    let mut site = Site::shop();
    let cors = "filters: [{type: CORS, cors: {allowOrigins: ['https://*.example.com'], allowCredentials: true, \
                allowMethods: [GET, POST], allowHeaders: [x-a], exposeHeaders: [x-b], maxAge: 60}}]\n    \
                backendRefs: [{name: a}]";
    site.apply(&pay(cors)).unwrap();
    let expected = v1::Cors {
        allow_origins: vec!["https://*.example.com".into()],
        allow_credentials: true,
        allow_methods: vec!["GET".into(), "POST".into()],
        allow_headers: vec!["x-a".into()],
        expose_headers: vec!["x-b".into()],
        max_age_s: 60,
    };
    assert_eq!(site.rule("rule/default/shop/pay").cors, Some(expected));
    site.apply(&pay(&cors.replace(", maxAge: 60", ""))).unwrap();
    assert_eq!(site.rule("rule/default/shop/pay").cors.unwrap().max_age_s, 5);
}

const ON_BACKEND: &str = "{name: a, filters: [\
     {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-to, value: a}]}}, \
     {type: URLRewrite, urlRewrite: {hostname: a.internal}}, \
     {type: RequestMirror, requestMirror: {backendRef: {name: b}}}]}";

fn assert_filtered(backends: &[v1::WeightedBackend]) {
    let filters = backends[0].filters.as_ref().unwrap();
    assert_eq!(filters.request_headers.as_ref().unwrap().set[0].name, "x-to");
    assert_eq!(filters.rewrite.as_ref().unwrap().hostname, "a.internal");
    assert_eq!(filters.mirrors[0].backend, "backend/default/b");
    assert_eq!(backends[1].filters, None);
}

#[test]
fn a_backend_of_a_rule_or_of_a_variant_has_its_own_filters() {
    let mut site = Site::shop();
    site.apply(&pay(&format!("backendRefs: [{ON_BACKEND}, {{name: b}}]")))
        .unwrap();
    assert_filtered(&site.body::<v1::Split>("split/default/shop/pay").backends);
    let experiment = format!(
        "\napiVersion: sluice.dev/v1\nkind: Experiment\nmetadata: {{name: e}}\nspec:\n  \
         targetRefs: [{{kind: HTTPRoute, name: shop}}]\n  unit: {{cookie: uid}}\n  variants:\n  \
         - {{name: only, share: 100, backendRefs: [{ON_BACKEND}, {{name: b}}]}}\n"
    );
    site.apply(&experiment).unwrap();
    assert_filtered(&site.body::<v1::Experiment>("experiment/default/e").variants[0].backends);
    // The mirror's Backend is referred to like any other.
    let violations = site
        .attempt(delete("Backend/default/b"), DanglingRefs::Refuse)
        .unwrap_err();
    assert!(violations[0].message.contains("Experiment/default/e"));
}
