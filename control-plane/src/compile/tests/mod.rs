//! What holds of compiling, whatever is compiled.

mod ages;
pub(crate) mod certificates;
mod discovery;
mod experiments;
mod filters;
mod grants;
mod incremental;
mod policies;
mod references;
mod routes;
mod tls;
mod upstream_tls;
mod views;

use sluice_intent::{Format, Resource, ResourceId};
use sluice_model::{HistoryId, Key, Revision, Violation};
use sluice_proto::v1;

use super::{Change, Changed, DanglingRefs, World};

const EDGE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: sluice
  listeners: [{name: http, port: 80, protocol: HTTP}]
";

const SHOP: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: edge}]
  hostnames: [shop.example.com]
  rules:
  - name: pay
    matches: [{path: {value: /pay}}]
    backendRefs: [{name: a}]
  - backendRefs: [{name: a, weight: 9}, {name: b}]
";

/// A world and the revision that it is at, changed by YAML.
struct Site {
    world: World,
}

impl Site {
    fn empty() -> Self {
        Self {
            world: World::empty(HistoryId([7; 16])),
        }
    }

    /// The Gateway `edge`, the Backends `a` and `b` and the route `shop`.
    fn shop() -> Self {
        let mut site = Self::empty();
        let all = [
            EDGE,
            &backend("a", &["10.0.0.1"]),
            &backend("b", &["10.0.0.2"]),
            SHOP,
        ];
        site.apply(&all.join("---")).unwrap();
        site
    }

    fn attempt(&self, changes: Vec<Change>, dangling: DanglingRefs) -> Result<Changed, Vec<Violation>> {
        self.world
            .change(changes, Revision(self.world.revision().0 + 1), dangling)
    }

    fn apply(&mut self, yaml: &str) -> Result<Changed, Vec<Violation>> {
        self.change(puts(yaml), DanglingRefs::Refuse)
    }

    fn change(&mut self, changes: Vec<Change>, dangling: DanglingRefs) -> Result<Changed, Vec<Violation>> {
        let changed = self.attempt(changes, dangling)?;
        self.world = changed.world.clone();
        Ok(changed)
    }

    /// Keys of what a proxy is sent that comes from `before`, and how many resources it drops.
    fn sent_since(&self, before: &World) -> (Vec<String>, usize) {
        let difference = before.resources().diff(self.world.resources());
        let sent = difference.upserts.iter();
        let keys = sent.map(|entry| entry.key.to_string()).collect();
        (keys, difference.removals.len())
    }

    fn body<M: prost::Message + Default>(&self, key: &str) -> M {
        let key = Key::parse(key).unwrap();
        let entry = self
            .world
            .resources()
            .get(&key)
            .unwrap_or_else(|| panic!("no {key}"));
        M::decode(entry.body.clone()).unwrap()
    }

    fn rule(&self, key: &str) -> v1::Rule {
        self.body(key)
    }

    fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self
            .world
            .resources()
            .iter()
            .map(|entry| entry.key.to_string())
            .collect();
        keys.sort();
        keys
    }
}

fn parse(yaml: &str) -> Vec<Resource> {
    sluice_intent::parse(yaml.as_bytes(), Format::Yaml, "default").unwrap()
}

fn puts(yaml: &str) -> Vec<Change> {
    parse(yaml).into_iter().map(Change::Put).collect()
}

fn delete(id: &str) -> Vec<Change> {
    vec![Change::Delete(id.parse::<ResourceId>().unwrap())]
}

fn backend(name: &str, addresses: &[&str]) -> String {
    let endpoint = |address: &&str| format!("{{address: {address}, port: 80}}");
    let endpoints: Vec<_> = addresses.iter().map(endpoint).collect();
    let endpoints = endpoints.join(", ");
    format!(
        "\napiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {{name: {name}}}\nspec: {{endpoints: [{endpoints}]}}\n"
    )
}

/// Resource, field and code of each violation.
fn told(violations: &[Violation]) -> Vec<(&str, &str, &str)> {
    let told = violations.iter();
    told.map(|one| (&*one.resource, &*one.field, one.code.as_str()))
        .collect()
}
