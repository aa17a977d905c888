//! What holds of writes, with real stores.

mod measures;
mod tickets;

use sluice_intent::{Format, LabelSelector, Resource, ResourceId};

use super::*;
use crate::compile::DanglingRefs;
use crate::store::{KeyRing, Scope};

/// A live world on a store of its own.
pub(super) struct Site {
    pub(super) live: Live,
    pub(super) store: Store,
    shutdown: CancellationToken,
}

impl Site {
    pub(super) async fn start() -> Self {
        let keys = KeyRing::random().unwrap();
        let store = Store::open(&["sqlite::memory:".to_owned()], keys).await;
        Self::on(store.unwrap()).await
    }

    /// Another control plane on the same store.
    pub(super) async fn on(store: Store) -> Self {
        let shutdown = CancellationToken::new();
        let live = Live::start(
            store.clone(),
            TICKET_ROTATION,
            discovery::Config::default(),
            &TaskTracker::new(),
            &shutdown,
        )
        .await
        .unwrap();
        Self {
            live,
            store,
            shutdown,
        }
    }

    pub(super) async fn apply(&self, yaml: &str) -> Result<Written, WriteError> {
        self.live.write(apply(yaml)).await
    }

    pub(super) async fn delete(&self, id: &str) {
        let delete = Wish::Delete(id.parse().unwrap(), Precondition::None);
        self.live.write(request(delete)).await.unwrap();
    }

    fn has(&self, id: &str) -> bool {
        self.live.published().world.get(&id.parse().unwrap()).is_some()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn resources(yaml: &str) -> Vec<Resource> {
    sluice_intent::parse(yaml.as_bytes(), Format::Yaml, "default").unwrap()
}

fn apply(yaml: &str) -> WriteRequest {
    request(Wish::Apply {
        resources: resources(yaml),
        prune: None,
    })
}

fn request(wish: Wish) -> WriteRequest {
    WriteRequest {
        wish,
        dry_run: false,
        dangling: DanglingRefs::Refuse,
        base: None,
        author: "test".into(),
        scope: Scope::Everything,
        message: String::new(),
        idempotency_key: None,
    }
}

pub(super) fn backend(name: &str, port: u16) -> String {
    format!(
        "\napiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {{name: {name}, labels: {{app: x}}}}\n\
         spec: {{endpoints: [{{address: 10.0.0.1, port: {port}}}]}}\n"
    )
}

fn actions(written: &Written) -> Vec<(&str, &str)> {
    written
        .changes
        .iter()
        .map(|change| (&*change.name, &*change.action))
        .collect()
}

#[tokio::test]
async fn a_write_is_a_revision_and_what_changes_nothing_is_none() {
    let site = Site::start().await;
    let both = [backend("a", 80), backend("b", 80)].join("---");
    let written = site.apply(&both).await.unwrap();
    assert_eq!(written.revision, Revision(1));
    assert_eq!(actions(&written), [("a", "created"), ("b", "created")]);
    let again = site
        .apply(&[backend("a", 80), backend("b", 81)].join("---"))
        .await
        .unwrap();
    assert_eq!(
        (again.revision, actions(&again)),
        (Revision(2), vec![("a", "unchanged"), ("b", "updated")])
    );
    let nothing = site.apply(&backend("a", 80)).await.unwrap();
    assert_eq!(
        (nothing.revision, site.store.head().await.unwrap().revision),
        (Revision(2), Revision(2))
    );
}

#[tokio::test]
async fn a_refused_write_and_a_dry_run_leave_everything_as_it_was() {
    let site = Site::start().await;
    let dangling = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {parentRefs: [{name: none}]}
";
    let refused = site.apply(&[&*backend("a", 80), dangling].join("---")).await;
    assert!(matches!(refused, Err(WriteError::Refused(violations)) if violations.len() == 1));
    let dry = WriteRequest {
        dry_run: true,
        ..apply(&backend("a", 80))
    };
    assert_eq!(site.live.write(dry).await.unwrap().revision, Revision(1));
    assert!(!site.has("Backend/default/a"));
    assert_eq!(site.store.head().await.unwrap().revision, Revision(0));
}

#[tokio::test]
async fn a_repeated_key_is_answered_as_the_first_time_and_writes_nothing() {
    let site = Site::start().await;
    let keyed = |yaml: &str| WriteRequest {
        idempotency_key: Some("k1".into()),
        ..apply(yaml)
    };
    let first = site.live.write(keyed(&backend("a", 80))).await.unwrap();
    assert_eq!(site.live.write(keyed(&backend("a", 80))).await.unwrap(), first);
    site.apply(&backend("a", 81)).await.unwrap();
    assert_eq!(site.live.write(keyed(&backend("a", 80))).await.unwrap(), first);
    assert_eq!(site.store.head().await.unwrap().revision, Revision(2));
}

#[tokio::test]
async fn a_base_revision_matters_for_what_is_touched_only() {
    let site = Site::start().await;
    site.apply(&[backend("a", 80), backend("b", 80)].join("---"))
        .await
        .unwrap();
    site.apply(&backend("b", 81)).await.unwrap();
    let based = |yaml: &str| WriteRequest {
        base: Some(Revision(1)),
        ..apply(yaml)
    };
    let raced = site.live.write(based(&backend("b", 82))).await;
    assert_eq!(
        raced,
        Err(WriteError::Raced(vec!["Backend/default/b".parse().unwrap()]))
    );
    site.live.write(based(&backend("a", 81))).await.unwrap();
    // Deleted since counts as changed too.
    site.delete("Backend/default/b").await;
    assert!(matches!(
        site.live.write(based(&backend("b", 80))).await,
        Err(WriteError::Raced(_))
    ));
    let future = WriteRequest {
        base: Some(Revision(99)),
        ..apply(&backend("c", 80))
    };
    assert_eq!(
        site.live.write(future).await,
        Err(WriteError::FutureBase(Revision(99)))
    );
}

#[tokio::test]
async fn preconditions_are_judged_on_the_state_that_is_written_to() {
    let site = Site::start().await;
    site.apply(&backend("a", 80)).await.unwrap();
    let id: ResourceId = "Backend/default/a".parse().unwrap();
    let put = |port, expected| {
        request(Wish::Put(
            Box::new(resources(&backend("a", port)).remove(0)),
            expected,
        ))
    };
    let refused = Err(WriteError::Precondition {
        id: id.clone(),
        current: Some(Revision(1)),
    });
    assert_eq!(
        site.live
            .write(put(81, Precondition::OneOf(vec![Revision(7)])))
            .await,
        refused
    );
    assert_eq!(site.live.write(put(81, Precondition::Absent)).await, refused);
    site.live
        .write(put(81, Precondition::OneOf(vec![Revision(1)])))
        .await
        .unwrap();
    let patch = serde_json::json!({"metadata": {"labels": {"app": null, "team": "y"}}});
    site.live
        .write(request(Wish::Patch(id.clone(), patch, Precondition::Exists)))
        .await
        .unwrap();
    let labels = site
        .live
        .published()
        .world
        .get(&id)
        .unwrap()
        .resource
        .labels
        .clone();
    assert_eq!(labels.iter().collect::<Vec<_>>(), [("team", "y")]);
    let rename = serde_json::json!({"metadata": {"name": "b"}});
    let renamed = site
        .live
        .write(request(Wish::Patch(id.clone(), rename, Precondition::None)))
        .await;
    assert!(matches!(renamed, Err(WriteError::Refused(_))));
    let missing: ResourceId = "Backend/default/none".parse().unwrap();
    let gone = site
        .live
        .write(request(Wish::Delete(missing.clone(), Precondition::None)))
        .await;
    assert_eq!(gone, Err(WriteError::NotFound(missing)));
}

#[tokio::test]
async fn pruning_deletes_what_is_selected_and_not_among_the_manifests() {
    let site = Site::start().await;
    site.apply(&[backend("a", 80), backend("b", 80)].join("---"))
        .await
        .unwrap();
    site.apply(&backend("c", 80).replace("app: x", "app: y"))
        .await
        .unwrap();
    let selector: LabelSelector =
        serde_json::from_value(serde_json::json!({"matchLabels": {"app": "x"}})).unwrap();
    let wish = Wish::Apply {
        resources: resources(&backend("a", 80)),
        prune: Some(Prune::Selected(selector)),
    };
    let written = site.live.write(request(wish)).await.unwrap();
    assert_eq!(actions(&written), [("a", "unchanged"), ("b", "deleted")]);
    assert!(site.has("Backend/default/c"));
}

#[tokio::test]
async fn a_rollback_is_a_new_revision_with_the_old_content_and_age() {
    let site = Site::start().await;
    site.apply(&[backend("a", 80), backend("b", 80)].join("---"))
        .await
        .unwrap();
    site.apply(&backend("a", 81)).await.unwrap();
    site.delete("Backend/default/b").await;
    site.apply(&backend("c", 80)).await.unwrap();
    let past = site.live.world_at(Revision(1)).await.unwrap().unwrap();

    let wish = site.live.rollback_to(Revision(1)).await.unwrap().unwrap();
    let written = site.live.write(request(wish.clone())).await.unwrap();
    assert_eq!(written.revision, Revision(5));
    let mut told = actions(&written);
    told.sort_unstable();
    assert_eq!(told, [("a", "updated"), ("b", "created"), ("c", "deleted")]);
    let now = site.live.published();
    assert_eq!(now.world.position().config, past.position().config);
    assert_eq!(now.world.position().runtime, past.position().runtime);
    let restored = now.world.get(&"Backend/default/b".parse().unwrap()).unwrap();
    assert_eq!((restored.created, restored.revision), (Revision(1), Revision(5)));
    assert_eq!(
        site.live.write(request(wish)).await.unwrap().revision,
        Revision(5)
    );
    assert!(site.live.rollback_to(Revision(99)).await.unwrap().is_none());
    let record = site.store.revision(Revision(5)).await.unwrap().unwrap();
    assert_eq!(record.rollback_of, Some(Revision(1)));
}

#[tokio::test]
async fn writers_on_one_store_neither_lose_nor_double_anything() {
    let one = Site::start().await;
    let other = Site::on(one.store.clone()).await;
    let write = |site: &Site, name: String| {
        let live = site.live.clone();
        tokio::spawn(async move { live.write(apply(&backend(&name, 80))).await })
    };
    let writes: Vec<_> = (0..20)
        .flat_map(|n| [write(&one, format!("a{n}")), write(&other, format!("b{n}"))])
        .collect();
    let mut revisions = Vec::new();
    for written in writes {
        revisions.push(written.await.unwrap().unwrap().revision.0);
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=40).collect::<Vec<_>>());
    for site in [&one, &other] {
        let mut watch = site.live.watch();
        let caught_up = watch
            .wait_for(|published| published.revision() == Revision(40))
            .await
            .unwrap()
            .clone();
        assert_eq!(caught_up.world.iter().count(), 40);
    }
    assert_eq!(
        one.live.published().world.position(),
        other.live.published().world.position()
    );
}

#[tokio::test]
async fn a_restart_loads_what_was_there() {
    let site = Site::start().await;
    site.apply(&[backend("a", 80), backend("b", 80)].join("---"))
        .await
        .unwrap();
    site.apply(&backend("a", 81)).await.unwrap();
    let again = Site::on(site.store.clone()).await;
    let (before, after) = (site.live.published(), again.live.published());
    assert_eq!(before.world.position(), after.world.position());
    assert!(before.world.iter().eq(after.world.iter()));
}

#[tokio::test]
async fn a_name_is_looked_up_and_published_without_a_revision() {
    let site = Site::start().await;
    let named = backend("a", 80).replace("10.0.0.1", "localhost");
    let revision = site.apply(&named).await.unwrap().revision;
    let mut watch = site.live.watch();
    let has_endpoint = |published: &Arc<Published>| {
        let backends = published.world.snapshot().backends();
        backends.into_iter().any(|backend| !backend.endpoints.is_empty())
    };
    let resolved = tokio::time::timeout(Duration::from_secs(10), watch.wait_for(has_endpoint)).await;
    assert_eq!(resolved.unwrap().unwrap().revision(), revision);
}

#[test]
fn the_ring_keeps_the_recent_versions_and_the_time_of_each_revision() {
    let start = Instant::now();
    let mut published = Published::first(World::empty(sluice_model::HistoryId([1; 16])), start);
    let first = published.version.position;
    for number in 1..=(RECENT as u64 + 5) {
        let changed = published
            .world
            .change(Vec::new(), Revision(number), DanglingRefs::Refuse)
            .unwrap();
        published = published.next(changed.world, start + Duration::from_secs(number));
    }
    assert_eq!(published.recent().count(), RECENT);
    let history = published.version.history;
    assert!(published.find(history, first).is_none());
    assert!(published.find(history, published.version.position).is_some());
    // What changes nothing for proxies takes no place in the ring.
    let same = published.next(published.world.clone(), start);
    let positions = |published: &Published| published.recent().map(|one| one.position).collect::<Vec<_>>();
    assert_eq!(positions(&same), positions(&published));
    // The same revision again, with something else that has none. The commit's time stays.
    let moved = published.world.with_tickets(&[[1; 32]]).unwrap().unwrap();
    let again = published.next(moved, start + Duration::from_secs(10_000));
    assert_eq!(again.version.at, published.version.at);
    assert_ne!(again.version.position, published.version.position);
}
