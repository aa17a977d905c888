//! What the manifests and units say, without running them.

use std::collections::BTreeSet;
use std::process::Command;

use sluice_tests::deployment::manifests::{Container, Labels, Port, Probe};
use sluice_tests::deployment::{Kubernetes, directory, kubernetes};

fn includes(labels: &Labels, selector: &Labels) -> bool {
    let mut wanted = selector.iter();
    !selector.is_empty() && wanted.all(|(name, value)| labels.get(name) == Some(value))
}

#[test]
fn every_pod_has_probes_bounds_and_no_more_rights_than_it_needs() {
    let written = kubernetes().unwrap();
    let names = written
        .manifests
        .workloads
        .iter()
        .map(|workload| workload.metadata.name.as_str());
    let names: BTreeSet<_> = names.collect();
    assert_eq!(
        names,
        BTreeSet::from(["etcd", "postgres", "sluice-control", "sluice-proxy"])
    );
    for workload in &written.manifests.workloads {
        let name = &workload.metadata.name;
        let labels = &workload.spec.template.metadata.labels;
        assert!(includes(labels, &workload.spec.selector.match_labels), "{name}");
        let pod = workload.pod();
        assert_eq!(pod.automount_service_account_token, Some(false), "{name}");
        assert_eq!(pod.enable_service_links, Some(false), "{name}");
        let mut accounts = written.manifests.accounts.iter();
        let account = accounts.find(|account| account.metadata.name == pod.service_account_name);
        assert_eq!(
            account.unwrap().automount_service_account_token,
            Some(false),
            "{name}"
        );
        let context = &pod.security_context;
        assert!(
            context.run_as_non_root && context.run_as_user > 0 && context.run_as_group > 0,
            "{name}"
        );
        assert_eq!(context.seccomp_profile.r#type, "RuntimeDefault", "{name}");
        assert!(pod.termination_grace_period_seconds > 0, "{name}");
        let spread = pod.topology_spread_constraints.iter();
        let is_spread = spread
            .clone()
            .any(|spread| includes(labels, &spread.label_selector.match_labels));
        assert!(is_spread || workload.spec.replicas == 1, "{name}");
        for container in &pod.containers {
            assert_confined(name, container);
        }
    }
    let mut namespaces = written.manifests.namespaces.iter();
    let enforced = |labels: &Labels| labels.get("pod-security.kubernetes.io/enforce").cloned();
    assert!(namespaces.all(|namespace| enforced(&namespace.labels).as_deref() == Some("restricted")));
}

fn assert_confined(name: &str, container: &Container) {
    let context = &container.security_context;
    assert_eq!(context.allow_privilege_escalation, Some(false), "{name}");
    assert!(context.read_only_root_filesystem, "{name}");
    assert_eq!(context.capabilities.drop, ["ALL"], "{name}");
    assert!(container.resources.limits.contains_key("memory"), "{name}");
    assert!(container.resources.requests.contains_key("cpu"), "{name}");
    let is_known = |probe: &Option<Probe>| match probe.as_ref().map(|probe| (&probe.http_get, &probe.exec)) {
        Some((Some(asked), None)) => container.ports.iter().any(|port| port.name == asked.port),
        Some((None, Some(exec))) => !exec.command.is_empty(),
        _ => false,
    };
    assert!(is_known(&container.readiness_probe), "{name}");
    assert!(is_known(&container.liveness_probe), "{name}");
    assert_ne!(
        container.image.split_once(':').map(|(_, tag)| tag),
        Some("latest"),
        "{name}"
    );
}

#[test]
fn nobody_is_sent_to_a_pod_that_accepts_no_more() {
    let written = kubernetes().unwrap();
    for name in ["sluice-control", "sluice-proxy"] {
        let container = &written.workload(name).unwrap().pod().containers[0];
        let hook = container.lifecycle.pre_stop.as_ref().unwrap();
        let [program, seconds] = &hook.exec.command[..] else {
            panic!("{name}: {hook:?}")
        };
        assert_eq!(program, "sleep", "{name}");
        assert!(seconds.parse::<u64>().unwrap() >= 5, "{name}");
    }
}

#[test]
fn disruption_budgets_leave_a_majority_and_let_nodes_be_drained() {
    let written = kubernetes().unwrap();
    let mut budgeted = BTreeSet::new();
    for budget in &written.manifests.budgets {
        let mut workloads = written.manifests.workloads.iter();
        let selector = &budget.spec.selector.match_labels;
        let workload = workloads.find(|workload| includes(&workload.spec.template.metadata.labels, selector));
        let workload = workload.unwrap();
        let replicas = workload.spec.replicas;
        let stay = match (budget.spec.min_available, budget.spec.max_unavailable) {
            (Some(stay), None) => stay,
            (None, Some(go)) => replicas - go,
            other => panic!("{other:?}"),
        };
        assert!(stay < replicas && stay * 2 > replicas, "{budget:?}");
        budgeted.insert(workload.metadata.name.as_str());
    }
    assert_eq!(
        budgeted,
        BTreeSet::from(["etcd", "sluice-control", "sluice-proxy"])
    );
}

fn is_declared(container: &Container, port: &Port) -> bool {
    container.ports.iter().any(|declared| match port {
        Port::Name(name) => declared.name == *name,
        Port::Number(number) => declared.container_port == *number,
    })
}

#[test]
fn services_lead_to_ports_that_pods_have() {
    let written = kubernetes().unwrap();
    for service in &written.manifests.services {
        let container = container(&written, &service.spec.selector);
        for port in &service.spec.ports {
            let target = port.target_port.clone().unwrap_or(Port::Number(port.port));
            assert!(is_declared(container, &target), "{service:?}");
        }
    }
}

fn container<'a>(written: &'a Kubernetes, selector: &Labels) -> &'a Container {
    let mut workloads = written.manifests.workloads.iter();
    let workload = workloads.find(|workload| includes(&workload.spec.template.metadata.labels, selector));
    &workload.unwrap().pod().containers[0]
}

#[test]
fn nobody_is_reached_but_by_those_who_are_named() {
    let written = kubernetes().unwrap();
    let (all, some): (Vec<_>, Vec<_>) = written
        .manifests
        .policies
        .iter()
        .partition(|policy| policy.spec.pod_selector.match_labels.is_empty());
    let [nobody] = all[..] else { panic!("{all:?}") };
    assert!(nobody.spec.ingress.is_empty() && nobody.spec.policy_types == ["Ingress"]);
    assert_eq!(some.len(), written.manifests.workloads.len());
    for policy in some {
        let container = container(&written, &policy.spec.pod_selector.match_labels);
        for rule in &policy.spec.ingress {
            assert!(!rule.ports.is_empty(), "{policy:?}");
            for port in &rule.ports {
                assert!(is_declared(container, port.port.as_ref().unwrap()), "{policy:?}");
            }
        }
        let is_open = policy.spec.ingress.iter().any(|rule| rule.from.is_empty());
        assert_eq!(is_open, policy.metadata.name == "sluice-proxy", "{policy:?}");
    }
}

/// The number behind `before`.
fn number(text: &str, before: &str) -> u64 {
    let (_, behind) = text.split_once(before).unwrap_or_else(|| panic!("{before}"));
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn there_is_time_for_what_runs_to_be_finished() {
    for (file, grace, before) in [
        (
            "kubernetes/proxy.yaml",
            "terminationGracePeriodSeconds: ",
            Some("[sleep, \""),
        ),
        (
            "compose/compose.yaml",
            "networks: [edge]\n    stop_grace_period: ",
            None,
        ),
        ("systemd/sluice-proxy.service", "TimeoutStopSec=", None),
    ] {
        let text = std::fs::read_to_string(directory().join(file)).unwrap();
        let before = before.map_or(0, |before| number(&text, before));
        assert!(
            number(&text, grace) > before + number(&text, "--drain-timeout="),
            "{file}"
        );
    }
}

#[test]
fn the_image_that_is_built_is_the_one_that_is_run() {
    let written = kubernetes().unwrap();
    let tag = written.tag("sluice").unwrap();
    assert_eq!(tag, env!("CARGO_PKG_VERSION"));
    let compose = std::fs::read_to_string(directory().join("compose/compose.yaml")).unwrap();
    assert_eq!(
        compose.matches("image: sluice:").count(),
        compose.matches(&format!("image: sluice:{tag}\n")).count()
    );
}

#[test]
fn systemd_knows_every_setting_of_the_units_and_finds_them_confined() {
    for entry in std::fs::read_dir(directory().join("systemd")).unwrap() {
        let unit = entry.unwrap().path();
        if unit.extension().is_none_or(|extension| extension != "service") {
            continue;
        }
        let analyze = |arguments: &[&str]| {
            let output = Command::new("systemd-analyze")
                .args(arguments)
                .arg(&unit)
                .output()
                .unwrap();
            (output.status.success(), String::from_utf8(output.stderr).unwrap())
        };
        let (_, said) = analyze(&["verify", "--man=no"]);
        // That our programs are not installed here is all that may be said.
        let missing = |line: &&str| !line.contains("is not executable: No such file or directory");
        assert_eq!(
            said.lines().filter(missing).collect::<Vec<_>>(),
            [""; 0],
            "{}",
            unit.display()
        );
        // Tenths of ten: below 20 is what systemd calls OK.
        let (confined, said) = analyze(&["security", "--offline=yes", "--threshold=20"]);
        assert!(confined, "{}: {said}", unit.display());
    }
}
