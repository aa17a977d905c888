//! The one place that waits by polling, and what is made of times that were waited for.

use std::time::{Duration, Instant};

/// Pause between two attempts. Short, so that what is measured by waiting is not rounded up.
const PAUSE: Duration = Duration::from_millis(10);

/// Runs `attempt` until it succeeds, at most for `within`.
///
/// # Errors
/// The last error of `attempt`, with `what` and the time that was given.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut attempt: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() >= within => {
                return Err(error.context(format!("{what}: not within {within:?}")));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The middle one of several times: what is usual, whatever the machine did meanwhile in one of them. Of none it
/// is zero.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_the_first_success() {
        let mut attempts = 0;
        let third = eventually("third attempt", Duration::from_secs(10), async || {
            attempts += 1;
            anyhow::ensure!(attempts == 3, "attempt {attempts}");
            Ok(attempts)
        });
        assert_eq!(third.await.unwrap(), 3);
    }

    #[test]
    fn one_time_out_of_line_moves_no_median() {
        let times = [2, 900, 1].map(Duration::from_millis);
        assert_eq!(median(times.to_vec()), Duration::from_millis(2));
    }

    #[tokio::test]
    async fn gives_up_with_the_last_error() {
        let never = eventually("never", Duration::from_millis(1), async || {
            Err::<(), _>(anyhow::anyhow!("still away"))
        });
        let message = format!("{:#}", never.await.unwrap_err());
        assert_eq!(message, "never: not within 1ms: still away");
    }
}
