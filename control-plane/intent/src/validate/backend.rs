//! Endpoints of one Backend against each other, and its times.

use std::net::IpAddr;

use sluice_model::Code;

use super::tls::validate_backend as validate_tls;
use super::{Distinct, discovery};
use crate::backend::{BackendSpec, OutlierDetection};
use crate::duration::Duration;
use crate::report::Report;

pub(super) fn validate(spec: &BackendSpec, report: &mut Report<'_>) {
    let mut ports = Distinct::new();
    report.each("ports", &spec.ports, |report, port| {
        if ports.repeats(*port) {
            report.add(
                Code::Duplicate,
                format_args!("port {port} stands in the list already"),
            );
        }
    });
    match (&spec.endpoints, &spec.discovery) {
        (None, None) => report.add_in("endpoints", Code::Missing, "is required, or `discovery`"),
        (Some(_), Some(_)) => {
            report.add_in("discovery", Code::Conflict, "does not go with `endpoints`");
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    if let Some(discovery) = &spec.discovery {
        report.field("discovery", |report| discovery::validate(discovery, report));
    }
    let mut endpoints = Distinct::new();
    report.each("endpoints", spec.endpoints(), |report, endpoint| {
        if endpoints.repeats((canonical(endpoint.address.as_str()), endpoint.port)) {
            let message = format!(
                "`{}` port {} is an endpoint already",
                endpoint.address, endpoint.port
            );
            report.add(Code::Duplicate, message);
        }
    });
    validate_positive("connectTimeout", spec.connect_timeout, report);
    if let Some(tls) = &spec.tls {
        validate_tls(tls, report);
    }
    if let Some(outliers) = &spec.outlier_detection {
        report.field("outlierDetection", |report| validate_outliers(outliers, report));
    }
}

fn validate_outliers(outliers: &OutlierDetection, report: &mut Report<'_>) {
    validate_positive("baseEjectionTime", outliers.base_ejection_time, report);
    validate_positive("maxEjectionTime", outliers.max_ejection_time, report);
    if let (Some(base), Some(most)) = (outliers.base_ejection_time, outliers.max_ejection_time)
        && most < base
    {
        let message = format!("{most} is shorter than the {base} of `baseEjectionTime`");
        report.add_in("maxEjectionTime", Code::Invalid, message);
    }
}

fn validate_positive(field: &str, duration: Option<Duration>, report: &mut Report<'_>) {
    if duration.is_some_and(Duration::is_zero) {
        report.add_in(field, Code::OutOfRange, "must be longer than `0s`");
    }
}

/// One spelling per address: `::1` and `0:0:0:0:0:0:0:1` are one, and so are an IPv4
/// address and its IPv4-mapped IPv6 form.
fn canonical(address: &str) -> String {
    address
        .parse::<IpAddr>()
        .map_or_else(|_| address.to_owned(), |ip| ip.to_canonical().to_string())
}
