//! Where endpoints are discovered.

use sluice_model::Code;

use super::Distinct;
use crate::discovery::{Discovery, DnsDiscovery, DnsRecord, EtcdDiscovery};
use crate::names::Uri;
use crate::report::Report;

pub(super) fn validate(discovery: &Discovery, report: &mut Report<'_>) {
    match discovery {
        Discovery::Etcd(etcd) => report.field("etcd", |report| validate_etcd(etcd, report)),
        Discovery::Dns(dns) => report.field("dns", |report| validate_dns(dns, report)),
    }
}

fn validate_etcd(etcd: &EtcdDiscovery, report: &mut Report<'_>) {
    let mut seen = Distinct::new();
    report.each("endpoints", &etcd.endpoints, |report, url| {
        match (scheme_of(url), &etcd.tls) {
            (None, _) => report.add(
                Code::Invalid,
                "must be `http://HOST:PORT` or `https://HOST:PORT`, and nothing else",
            ),
            (Some("http"), Some(_)) => report.add(Code::Conflict, "must be `https://`, as there is `tls`"),
            (Some("https"), None) => report.add(Code::Conflict, "`https://` needs `tls`"),
            _ => {}
        }
        if seen.repeats(url.as_str().to_owned()) {
            report.add(Code::Duplicate, "stands in the list already");
        }
    });
}

/// The scheme of a URL that is a scheme, a host and a port.
fn scheme_of(url: &Uri) -> Option<&str> {
    let (scheme, authority) = url.as_str().split_once("://")?;
    let (host, port) = authority.rsplit_once(':')?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => crate::Grammar::HostAddress.check(host).is_ok() && !host.contains(':'),
    };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with('+');
    (is_host && is_port && matches!(scheme, "http" | "https")).then_some(scheme)
}

fn validate_dns(dns: &DnsDiscovery, report: &mut Report<'_>) {
    match (dns.record.unwrap_or_default(), dns.port) {
        (DnsRecord::A, None) => report.add_in("port", Code::Missing, "is required with type `A`"),
        (DnsRecord::Srv, Some(_)) => {
            report.add_in(
                "port",
                Code::Conflict,
                "does not go with type `SRV`, which has ports",
            );
        }
        (DnsRecord::A, Some(_)) | (DnsRecord::Srv, None) => {}
    }
}
