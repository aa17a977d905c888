//! What each grammar takes and refuses.

use super::*;

fn accepts(grammar: Grammar, texts: &[&str]) {
    for text in texts {
        assert_eq!(grammar.check(text), Ok(()), "{text:?}");
    }
}

fn refuses(grammar: Grammar, texts: &[&str], error: TextError) {
    for text in texts {
        assert_eq!(grammar.check(text), Err(error), "{text:?}");
    }
}

#[test]
fn hostnames_are_lower_case_names_with_at_most_a_leading_wildcard() {
    let grammar = Grammar::HostnamePattern;
    accepts(
        grammar,
        &[
            "a",
            "shop.example.com",
            "*.example.com",
            "xn--bcher-kva.example",
            "1.example",
        ],
    );
    refuses(
        grammar,
        &["Shop.example.com", "*.Example.com"],
        TextError::UpperCase,
    );
    refuses(grammar, &["10.0.0.1", "::1", "*.10.0.0.1"], TextError::IpAddress);
    refuses(
        grammar,
        &["*", "a.*.com", "*a.com", "*.*.com"],
        TextError::Wildcard,
    );
    refuses(grammar, &[""], TextError::Empty);
    let bad = [
        "a..b", ".a", "a.", "-a.com", "a-.com", "a_b.com", "a.com:80", "büro.de", "*.",
    ];
    refuses(grammar, &bad, TextError::Rule(grammar));
    refuses(grammar, &[&"a".repeat(64)], TextError::Rule(grammar));
    refuses(grammar, &[&"a.".repeat(127)], TextError::TooLong(253));
    let wildcards = ["*.example.com", "*", "a.*.com"];
    refuses(Grammar::Hostname, &wildcards, TextError::OneHost);
}

#[test]
fn addresses_are_unicast_ips_or_names_that_do_not_look_like_ips() {
    let grammar = Grammar::HostAddress;
    accepts(
        grammar,
        &[
            "10.0.0.1",
            "::1",
            "2001:db8::1",
            "localhost",
            "db.internal",
            "127.0.0.1",
        ],
    );
    refuses(
        grammar,
        &["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"],
        TextError::NotUnicast,
    );
    let bad = [
        "10.0.0.256",
        "127.1",
        "1",
        "host:80",
        "[::1]",
        "*.a",
        "fe80::1%eth0",
        "http://a",
    ];
    refuses(grammar, &bad, TextError::Rule(grammar));
}

#[test]
fn tokens_and_field_values_follow_rfc_9110() {
    accepts(Grammar::Token, &["x-a", "X_B", "!#$%&'*+-.^_`|~9"]);
    refuses(
        Grammar::Token,
        &["a b", "a:", "é", "a\r", "a/b", "\"a\""],
        TextError::Rule(Grammar::Token),
    );
    accepts(Grammar::FieldValue, &["a", "a b\tc", "text/html; q=0.8"]);
    refuses(
        Grammar::FieldValue,
        &[" a", "a ", "\ta", "a\r\nb", "a\0", "é"],
        TextError::Rule(Grammar::FieldValue),
    );
}

#[test]
fn labels_follow_the_kubernetes_rules() {
    accepts(
        Grammar::LabelKey,
        &["team", "example.com/team", "app.kubernetes.io/name", "A_b.c-d"],
    );
    let bad = ["/a", "a/", "a/b/c", "-a", "a b", "Example.com/a", "é"];
    refuses(Grammar::LabelKey, &bad, TextError::Rule(Grammar::LabelKey));
    accepts(Grammar::LabelValue, &["", "v1", "A_b.c-d"]);
    refuses(
        Grammar::LabelValue,
        &["-a", "a b", "a/b"],
        TextError::Rule(Grammar::LabelValue),
    );
}

#[test]
fn replacement_paths_carry_no_query_and_no_fragment() {
    accepts(Grammar::AbsolutePath, &["/", "/a/b%20c", "/a;b=c"]);
    let bad = ["a", "/a?b", "/a#b", "/a%2", "/a b", "/é", "/a\n"];
    refuses(
        Grammar::AbsolutePath,
        &bad,
        TextError::Rule(Grammar::AbsolutePath),
    );
    accepts(Grammar::PrefixReplacement, &["", "/"]);
}

#[test]
fn origins_are_a_scheme_a_host_and_maybe_a_port() {
    let grammar = Grammar::CorsOrigin;
    accepts(
        grammar,
        &[
            "*",
            "https://a.example",
            "http://localhost:3000",
            "https://*.a.example:8443",
            "https://10.0.0.1",
            "https://[::1]:8443",
            "capacitor://localhost",
        ],
    );
    let bad = [
        "a.example",
        "https://",
        "https://a.example/",
        "https://a.example:0x1",
        "https://a.example:99999",
        "https://a.*.example",
        "https://*a.example",
        "://a.example",
        "https://a.example,https://b.example",
        "null",
    ];
    refuses(grammar, &bad, TextError::Rule(grammar));
}

#[test]
fn uris_have_a_scheme_and_are_visible() {
    accepts(Grammar::Uri, &["spiffe://a/b", "https://a"]);
    refuses(
        Grammar::Uri,
        &["a", "://a", "1x://a", "spiffe:a", "spiffe://a b", "spiffe://é"],
        TextError::Rule(Grammar::Uri),
    );
    accepts(Grammar::DataKey, &["tls.crt", "A_b-1"]);
    refuses(
        Grammar::DataKey,
        &["a/b", "a b"],
        TextError::Rule(Grammar::DataKey),
    );
}

#[test]
fn what_is_looked_up_or_watched_is_a_name_or_a_prefix() {
    let grammar = Grammar::DnsName;
    accepts(
        grammar,
        &["shop.internal", "_http._tcp.shop.internal", "localhost"],
    );
    refuses(
        grammar,
        &["a_b.c", "_", "_.a", "a.", "a..b", "*.a"],
        TextError::Rule(grammar),
    );
    refuses(grammar, &["10.0.0.1"], TextError::IpAddress);
    refuses(grammar, &["A.internal"], TextError::UpperCase);
    let grammar = Grammar::EtcdKey;
    accepts(grammar, &["shop", "/services/shop", "a:b{c}"]);
    refuses(grammar, &["services/", "/", "a b", "é"], TextError::Rule(grammar));
}

#[test]
fn every_grammar_is_found_by_its_name() {
    for grammar in Grammar::ALL {
        assert_eq!(Grammar::by_name(grammar.name()), Some(grammar));
    }
}
