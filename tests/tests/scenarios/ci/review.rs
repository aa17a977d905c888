//! A change on its way: reviewed on a pull request, delivered when it is merged.

use std::fs;

use serde_json::json;
use sluice_tests::forge::Forge;
use sluice_tests::manifest::{HOST, backend, list, route_to};
use sluice_tests::site::Site;

use super::checkout::{Checkout, Place};
use super::{live, newest};

async fn reviewed_and_delivered(place: Place) {
    let (site, forge) = (Site::start(2).await.unwrap(), Forge::start(150).await.unwrap());
    let rest = site.rest();
    let checkout = Checkout::new(place, rest).await;

    let review = async || checkout.run("review", rest, &forge, &[]).await;
    let first = review().await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let comment = || {
        let comments = forge.comments();
        assert_eq!(comments.len(), 151, "one comment, which is replaced");
        comments[150].body.clone()
    };
    assert!(comment().contains("HTTPRoute/default/shop"), "{}", comment());
    assert_eq!(newest(rest).await, 0, "nothing is written by a review");

    let delivered = checkout.run("deliver", rest, &forge, &[]).await;
    assert_eq!(delivered.code, Some(0), "{delivered:?}");
    assert!(
        delivered
            .stdout
            .contains("httproute/shop created\nrevision 1\n2 of 2 proxies"),
        "{delivered:?}"
    );
    let again = checkout.run("deliver", rest, &forge, &[]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(newest(rest).await, 1);

    // A file that is wrong in itself, a reference that leads nowhere, and what is probably not meant.
    checkout.write("more", &[route_to("more", HOST, "web")]);
    let path = checkout.directory.path().join("routing/wrong.yaml");
    fs::write(&path, "kind: Backend\nmetadata: {name: x}\n").unwrap();
    let wrong = review().await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(
        comment().contains("an apply would be refused")
            && comment().contains("Backend/default/x  apiVersion"),
        "{}",
        comment()
    );
    fs::remove_file(path).unwrap();
    checkout.write("more", &[route_to("more", HOST, "nowhere")]);
    let dangling = review().await;
    assert_eq!(dangling.code, Some(1), "{dangling:?}");
    assert!(comment().contains("HTTPRoute/default/more"), "{}", comment());
    let refused = checkout.run("deliver", rest, &forge, &[]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(newest(rest).await, 1, "what is refused is not written");
    checkout.write("more", &[backend("more", &[])]);
    assert_eq!(review().await.code, Some(0));
    assert!(comment().contains("Backend/default/more"), "{}", comment());
    let is_told = comment().contains("| **warning** `unused` | `Backend/default/more` |");
    assert!(is_told, "{}", comment());

    // Somebody else has changed the same since the review: nothing is written.
    let theirs = list(&[backend("more", &["127.0.0.1:9".parse().unwrap()])]);
    rest.apply(&theirs, "").await.unwrap();
    let before = live(rest).await;
    let raced = checkout
        .run("deliver", rest, &forge, &[("SLUICE_BASE", "1")])
        .await;
    assert_eq!(raced.code, Some(1), "{raced:?}");
    assert!(
        raced.stderr.contains("changed since the base revision"),
        "{raced:?}"
    );
    assert_eq!((live(rest).await, newest(rest).await), (before, 2));

    // What the linter calls an error fails a review, also what no write is refused for since it was there before.
    let strict = json!({
        "apiVersion": "sluice.dev/v1", "kind": "LintPolicy", "metadata": {"name": "strict"},
        "spec": {"rules": {"unused": "error"}},
    });
    checkout.write("policy", &[strict]);
    let erroneous = review().await;
    assert_eq!(erroneous.code, Some(1), "{erroneous:?}");
    for words in [
        "### Plan against revision 2",
        "| **error** `unused` | `Backend/default/more` |",
    ] {
        assert!(comment().contains(words), "{words}: {}", comment());
    }
    assert_eq!(newest(rest).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_reviewed_and_delivered_by_github() {
    reviewed_and_delivered(Place::GitHub).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_reviewed_and_delivered_by_gitlab() {
    reviewed_and_delivered(Place::GitLab).await;
}
