//! Times for people: `3m`, `2d4h`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 by the clock of this machine. The only place where it is read.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How long ago `then` was, as kubectl writes ages.
pub(crate) fn age(then_ms: u64, now_ms: u64) -> String {
    brief(Duration::from_millis(now_ms.saturating_sub(then_ms)))
}

/// A duration in its largest unit, with the next one while that still says something.
pub(crate) fn brief(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let with = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{small_unit}"),
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => with(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => with(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => with(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_get_coarser_as_they_grow() {
        let ages = [0, 119, 120, 125, 601, 10_800, 11_000, 90_000, 180_000, 700_000];
        let printed: Vec<_> = ages.iter().map(|s| brief(Duration::from_secs(*s))).collect();
        assert_eq!(
            printed,
            [
                "0s", "119s", "2m", "2m5s", "10m", "3h", "3h3m", "25h", "2d2h", "8d"
            ]
        );
    }

    #[test]
    fn a_time_in_the_future_of_a_clock_that_lags_is_now() {
        assert_eq!(age(2_000, 1_000), "0s");
    }
}
