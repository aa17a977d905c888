//! `deploy/`: what is written there is sound, and what it starts works with exactly the arguments,
//! users and read-only roots that it says.

mod kubernetes;
mod running;
mod small;

use std::collections::BTreeMap;

use sluice_tests::site::TOKEN;

/// 32 bytes.
const KEYS: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";
const PASSWORD: &str = "s3cret-of-postgres";

/// Environment of control planes where it is a file.
fn control_env() -> String {
    format!("PGPASSWORD={PASSWORD}\nSLUICE_TOKEN={TOKEN}\n")
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}
