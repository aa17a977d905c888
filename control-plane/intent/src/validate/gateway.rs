//! Listeners of one Gateway against each other.

use sluice_model::Code;

use super::Distinct;
use super::tls::validate_listener;
use crate::gateway::{FromNamespaces, GatewaySpec, Listener};
use crate::report::Report;
use crate::selector::{LabelExpression, LabelOperator};
use crate::tls::FrontendTls;

pub(super) fn validate(spec: &GatewaySpec, report: &mut Report<'_>) {
    let mut names = Distinct::new();
    let mut places = Distinct::new();
    report.each("listeners", &spec.listeners, |report, listener| {
        if names.repeats(&listener.name) {
            let message = format!("another listener is called `{}` already", listener.name);
            report.add_in("name", Code::Duplicate, message);
        }
        if places.repeats((listener.port, &listener.hostname)) {
            let hostname = listener
                .hostname
                .as_ref()
                .map_or("every hostname", |hostname| hostname.as_str());
            let message = format!(
                "another listener serves {hostname} on port {} already",
                listener.port
            );
            report.add(Code::Conflict, message);
        }
        validate_namespaces(listener, report);
        validate_listener(listener, report);
    });
    let frontend = spec.tls.as_ref().and_then(|tls| tls.frontend.as_ref());
    if let Some(frontend) = frontend {
        report.field("tls", |report| {
            report.field("frontend", |report| validate_ports(frontend, report));
        });
    }
}

fn validate_ports(frontend: &FrontendTls, report: &mut Report<'_>) {
    let mut ports = Distinct::new();
    report.each("perPort", &frontend.per_port, |report, one| {
        if ports.repeats(one.port) {
            report.add_in(
                "port",
                Code::Duplicate,
                format_args!("port {} stands in the list already", one.port),
            );
        }
    });
}

fn validate_namespaces(listener: &Listener, report: &mut Report<'_>) {
    let Some(namespaces) = listener
        .allowed_routes
        .as_ref()
        .and_then(|routes| routes.namespaces.as_ref())
    else {
        return;
    };
    report.field("allowedRoutes", |report| {
        report.field("namespaces", |report| {
            let by_selector = namespaces.from.unwrap_or_default() == FromNamespaces::Selector;
            match (&namespaces.selector, by_selector) {
                (None, true) => report.add_in("selector", Code::Missing, "is required with from `Selector`"),
                (Some(_), false) => {
                    report.add_in("selector", Code::Conflict, "goes with from `Selector` only");
                }
                _ => {}
            }
            if let Some(selector) = &namespaces.selector {
                report.field("selector", |report| {
                    report.each(
                        "matchExpressions",
                        &selector.match_expressions,
                        validate_expression,
                    );
                });
            }
        });
    });
}

fn validate_expression(report: &mut Report<'_>, expression: &LabelExpression) {
    let takes_values = matches!(expression.operator, LabelOperator::In | LabelOperator::NotIn);
    if takes_values && expression.values.is_empty() {
        report.add_in("values", Code::Missing, "is required with `In` and `NotIn`");
    }
    if !takes_values && !expression.values.is_empty() {
        report.add_in("values", Code::Conflict, "goes with `In` and `NotIn` only");
    }
}
