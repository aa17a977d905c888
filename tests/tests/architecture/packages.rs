//! Which package may depend on which, and where a library may appear.

use serde::Deserialize;

/// Each package with the packages of this workspace that it may depend on, also in tests.
pub(super) const EDGES: [(&str, &[&str]); 11] = [
    ("sluice-proto", &[]),
    ("sluice-model", &["sluice-proto"]),
    ("sluice-core", &["sluice-model", "sluice-proto"]),
    ("sluice-http1", &[]),
    ("sluice-tls", &[]),
    (
        "sluice-proxy",
        &[
            "sluice-core",
            "sluice-http1",
            "sluice-model",
            "sluice-proto",
            "sluice-tls",
        ],
    ),
    ("sluice-intent", &["sluice-model"]),
    (
        "sluice-control",
        &[
            "sluice-core",
            "sluice-intent",
            "sluice-model",
            "sluice-proto",
            "sluice-tls",
        ],
    ),
    (
        "sluice",
        &["sluice-control", "sluice-intent", "sluice-model", "sluice-proxy"],
    ),
    (
        "sluice-tests",
        &[
            "sluice-control",
            "sluice-core",
            "sluice-intent",
            "sluice-model",
            "sluice-proto",
            "sluice-proxy",
            "sluice-tls",
        ],
    ),
    (
        "sluice-fuzz",
        &[
            "sluice-core",
            "sluice-http1",
            "sluice-intent",
            "sluice-model",
            "sluice-proto",
            "sluice-proxy",
            "sluice-tls",
        ],
    ),
];

/// Libraries that are the business of some packages only.
const LIBRARIES: [(&str, &[&str]); 9] = [
    ("sqlx", &["sluice-control"]),
    ("axum", &["sluice-control"]),
    ("hickory-resolver", &["sluice-control"]),
    ("arc-swap", &["sluice-proxy"]),
    ("hyper", &["sluice-proxy", "sluice-tests"]),
    // Certificates are checked before they are published with the code that serves with them.
    ("rustls", &["sluice-proxy", "sluice-tls", "sluice-fuzz"]),
    // Both ends of the stream between the planes.
    ("tokio-rustls", &["sluice-proxy", "sluice-control"]),
    // One makes keys and requests, the other grants them.
    ("rcgen", &["sluice-proxy", "sluice-control"]),
    (
        "tokio",
        &["sluice-proxy", "sluice-control", "sluice", "sluice-tests"],
    ),
];

/// What `cargo metadata` prints.
#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(super) struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(super) struct Dependency {
    name: String,
    /// `dev`, `build`, or nothing for what is linked in.
    kind: Option<String>,
}

/// Dependencies that [`EDGES`] and [`LIBRARIES`] do not allow.
pub(super) fn crossed_edges(packages: &[Package]) -> Vec<String> {
    let mut complaints = Vec::new();
    for package in packages {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            complaints.push(format!("{}: a package that has no room", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let is_ours = EDGES.iter().any(|(ours, _)| *ours == name);
            let owners = LIBRARIES
                .iter()
                .find(|(library, _)| *library == name)
                .map(|(_, owners)| *owners);
            // What only tests use does not shape a package.
            let is_foreign = owners.is_some_and(|owners| !owners.contains(&package.name.as_str()))
                && dependency.kind.as_deref() != Some("dev");
            if is_foreign || (is_ours && !allowed.contains(&name)) {
                complaints.push(format!("{} must not depend on {name}", package.name));
            }
        }
    }
    complaints
}

mod tests {
    use super::*;

    fn package(name: &str, dependency: &str, kind: Option<&str>) -> Package {
        let dependency = Dependency {
            name: dependency.into(),
            kind: kind.map(Into::into),
        };
        Package {
            name: name.into(),
            dependencies: vec![dependency],
        }
    }

    #[test]
    fn a_made_up_edge_is_found() {
        let complaint =
            |name: &str, dependency: &str, kind| crossed_edges(&[package(name, dependency, kind)]).len();
        assert_eq!(complaint("sluice-proxy", "sluice-control", None), 1);
        assert_eq!(complaint("sluice-proxy", "sluice-control", Some("dev")), 1);
        assert_eq!(complaint("sluice-core", "tokio", None), 1);
        assert_eq!(complaint("sluice-control", "hyper", None), 1);
        assert_eq!(complaint("sluice-control", "hyper", Some("dev")), 0);
        assert_eq!(complaint("sluice-other", "serde", None), 1);
        assert_eq!(complaint("sluice-core", "sluice-model", None), 0);
    }
}
