//! What texts and directories name.

use std::collections::BTreeSet;

/// Everything that may stand at the top; names that begin with a dot are free.
const TOP: [&str; 13] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "control-plane",
    "data-plane",
    "deploy",
    "migrations",
    "proto",
    "rust-toolchain.toml",
    "tests",
];

/// Names at the top that are not in [`TOP`].
pub(super) fn strangers<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let is_strange = |name: &&str| !name.starts_with('.') && !TOP.contains(name);
    names
        .into_iter()
        .filter(is_strange)
        .map(|name| format!("{name} does not belong to the top level"))
        .collect()
}

/// Functions that a text names in backticks: `Type::function`, or the name of a test.
pub(super) fn named_functions(text: &str) -> BTreeSet<&str> {
    let is_name = |word: &&str| {
        let parts = word.split("::").flat_map(str::chars);
        let mut letters = parts.clone();
        letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            && word
                .split("::")
                .last()
                .is_some_and(|last| last.starts_with(|first: char| first.is_lowercase()))
            && (word.contains("::") || word.matches('_').count() > 2)
    };
    // What stands between the first and the second backtick, the third and the fourth, and so on.
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(is_name)
        .filter_map(|word| word.split("::").last())
        .collect()
}

mod tests {
    use super::*;

    #[test]
    fn a_stranger_at_the_top_is_found() {
        assert_eq!(strangers(["README.md", ".ci", "scripts"]).len(), 1);
    }

    #[test]
    fn functions_are_told_from_other_words() {
        let text = "`Writer::write`, `sluice-core`, `dev`, `a_b_c_d_e`, `Live`, `x::Y` and plain a_b_c_d";
        assert_eq!(named_functions(text), BTreeSet::from(["write", "a_b_c_d_e"]));
    }
}
