//! Trust of several replicas on one database.

use std::collections::BTreeMap;

use sluice_control::CERTIFICATE_LIFETIME;
use sluice_control::store::{
    EnrolError, JoinRefusal, JoinToken, Joining, KeyRing, Store, TokenHash, UnixMillis,
};
use sluice_control::trust::Trust;
use sluice_tests::postgres::Postgres;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::database::Database;

const NOW: UnixMillis = UnixMillis(1_000);
const LATER: UnixMillis = UnixMillis(100_000);
/// Tokens that are raced for, one after the other.
const TOKENS: usize = 40;

crate::on_both!(a_token_that_many_use_at_once_opens_for_one_of_them);

async fn join(store: &Store, token: &JoinToken, proxy: &str) -> Result<(), EnrolError> {
    let joining = Joining {
        token: &token.id,
        hash: &token.hash,
        proxy,
        key: proxy,
        not_after: LATER,
    };
    store.enrol(&joining, NOW).await.map(drop)
}

/// Two replicas, and two proxies at each.
async fn a_token_that_many_use_at_once_opens_for_one_of_them(database: Database) {
    let (a, b) = (database.open().await, database.open().await);
    for round in 0..TOKENS {
        let token = JoinToken {
            id: format!("t{round}"),
            hash: TokenHash::of(&format!("secret-{round}")),
            proxy: None,
            labels: BTreeMap::new(),
            created_at: NOW,
            expires_at: LATER,
            revoked_at: None,
            used: None,
        };
        a.create_join_token(&token, "alice").await.unwrap();
        let ids = ["a1", "b1", "a2", "b2"].map(|id| format!("{id}-{round}"));
        let [a1, b1, a2, b2] = &ids;
        let joined = tokio::join!(
            join(&a, &token, a1),
            join(&b, &token, b1),
            join(&a, &token, a2),
            join(&b, &token, b2),
        );
        let joined = [joined.0, joined.1, joined.2, joined.3];
        let used = Err(EnrolError::Refused(JoinRefusal::Used));
        assert_eq!(joined.iter().filter(|one| one.is_ok()).count(), 1, "{joined:?}");
        assert_eq!(joined.iter().filter(|one| **one == used).count(), 3, "{joined:?}");
        let winner = joined.iter().position(Result::is_ok).unwrap();
        let tokens = b.join_tokens().await.unwrap();
        let told = tokens.iter().find(|one| one.id == token.id).unwrap();
        assert_eq!(told.used.as_ref().unwrap().proxy, ids[winner]);
    }
    let identities = b.identities_since(0).await.unwrap();
    let versions: Vec<_> = identities.iter().map(|one| one.version).collect();
    assert_eq!(versions.len(), TOKENS);
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
}

/// The other ones find the record when they write, not only when they read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_make_one_authority() {
    let postgres = Postgres::start().await.unwrap();
    let keys = KeyRing::random().unwrap();
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    for round in 0..5 {
        postgres.sql(&format!("CREATE DATABASE round{round}")).unwrap();
        let url = postgres.url().replace("/postgres", &format!("/round{round}"));
        let opened = (0..3).map(|_| Store::open(std::slice::from_ref(&url), keys.clone()));
        let opened = opened.map(|opening| async { opening.await.unwrap() });
        let stores = futures_util::future::join_all(opened).await;
        let started = stores
            .iter()
            .map(|store| Trust::start(store.clone(), CERTIFICATE_LIFETIME, &tasks, &shutdown));
        let trusts = futures_util::future::try_join_all(started).await.unwrap();
        let first = trusts[0].authorities();
        assert_eq!(first.len(), 1);
        for trust in &trusts {
            assert_eq!(trust.authorities(), first, "in round {round}");
        }
        let rows = format!("--dbname={url}");
        let sql = "SELECT revision FROM sealed WHERE name = 'authority'";
        let rows = postgres.client("psql", &[&rows, "--tuples-only", "--no-align", "--command", sql]);
        assert_eq!(rows.unwrap().trim(), "1");
    }
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
}
