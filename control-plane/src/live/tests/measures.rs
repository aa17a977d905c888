//! What is measured of a write, where it is made and where it is heard of.

use super::*;
use crate::measures::Stage;

fn counts(site: &Site) -> [u64; 3] {
    [Stage::Commit, Stage::Notify, Stage::Compile].map(|stage| site.live.measures().count_of(stage))
}

#[tokio::test]
async fn a_write_is_timed_where_it_is_made_and_where_it_is_heard_of() {
    let site = Site::start().await;
    let other = Site::on(site.store.clone()).await;
    let mut theirs = other.live.watch();
    for name in ["one", "two"] {
        let revision = site.apply(&backend(name, 80)).await.unwrap().revision;
        theirs
            .wait_for(|published| published.revision() == revision)
            .await
            .unwrap();
    }
    assert_eq!(counts(&site), [2, 2, 2]);
    // How old a notification was is asked once the revision is live: of the first that is over.
    let [commits, notifications, compiled] = counts(&other);
    assert_eq!((commits, compiled), (0, 2));
    assert!(notifications >= 1, "{notifications}");
    // What changes nothing is no revision, and takes no way.
    site.apply(&backend("two", 80)).await.unwrap();
    assert_eq!(counts(&site), [2, 2, 2]);
}
