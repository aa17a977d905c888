//! The ceiling on this process's memory: past it new requests are refused, and the process lives.

use std::{
    fmt, fs,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

/// How often resident memory is looked at.
const PERIOD: Duration = Duration::from_millis(100);
/// Percent of the ceiling below which requests are taken again: not at once, or every second one
/// would be refused.
const RELIEF: u64 = 95;

/// How much memory the process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// So many bytes.
    Bytes(u64),
    /// Percent of what the process could have: its control group's limit, or the machine's memory.
    Percent(u8),
}

/// Why a text is no memory limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a memory limit is a percentage such as 90%, or bytes such as 800Mi, 2Gi or 500000000")]
pub struct MemoryLimitError;

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::Percent(90)
    }
}

impl MemoryLimit {
    /// The same in bytes; `u64::MAX` where nobody says how much there is.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => available().map_or(u64::MAX, |all| all / 100 * u64::from(percent)),
        }
    }
}

impl FromStr for MemoryLimit {
    type Err = MemoryLimitError;

    fn from_str(text: &str) -> Result<Self, MemoryLimitError> {
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
            return percent.map(Self::Percent).ok_or(MemoryLimitError);
        }
        let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("", 1)];
        let unit = units.into_iter().find(|(unit, _)| text.ends_with(unit));
        let (unit, scale) = unit.ok_or(MemoryLimitError)?;
        let number: u64 = text
            .strip_suffix(unit)
            .and_then(|number| number.parse().ok())
            .ok_or(MemoryLimitError)?;
        let bytes = number.checked_mul(scale).filter(|bytes| *bytes != 0);
        bytes.map(Self::Bytes).ok_or(MemoryLimitError)
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Watches resident memory until it is dropped, and says in `overload` whether there is too much.
pub(crate) async fn watch(ceiling: u64, overload: Arc<AtomicBool>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Some(resident) = resident() else {
            tracing::warn!("resident memory cannot be read: the memory limit is not kept");
            return;
        };
        let before = overload.load(Ordering::Relaxed);
        let now = is_over(before, resident, ceiling);
        if now != before {
            tracing::warn!(resident, ceiling, refusing = now, "memory limit");
            overload.store(now, Ordering::Relaxed);
        }
    }
}

fn is_over(before: bool, resident: u64, ceiling: u64) -> bool {
    match before {
        true => resident > ceiling / 100 * RELIEF,
        false => resident > ceiling,
    }
}

/// Bytes that this process has in memory (proc(5)).
pub(crate) fn resident() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Bytes that this process could have.
fn available() -> Option<u64> {
    let machine = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:");
    let limits = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limits = limits
        .into_iter()
        .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    limits.chain(machine).min()
}

/// The number of kibibytes on the line that begins with `name`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_bytes_or_a_share() {
        for (text, limit) in [
            ("90%", MemoryLimit::Percent(90)),
            ("512Mi", MemoryLimit::Bytes(512 << 20)),
            ("2Gi", MemoryLimit::Bytes(2 << 30)),
            ("7", MemoryLimit::Bytes(7)),
        ] {
            assert_eq!(text.parse(), Ok(limit));
            assert_eq!(limit.to_string().parse(), Ok(limit));
        }
        for text in ["", "0", "0%", "101%", "-1", "1.5Gi", "1 Gi", "99999999999Gi", "x"] {
            assert_eq!(text.parse::<MemoryLimit>(), Err(MemoryLimitError), "{text}");
        }
    }

    #[test]
    fn this_process_is_smaller_than_the_machine() {
        assert!(resident().unwrap() < available().unwrap());
        assert!(MemoryLimit::default().bytes() < available().unwrap());
    }

    #[test]
    fn requests_are_taken_again_once_there_is_some_room() {
        assert!(!is_over(false, 1000, 1000));
        assert!(is_over(false, 1001, 1000));
        assert!(is_over(true, 951, 1000));
        assert!(!is_over(true, 950, 1000));
    }
}
