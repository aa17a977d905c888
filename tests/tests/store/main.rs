//! What the store promises, on both databases. Each shared promise is one function that runs once
//! on SQLite and once on a PostgreSQL server of its own; `outage` is about servers only.

// Clippy's `allow-unwrap-in-tests` does not reach functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod database;
mod history;
mod model;
mod outage;
mod proxies;
mod records;
mod replicas;
mod reservations;
mod restore;
mod samples;
mod sealed;
mod trust;
mod writes;

/// Makes a test of each named function for each database.
macro_rules! on_both {
    ($($promise:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise($crate::database::Database::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise($crate::database::Database::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_both;
