//! The live intent as files: written, applied again here, and applied elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sluice_tests::manifest::{HOST, backend, gateway, list, route_to};
use sluice_tests::rest::Rest;
use sluice_tests::servers::{Ran, run_sluice, sluice};
use sluice_tests::site::Site;

/// A sticky split of everything between three variants, with these shares in percent.
fn experiment(shares: [u32; 3]) -> Value {
    let variant = |(at, share): (usize, u32)| json!({"name": format!("v{at}"), "share": share, "backendRefs": [{"name": "web"}]});
    let variants: Vec<_> = shares.into_iter().enumerate().map(variant).collect();
    json!({
        "apiVersion": "sluice.dev/v1",
        "kind": "Experiment",
        "metadata": {"name": "button", "namespace": "default"},
        "spec": {
            "targetRefs": [{"kind": "HTTPRoute", "name": "shop"}],
            "unit": {"cookie": "visitor"},
            "variants": variants,
        },
    })
}

/// A shop, an experiment whose slots have moved, and something in another namespace.
async fn furnish(site: &Site) {
    let mut elsewhere = backend("far", &["127.0.0.1:9".parse().unwrap()]);
    elsewhere["metadata"]["namespace"] = json!("other");
    elsewhere["metadata"]["annotations"] = json!({"note": "- a: *b\n# c: 'd'\n"});
    let mut all = vec![
        gateway(),
        backend("web", &["127.0.0.1:9".parse().unwrap()]),
        route_to("shop", HOST, "web"),
        elsewhere,
    ];
    all.push(experiment([40, 30, 30]));
    site.rest().apply(&list(&all), "").await.unwrap();
    site.rest().apply(&experiment([30, 30, 40]), "").await.unwrap();
}

/// Every file below a directory, with what is in it.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                files.insert(path.strip_prefix(root).unwrap().to_owned(), text);
            }
        }
    }
    files
}

async fn slots(rest: &Rest) -> Value {
    let text = sluice(rest, &["get", "experiment", "button", "-o", "json"]).await;
    let manifest: Value = serde_json::from_str(&text.unwrap()).unwrap();
    json!([manifest["status"]["salt"], manifest["status"]["slots"]])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_the_same_here_and_on_another_control_plane() {
    let (here, there) = (Site::start(0).await.unwrap(), Site::start(0).await.unwrap());
    furnish(&here).await;
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |directory: &tempfile::TempDir| directory.path().display().to_string();
    let (first_path, second_path) = (path(&first), path(&second));

    let written = sluice(here.rest(), &["export", "-A", &first_path]).await.unwrap();
    assert_eq!(written, "revision 2: 5 files written, 0 were so already\n");
    let again = sluice(here.rest(), &["export", "-A", &first_path]).await.unwrap();
    assert_eq!(again, "revision 2: 0 files written, 5 were so already\n");
    let paths: Vec<_> = tree(first.path()).into_keys().collect();
    assert_eq!(
        paths,
        [
            "default/backends/web.yaml",
            "default/experiments/button.yaml",
            "default/gateways/edge.yaml",
            "default/httproutes/shop.yaml",
            "other/backends/far.yaml",
        ]
        .map(PathBuf::from)
    );

    let applied = sluice(here.rest(), &["apply", "-R", "-f", &first_path])
        .await
        .unwrap();
    assert!(applied.ends_with("revision 2 (unchanged)\n"), "{applied}");

    sluice(there.rest(), &["apply", "-R", "-f", &first_path])
        .await
        .unwrap();
    sluice(there.rest(), &["export", "-A", &second_path])
        .await
        .unwrap();
    assert_eq!(tree(second.path()), tree(first.path()));
    assert_eq!(slots(there.rest()).await, slots(here.rest()).await);
    assert_ne!(
        slots(here.rest()).await[1].as_array().unwrap().len(),
        3,
        "slots have moved"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_a_stream_where_no_directory_is_named_and_leaves_files_of_others_alone() {
    let site = Site::start(0).await.unwrap();
    furnish(&site).await;
    let directory = tempfile::tempdir().unwrap();
    for format in ["yaml", "json"] {
        let documents = sluice(site.rest(), &["export", "-A", "-o", format])
            .await
            .unwrap();
        assert!(!documents.contains("status"), "{documents}");
        let stream = directory.path().join(format!("all.{format}"));
        fs::write(&stream, documents).unwrap();
        let applied = sluice(site.rest(), &["apply", "-f", &stream.display().to_string()]).await;
        assert!(applied.unwrap().ends_with("revision 2 (unchanged)\n"));
    }
    let past = sluice(site.rest(), &["export", "--revision", "1", "-n", "other"])
        .await
        .unwrap();
    assert!(past.starts_with("---\n") && past.contains("name: far"), "{past}");
    assert!(!past.contains("name: web"), "{past}");

    let root = directory.path().join("files");
    let path = root.display().to_string();
    let ours = root.join("default/backends/web.yaml");
    fs::create_dir_all(ours.parent().unwrap()).unwrap();
    fs::write(&ours, "# by hand\n").unwrap();
    let Ran { code, stdout, stderr } = run_sluice(site.rest(), &["export", &path]).await.unwrap();
    assert_eq!(
        (code, stdout.as_str()),
        (Some(1), "revision 2: 3 files written, 0 were so already\n")
    );
    assert!(
        stderr.contains("web.yaml: no export has written this file"),
        "{stderr}"
    );
    assert_eq!(fs::read_to_string(&ours).unwrap(), "# by hand\n");
    sluice(site.rest(), &["export", "--force", &path]).await.unwrap();
    assert!(fs::read_to_string(&ours).unwrap().contains("name: web"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_made_the_truth_and_drift_from_it_is_shown() {
    let site = Site::start(0).await.unwrap();
    furnish(&site).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let run = async |arguments: &[&str]| {
        let arguments = [arguments, &["-f", &path]].concat();
        run_sluice(site.rest(), &arguments).await.unwrap()
    };
    sluice(site.rest(), &["export", "-A", &path]).await.unwrap();
    let same = run(&["diff", "--prune", "-A"]).await;
    assert_eq!(
        (same.code, same.stdout.as_str()),
        (Some(0), "no difference from revision 2 in 5 resources\n"),
        "{same:?}"
    );

    // Somebody changes one thing past the files and adds another.
    let changed = backend("web", &["127.0.0.1:10".parse().unwrap()]);
    let drifted = list(&[changed, backend("stray", &[])]);
    site.rest().apply(&drifted, "").await.unwrap();
    let drift = run(&["diff", "--prune"]).await;
    assert_eq!(drift.code, Some(1), "{drift:?}");
    for line in [
        "--- Backend/default/web (revision 3)\n",
        "-    port: 10\n",
        "+    port: 9\n",
        "-  name: stray\n",
        "0 to create, 1 to update, 1 to delete, 4 as at revision 3\n",
    ] {
        assert!(drift.stdout.contains(line), "{line}: {}", drift.stdout);
    }
    assert_eq!(
        run(&["diff", "-R"]).await.stdout.matches("---").count(),
        1,
        "nothing is to be deleted"
    );
    let shallow = run(&["apply"]).await;
    assert_eq!(shallow.code, Some(1), "{shallow:?}");
    assert!(shallow.stderr.contains("no *.yaml"), "{shallow:?}");

    let pruned = run(&["apply", "--prune"]).await;
    assert_eq!(pruned.code, Some(0), "{pruned:?}");
    assert!(pruned.stdout.contains("backend/stray deleted\n"), "{pruned:?}");
    assert_eq!(run(&["diff", "--prune", "-A"]).await.code, Some(0));

    // What lies in no namespace of the manifests any more is pruned with -A alone.
    fs::remove_dir_all(directory.path().join("other")).unwrap();
    assert_eq!(run(&["diff", "--prune"]).await.code, Some(0));
    assert_eq!(run(&["diff", "--prune", "-A"]).await.code, Some(1));
    let pruned = run(&["apply", "--prune", "-A"]).await;
    assert!(
        pruned.stdout.contains("backend/far in other deleted\n"),
        "{pruned:?}"
    );

    // Trouble is none of both.
    fs::write(directory.path().join("wrong.yaml"), "kind: [").unwrap();
    assert_eq!(run(&["diff"]).await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_what_is_gone_are_named_and_removed_where_that_is_asked_for() {
    let site = Site::start(0).await.unwrap();
    furnish(&site).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let export = async |arguments: &[&str]| {
        let arguments = [&["export", "-A", &path], arguments].concat();
        run_sluice(site.rest(), &arguments).await.unwrap()
    };
    assert_eq!(export(&[]).await.code, Some(0));
    let note = directory.path().join("other/README.yaml");
    fs::write(&note, "# ours\n").unwrap();
    let deleted = sluice(site.rest(), &["delete", "backend", "far", "-n", "other"]).await;
    deleted.unwrap();
    let deleted = sluice(site.rest(), &["delete", "experiment", "button"]).await;
    deleted.unwrap();
    let edited = directory.path().join("default/experiments/button.yaml");
    let text = fs::read_to_string(&edited).unwrap() + "# kept for later\n";
    fs::write(&edited, text).unwrap();

    // A token that may not get Backends does not know which of them are gone.
    let limited = [
        "token",
        "create",
        "ci",
        "--allow",
        "get:HTTPRoute,Gateway,Experiment",
    ];
    let token = sluice(site.rest(), &limited).await.unwrap();
    let token = token.trim_end();
    let little = export(&["--prune", "--token", token]).await;
    assert_eq!(little.code, Some(1), "{little:?}");
    assert!(
        little.stderr.contains("may not get them: Backend (1)\n"),
        "{little:?}"
    );
    assert!(
        directory.path().join("other/backends/far.yaml").exists(),
        "{little:?}"
    );

    let named = export(&[]).await;
    assert_eq!(named.code, Some(0), "{named:?}");
    assert!(
        named
            .stderr
            .contains("not live any more, and kept (see --prune):\n")
            && named.stderr.contains("far.yaml"),
        "{named:?}"
    );
    let pruned = export(&["--prune"]).await;
    assert_eq!(
        (pruned.code, pruned.stdout.as_str()),
        (
            Some(1),
            "revision 4: 0 files written, 3 were so already, 1 removed\n"
        ),
        "{pruned:?}"
    );
    assert!(
        pruned.stderr.contains("button.yaml: is not live any more"),
        "{pruned:?}"
    );
    assert!(note.exists() && edited.exists() && !note.with_file_name("backends").exists());

    fs::remove_file(&edited).unwrap();
    let again = export(&["--prune", "-o", "json"]).await;
    let answer: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(
        (&answer["removed"], &answer["stale"], &answer["leftOut"]),
        (&json!(0), &json!([]), &json!({}))
    );
}
