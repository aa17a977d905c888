//! The Kubernetes manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use sluice_tests::deployment::{Kubernetes, Pod, kubernetes};
use sluice_tests::site::TOKEN;

use super::running::Running;
use super::{KEYS, PASSWORD, owned};

/// Replicas that run here; the manifests may ask for more.
const CONTROLS: usize = 2;
const PROXIES: usize = 2;
const MEMBERS: usize = 3;

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn includes(labels: &Value, selector: &Value) -> bool {
    let wanted = selector.as_object().expect("a selector");
    !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
}

#[test]
fn every_pod_has_probes_bounds_and_no_more_rights_than_it_needs() {
    let manifests = kubernetes().unwrap();
    assert!(manifests.workloads().count() >= 4);
    for workload in manifests.workloads() {
        let name = &workload["metadata"]["name"];
        let template = &workload["spec"]["template"];
        assert!(
            includes(&template["metadata"]["labels"], &workload["spec"]["selector"]["matchLabels"]),
            "{name}"
        );
        let pod = &template["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true, "{name}");
        assert!(context["runAsUser"].as_u64() > Some(0), "{name}");
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        for container in items(&pod["containers"]) {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]), "{name}");
            assert!(context["capabilities"]["add"].is_null(), "{name}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
            for probe in ["readinessProbe", "livenessProbe"] {
                let port = &container[probe]["httpGet"]["port"];
                let is_exec = container[probe]["exec"].is_object();
                let is_named = items(&container["ports"]).any(|named| named["name"] == *port);
                assert!(is_exec || is_named, "{name}: {probe}");
            }
        }
    }
}

#[test]
fn disruption_budgets_leave_a_majority_and_let_nodes_be_drained() {
    let manifests = kubernetes().unwrap();
    let mut budgeted = BTreeSet::new();
    for budget in manifests.of_kind("PodDisruptionBudget") {
        let selector = &budget["spec"]["selector"]["matchLabels"];
        let workload = manifests
            .workloads()
            .find(|workload| includes(&workload["spec"]["template"]["metadata"]["labels"], selector))
            .unwrap();
        let replicas = workload["spec"]["replicas"].as_u64().unwrap();
        let stay = match (&budget["spec"]["minAvailable"], &budget["spec"]["maxUnavailable"]) {
            (Value::Number(stay), Value::Null) => stay.as_u64().unwrap(),
            (Value::Null, Value::Number(go)) => replicas - go.as_u64().unwrap(),
            other => panic!("{other:?}"),
        };
        assert!(stay < replicas && stay * 2 > replicas, "{budget}");
        budgeted.insert(workload["metadata"]["name"].as_str().unwrap());
    }
    assert_eq!(budgeted, BTreeSet::from(["etcd", "sluice-control", "sluice-proxy"]));
}

#[test]
fn nobody_is_reached_but_by_those_who_are_named() {
    let manifests = kubernetes().unwrap();
    let policies: Vec<_> = manifests.of_kind("NetworkPolicy").collect();
    let denies_all = |policy: &&Value| {
        policy["spec"]["podSelector"] == serde_json::json!({}) && policy["spec"]["ingress"].is_null()
    };
    assert_eq!(policies.iter().copied().filter(|policy| denies_all(policy)).count(), 1);
    for policy in policies.iter().copied().filter(|policy| !denies_all(policy)) {
        let selector = &policy["spec"]["podSelector"]["matchLabels"];
        let workload = manifests
            .workloads()
            .find(|workload| includes(&workload["spec"]["template"]["metadata"]["labels"], selector))
            .unwrap();
        let container = &workload["spec"]["template"]["spec"]["containers"][0];
        for port in items(&policy["spec"]["ingress"]).flat_map(|rule| items(&rule["ports"])) {
            assert!(
                items(&container["ports"]).any(|declared| declared["name"] == port["port"]),
                "{policy}"
            );
        }
    }
}

fn secrets() -> BTreeMap<String, BTreeMap<String, String>> {
    [
        ("sluice-postgres", owned([("password", PASSWORD)])),
        ("sluice-admin", owned([("token", TOKEN)])),
        ("sluice-envelope", owned([("keys", KEYS)])),
        ("sluice-seal", owned([("keys", KEYS)])),
        ("sluice-join", BTreeMap::new()),
    ]
    .map(|(name, files)| (name.to_owned(), files))
    .into()
}

/// The probes of a pod of ours, as the kubelet asks them.
async fn probe(manifests: &Kubernetes, workload: &str, pod: &str, running: &mut Running) {
    let workload = manifests.workload(workload).unwrap();
    let container = &workload["spec"]["template"]["spec"]["containers"][0];
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let asked = &container[probe]["httpGet"];
        if asked.is_null() {
            continue;
        }
        let named = items(&container["ports"]).find(|port| port["name"] == asked["port"]);
        let port = named.unwrap()["containerPort"].as_u64().unwrap();
        running.probed(pod, port, asked["path"].as_str().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kubernetes_manifests_start_a_fleet_that_serves_and_stops_in_good_order() {
    let manifests = kubernetes().unwrap();
    let mut secrets = secrets();
    let pods = |name: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("{name}-{number}")).collect()
    };
    let (members, controls, proxies) = (
        pods("etcd", MEMBERS),
        pods("sluice-control", CONTROLS),
        pods("sluice-proxy", PROXIES),
    );
    let member_names: Vec<_> = members.iter().map(|name| format!("{name}.etcd")).collect();
    let member_names: Vec<_> = member_names.iter().map(|name| ["etcd", name.as_str()]).collect();
    let mut hosts: Vec<(&str, &[&str])> = vec![("postgres-0", &["postgres"])];
    hosts.extend(members.iter().zip(&member_names).map(|(name, names)| (name.as_str(), &names[..])));
    hosts.extend(controls.iter().map(|name| (name.as_str(), &["sluice-control"][..])));
    hosts.extend(proxies.iter().map(|name| (name.as_str(), &[][..])));
    let mut running = Running::new(&hosts);
    let pod = |workload: &str, number: usize, secrets: &_| -> Pod {
        let workload = manifests.workload(workload).unwrap();
        manifests.pod(workload, number, secrets).unwrap()
    };

    let postgres = pod("postgres", 0, &secrets);
    running.start_postgres("postgres-0", &postgres.argv).await;
    for number in 0..MEMBERS {
        running.start(&pod("etcd", number, &secrets));
    }
    for (number, name) in controls.iter().enumerate() {
        running.start(&pod("sluice-control", number, &secrets));
        probe(&manifests, "sluice-control", name, &mut running).await;
    }
    for name in &members {
        probe(&manifests, "etcd", name, &mut running).await;
    }
    for name in &proxies {
        let token = running.join_token(&controls[0], name);
        secrets.get_mut("sluice-join").unwrap().insert(name.clone(), token);
    }
    for (number, name) in proxies.iter().enumerate() {
        running.start(&pod("sluice-proxy", number, &secrets));
        probe(&manifests, "sluice-proxy", name, &mut running).await;
    }
    let names: Vec<_> = proxies.iter().map(String::as_str).collect();
    running.serves(&controls[1], &names, 8080).await;

    for (workload, pods) in [("sluice-proxy", &proxies), ("sluice-control", &controls)] {
        let pod = &manifests.workload(workload).unwrap()["spec"]["template"]["spec"];
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        let names: Vec<_> = pods.iter().map(String::as_str).collect();
        running.stops(&names, Duration::from_secs(grace)).await;
    }
}
