//! The store as a list of maps, and random writes for both.

use std::collections::BTreeMap;

use sluice_control::store::{
    CatchUp, Change, Changes, CommitId, Loaded, Point, ResourceKey, Revision, Store, StoredResource,
};

use crate::database::{key, write};

/// All resources at one revision.
type State = BTreeMap<ResourceKey, StoredResource>;

/// What must be in the store: the state after each revision and which commit it was, the empty one first.
pub(crate) struct Model(Vec<State>, Vec<CommitId>);

impl Model {
    pub(crate) fn new() -> Self {
        Self(vec![State::new()], vec![CommitId::UNKNOWN])
    }

    pub(crate) fn head(&self) -> Revision {
        Revision(self.0.len() as u64 - 1)
    }

    /// Commits a random write to both.
    pub(crate) async fn step(&mut self, store: &Store, random: &mut Random) {
        let expected = store.head().await.unwrap();
        assert_eq!(expected.revision, self.head());
        let changes = match random.below(8) {
            0 => self.back_to(random.below(self.0.len() as u64)),
            _ => self.random_changes(random),
        };
        let commit = store.commit(&write(expected, changes.clone())).await.unwrap();
        assert!(!self.1.contains(&commit.id), "two commits of one name");
        self.1.push(commit.id);
        self.apply(changes, commit.revision);
        assert_eq!(commit.revision, self.head());
    }

    /// Every revision reads back, and from every revision there is a way to the head.
    pub(crate) async fn compare(&self, store: &Store) {
        let head = store.head().await.unwrap();
        assert_eq!(store.load().await.unwrap(), self.loaded(head));
        for (number, state) in self.0.iter().enumerate() {
            let at = Point {
                revision: Revision(number as u64),
                ..head
            };
            let loaded = store.load_at(at.revision).await.unwrap();
            assert_eq!(loaded, Some(self.loaded(at)), "revision {number}");
            let CatchUp::Changes(changes) = store.changes_since(at).await.unwrap() else {
                panic!("no way from revision {number} to the head");
            };
            assert_eq!((changes.at, changes.commit), (head, self.loaded(head).commit));
            assert_eq!(
                fold(state.clone(), changes),
                self.0[self.0.len() - 1],
                "from revision {number}"
            );
        }
    }

    fn loaded(&self, at: Point) -> Loaded {
        let number = usize::try_from(at.revision.0).unwrap();
        let state = &self.0[number];
        Loaded {
            at,
            commit: self.1[number],
            resources: state.values().cloned().collect(),
        }
    }

    fn latest(&self) -> &State {
        &self.0[self.0.len() - 1]
    }

    fn random_changes(&self, random: &mut Random) -> Vec<(ResourceKey, Change)> {
        let mut changes = BTreeMap::new();
        for _ in 0..=random.below(4) {
            let key = key(&format!("r{}", random.below(12)));
            let change = match self.latest().contains_key(&key) && random.below(3) == 0 {
                true => Change::Delete,
                false => Change::Upsert {
                    manifest: format!("{{\"weight\":{}}}", random.below(100)),
                    creation_revision: None,
                    secret: None,
                },
            };
            changes.insert(key, change);
        }
        changes.into_iter().collect()
    }

    /// What a rollback writes: old content with its old age, and the removal of what is newer.
    fn back_to(&self, number: u64) -> Vec<(ResourceKey, Change)> {
        let old = &self.0[usize::try_from(number).unwrap()];
        let newer = self.latest().keys().filter(|key| !old.contains_key(key));
        let removed = newer.map(|key| (key.clone(), Change::Delete));
        let restored = old.values().map(|resource| {
            let change = Change::Upsert {
                manifest: resource.manifest.clone(),
                creation_revision: Some(resource.creation_revision),
                secret: None,
            };
            (resource.key.clone(), change)
        });
        removed.chain(restored).collect()
    }

    fn apply(&mut self, changes: Vec<(ResourceKey, Change)>, revision: Revision) {
        let mut state = self.latest().clone();
        for (key, change) in changes {
            match change {
                Change::Delete => {
                    state.remove(&key).expect("only what exists is deleted");
                }
                Change::Upsert {
                    manifest,
                    creation_revision,
                    secret,
                } => {
                    let kept = state.get(&key).map(|resource| resource.creation_revision);
                    let creation_revision = creation_revision.or(kept).unwrap_or(revision);
                    let resource = StoredResource {
                        key: key.clone(),
                        creation_revision,
                        revision,
                        manifest,
                        secret,
                    };
                    state.insert(key, resource);
                }
            }
        }
        self.0.push(state);
    }
}

fn fold(mut state: State, changes: Changes) -> State {
    for key in changes.removals {
        assert!(state.remove(&key).is_some(), "{key} was removed but not there");
    }
    for resource in changes.upserts {
        state.insert(resource.key.clone(), resource);
    }
    state
}

/// Xorshift (Marsaglia 2003): the same seed gives the same writes on both databases.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
