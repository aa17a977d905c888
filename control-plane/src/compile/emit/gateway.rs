//! A Gateway: one wire resource for each of its listeners that can be served.

use sluice_core::Entry;
use sluice_intent::{
    ClientValidation, ClientValidationMode, GatewaySpec, Listener, ListenerProtocol, MinTlsVersion, Resource,
    SectionName, Spec,
};
use sluice_model::Kind;
use sluice_proto::v1;

use super::{entry, limits, secret};
use crate::compile::World;
use crate::compile::reference::Role;

pub(super) fn entries(world: &World, gateway: &Resource, spec: &GatewaySpec) -> Vec<Entry> {
    let id = &gateway.id;
    let entry_of = |listener: &Listener| {
        let tls = tls(world, gateway, spec, listener).ok()?;
        let protocol = match listener.protocol {
            ListenerProtocol::Http => v1::listener::Protocol::Http,
            ListenerProtocol::Https => v1::listener::Protocol::Https,
        };
        let hostname = listener.hostname.as_ref().map(ToString::to_string);
        let message = v1::Listener {
            port: listener.port.into(),
            hostname: hostname.unwrap_or_default(),
            protocol: protocol.into(),
            tls,
            limits: limits::of_listener(world, id, &listener.name),
        };
        let segments = [id.namespace.as_str(), id.name.as_str(), listener.name.as_str()];
        entry(Kind::Listener, &segments, &message)
    };
    spec.listeners.iter().filter_map(entry_of).collect()
}

/// The listeners of a Gateway that the fleet serves: all but those whose certificates or whose
/// clients' roots of trust cannot be had. Rather no listener than one that trusts too much.
pub(in crate::compile) fn served<'a>(world: &World, gateway: &'a Resource) -> Vec<&'a SectionName> {
    let Spec::Gateway(spec) = &gateway.spec else {
        return Vec::new();
    };
    let listeners = spec.listeners.iter();
    listeners
        .filter(|listener| is_served(world, gateway, spec, listener))
        .map(|listener| &listener.name)
        .collect()
}

/// Whether the fleet serves this listener.
pub(in crate::compile) fn is_served(
    world: &World,
    gateway: &Resource,
    spec: &GatewaySpec,
    listener: &Listener,
) -> bool {
    tls(world, gateway, spec, listener).is_ok()
}

/// A listener that is to be served with TLS, but lacks what that takes.
struct Unserved;

/// How a listener ends TLS; not at all with HTTP. References that lead nowhere are left out, and
/// the listener with the last of them.
fn tls(
    world: &World,
    gateway: &Resource,
    spec: &GatewaySpec,
    listener: &Listener,
) -> Result<Option<v1::ListenerTls>, Unserved> {
    if listener.protocol != ListenerProtocol::Https {
        return Ok(None);
    }
    let keys = |references: &[sluice_intent::SecretRef], role| {
        let keys = references
            .iter()
            .filter_map(|reference| secret::resolve(world, &gateway.id, reference, role).ok());
        let mut keys: Vec<String> = keys.map(|key| key.to_string()).collect();
        let mut seen = std::collections::HashSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        match keys.is_empty() {
            true => Err(Unserved),
            false => Ok(keys),
        }
    };
    let written = listener.tls.as_ref().ok_or(Unserved)?;
    let client = match validation(spec, listener) {
        None => None,
        Some(validation) => Some(v1::ClientValidation {
            trust: keys(&validation.ca_certificate_refs, Role::Trust)?,
            optional: validation.mode == Some(ClientValidationMode::AllowInsecureFallback),
            max_depth: written.client_certificate_depth(),
        }),
    };
    let min_version = match written.min_version() {
        None => v1::listener_tls::Version::Unspecified,
        Some(MinTlsVersion::Tls12) => v1::listener_tls::Version::Tls12,
        Some(MinTlsVersion::Tls13) => v1::listener_tls::Version::Tls13,
    };
    Ok(Some(v1::ListenerTls {
        certificates: keys(&written.certificate_refs, Role::Certificate)?,
        client,
        min_version: min_version.into(),
    }))
}

/// How clients of a listener are verified: as it says itself, or the Gateway for its port, or the
/// Gateway for all.
pub(in crate::compile) fn validation<'a>(
    spec: &'a GatewaySpec,
    listener: &'a Listener,
) -> Option<&'a ClientValidation> {
    let own = listener
        .tls
        .as_ref()
        .and_then(|tls| tls.frontend_validation.as_ref());
    let frontend = spec.tls.as_ref().and_then(|tls| tls.frontend.as_ref());
    own.or_else(|| frontend?.for_port(listener.port))
}
