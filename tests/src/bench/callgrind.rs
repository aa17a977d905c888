//! valgrind's callgrind: user-space instructions of every thread of a process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::process;

/// What a run counted: instructions of each thread, by its number.
///
/// Threads are numbered as they are started, so a number means the same thread in each run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Count(BTreeMap<String, u64>);

impl Count {
    /// What `more` counted beyond this, of the thread that did most of it and of all threads.
    pub(super) fn until(&self, more: &Self) -> (u64, u64) {
        let before = |thread| self.0.get(thread).copied().unwrap_or(0);
        let added = more
            .0
            .iter()
            .map(|(thread, count)| count.saturating_sub(before(thread)));
        let all: u64 = more.0.values().sum();
        (
            added.max().unwrap_or(0),
            all.saturating_sub(self.0.values().sum()),
        )
    }
}

/// A command that runs `program` under callgrind, which writes its counts below `directory` when
/// the program ends.
pub(super) fn command(program: &Path, directory: &Path) -> Command {
    let mut command = process::command("valgrind");
    let mut file = std::ffi::OsString::from("--callgrind-out-file=");
    file.push(file_of(directory));
    command
        .args(["--tool=callgrind", "--separate-threads=yes", "--quiet"])
        .arg(file)
        .arg("--")
        .arg(program);
    command
}

fn file_of(directory: &Path) -> PathBuf {
    directory.join("callgrind")
}

/// What the program of [`command`] did, after its end.
///
/// # Errors
/// When nothing was written there.
pub(super) fn read(directory: &Path) -> anyhow::Result<Count> {
    let mut threads = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        // Each thread has a file of its own with a number behind the name; the bare name is empty.
        if let Some(number) = name.strip_prefix("callgrind-") {
            let text = std::fs::read_to_string(&path)?;
            let total = total(&text).with_context(|| format!("no totals in {}", path.display()))?;
            threads.insert(number.to_owned(), total);
        }
    }
    ensure!(!threads.is_empty(), "callgrind wrote nothing");
    Ok(Count(threads))
}

/// The one event that callgrind counts by default is `Ir`, instructions read.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_requests_add_is_told_from_what_a_thread_did_before() {
        let count = |totals: [u64; 2]| {
            let directory = tempfile::tempdir().unwrap();
            for (name, total) in [
                ("callgrind-01", totals[0]),
                ("callgrind-02", totals[1]),
                ("other", 9),
            ] {
                let text = format!("events: Ir\nfn=(1) main\n1 {total}\ntotals: {total}\n");
                std::fs::write(directory.path().join(name), text).unwrap();
            }
            read(directory.path()).unwrap()
        };
        // The first thread did more, but before.
        let (few, many) = (count([1_000, 12]), count([1_001, 42]));
        assert_eq!(few.until(&many), (30, 31));
    }
}
