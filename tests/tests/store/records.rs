//! Receipts, tokens and the audit trail.

use sluice_control::store::{
    AuditAction, AuditFilter, Grant, Revision, Scope, StoreError, StoredReceipt, Token, TokenHash,
    UnixMillis, Verb,
};

use crate::database::{Database, set};

crate::on_both!(
    the_newest_receipt_of_a_revision_is_kept_until_one_is_final,
    a_token_is_found_by_its_secret_and_stays_revoked,
    everything_done_or_refused_is_in_the_audit_trail,
);

async fn the_newest_receipt_of_a_revision_is_kept_until_one_is_final(database: Database) {
    let store = database.open().await;
    let leadership = store.lead().await.unwrap().unwrap();
    let receipt = |summary: &str, at, complete| StoredReceipt {
        summary: summary.into(),
        updated_at: UnixMillis(at),
        complete,
    };
    let revision = Revision(1);
    assert_eq!(store.receipt(revision).await.unwrap(), None);
    let other = Revision(2);
    for (next, kept) in [
        (("pending", 10, false), "pending"),
        (("applied", 20, false), "applied"),
        (("late", 15, false), "applied"),
        // By a clock that is behind, but final.
        (("all", 12, true), "all"),
        (("fewer", 30, false), "all"),
        (("again", 40, true), "all"),
    ] {
        let (summary, at, complete) = next;
        let next = [
            (revision, receipt(summary, at, complete)),
            (other, receipt(summary, at, false)),
        ];
        store.put_receipts(leadership.epoch(), &next).await.unwrap();
        assert_eq!(store.receipt(revision).await.unwrap().unwrap().summary, kept);
    }
    assert_eq!(
        store.receipt(other).await.unwrap(),
        Some(receipt("again", 40, false))
    );
    store.put_receipts(leadership.epoch(), &[]).await.unwrap();
}

async fn a_token_is_found_by_its_secret_and_stays_revoked(database: Database) {
    let store = database.open().await;
    let token = |id: &str, expires_at| Token {
        id: id.into(),
        name: "ci".into(),
        hash: TokenHash::of(id),
        created_at: UnixMillis(5),
        expires_at,
        revoked_at: None,
        scope: Scope::of(Some(vec![Grant {
            verbs: vec![Verb::Plan],
            kinds: None,
            namespaces: Some(vec![id.parse().unwrap()]),
        }])),
    };
    let tokens = [token("a", None), token("b", Some(UnixMillis(99)))];
    for token in &tokens {
        store.create_token(token, "alice").await.unwrap();
    }
    assert_eq!(
        store.create_token(&tokens[0], "alice").await,
        Err(StoreError::Rejected)
    );
    assert_eq!(store.tokens().await.unwrap(), tokens);
    assert_eq!(
        store.find_token(&TokenHash::of("b")).await.unwrap().as_ref(),
        Some(&tokens[1])
    );
    assert_eq!(store.find_token(&TokenHash::of("c")).await.unwrap(), None);

    assert!(store.revoke_token("a", "alice", UnixMillis(7)).await.unwrap());
    assert!(!store.revoke_token("a", "alice", UnixMillis(8)).await.unwrap());
    assert!(!store.revoke_token("c", "alice", UnixMillis(8)).await.unwrap());
    let revoked = store.find_token(&TokenHash::of("a")).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(UnixMillis(7)));
    assert_eq!(store.audit(&AuditFilter::default(), 10).await.unwrap().len(), 3);
}

async fn everything_done_or_refused_is_in_the_audit_trail(database: Database) {
    let store = database.open().await;
    set(&store, "a", "1").await;
    // Cut at 16 KiB, and never inside a character.
    let detail = "€".repeat(10_000);
    store
        .record_refusal(UnixMillis(9), "mallory", &detail)
        .await
        .unwrap();
    let trail = store.audit(&AuditFilter::default(), 10).await.unwrap();
    let seen: Vec<_> = trail
        .iter()
        .map(|entry| (entry.action.as_str(), entry.revision, &*entry.author))
        .collect();
    let expected = [
        (AuditAction::Refused.as_str(), None, "mallory"),
        (AuditAction::Commit.as_str(), Some(Revision(1)), "alice"),
    ];
    assert_eq!(seen, expected);
    let found = async |filter: AuditFilter| store.audit(&filter, 10).await.unwrap();
    let before = AuditFilter {
        before: Some(trail[0].id),
        ..AuditFilter::default()
    };
    let by_alice = AuditFilter {
        author: Some("alice".into()),
        ..AuditFilter::default()
    };
    let refused = AuditFilter {
        action: Some(AuditAction::Refused),
        ..AuditFilter::default()
    };
    let refused_of_alice = AuditFilter {
        action: Some(AuditAction::Refused),
        ..by_alice.clone()
    };
    assert_eq!(found(by_alice).await, trail[1..]);
    assert_eq!(found(refused).await, trail[..1]);
    assert_eq!(found(refused_of_alice).await, []);
    assert_eq!(trail[0].detail, "€".repeat(16 * 1024 / 3));
    assert_eq!(trail[1].detail, "because");
    assert_eq!(store.audit(&before, 10).await.unwrap(), trail[1..]);
    if let Database::Postgres(postgres) = &database {
        for statement in [
            "UPDATE audit SET author = 'x'",
            "DELETE FROM audit",
            "TRUNCATE audit",
        ] {
            let error = postgres.sql(statement).unwrap_err().to_string();
            assert!(error.contains("audit is append-only"), "{error}");
        }
    }
}
