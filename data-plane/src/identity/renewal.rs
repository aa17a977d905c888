//! Another certificate before the one that is held has run out.

use std::{sync::Arc, time::Duration};

use sluice_proto::v1::{RenewRequest, enrolment_client::EnrolmentClient};
use tokio::time::{sleep, timeout};

use super::{
    channel,
    credentials::{ConnectError, Credentials, Held},
    join::request,
    stored::Usable,
};
use crate::{clock::WallClock, worker::Random};

/// Longest sleep: the wall clock may be set meanwhile.
const LONGEST: Duration = Duration::from_secs(60);
/// Shortest pause after a failure.
const SHORTEST: Duration = Duration::from_millis(250);
/// Longest time for one attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// Renews the certificate in time, with any of the control planes, for as long as the proxy runs.
pub(crate) async fn renew(credentials: Credentials, control: Vec<String>) {
    let random = Random::seeded();
    let mut held = credentials.watch();
    loop {
        let current = Arc::clone(&held.borrow_and_update());
        // A fleet that joined together does not renew together.
        let part = random.next() as f64 / u64::MAX as f64;
        let changed = tokio::select! {
            changed = held.changed() => changed,
            () = replace(&credentials, &current, &control, part) => held.changed().await,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Gets another certificate in the place of this one when it is time. Ends when that is done, or
/// cannot be done any more.
async fn replace(credentials: &Credentials, held: &Held, control: &[String], part: f64) {
    let usable = held.usable.as_ref();
    while let Some(pause) = pause(usable, part, WallClock::read().since_epoch()) {
        if !pause.is_zero() {
            sleep(pause).await;
            continue;
        }
        let Err(error) = attempt(credentials, held, control).await else {
            return;
        };
        tracing::warn!(%error, "the certificate is not renewed yet");
        let wait = retry(usable, WallClock::read().since_epoch());
        sleep(wait.mul_f64(1.0 - part / 2.0)).await;
    }
}

/// How long to wait before the next look: nothing when it is time, `None` when time is over, or was
/// never there.
fn pause(usable: Option<&Usable>, part: f64, now: Duration) -> Option<Duration> {
    let usable = usable.filter(|usable| now < usable.not_after)?;
    // Up to a tenth of its time earlier: a third of it is left after `renew_by`.
    let third = usable.not_after.saturating_sub(usable.renew_by);
    let due = usable.renew_by.saturating_sub(third.mul_f64(part * 0.3));
    Some(due.saturating_sub(now).min(LONGEST))
}

/// A tenth of what is left, so that there are several attempts and no storm of them.
fn retry(usable: Option<&Usable>, now: Duration) -> Duration {
    let left = usable.map_or(LONGEST, |usable| usable.not_after.saturating_sub(now));
    (left / 10).clamp(SHORTEST, LONGEST)
}

/// Asks one control plane after the other.
async fn attempt(credentials: &Credentials, held: &Held, control: &[String]) -> Result<(), ConnectError> {
    let mut last = Err(ConnectError::Expired);
    for address in control {
        let Some(usable) = credentials.valid() else {
            return Err(ConnectError::Expired);
        };
        last = match timeout(PATIENCE, ask(credentials, held, &usable, address)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ConnectError::Refused(Box::new(tonic::Status::deadline_exceeded(
                "no answer",
            )))),
        };
    }
    last
}

async fn ask(
    credentials: &Credentials,
    held: &Held,
    usable: &Usable,
    address: &str,
) -> Result<(), ConnectError> {
    let channel = channel::connect(address, Some(Arc::clone(&usable.tls))).await?;
    let key = &held.stored.key;
    let request = RenewRequest {
        request: request(key)?,
    };
    let answer = EnrolmentClient::new(channel).renew(request).await;
    let enrolled = answer.map_err(|status| ConnectError::Refused(status.into()))?;
    let now = WallClock::read().since_epoch();
    let renewed = credentials.change(|stored| {
        // Joined anew meanwhile: that certificate is newer, and another key's.
        if stored.key == *key {
            stored.receive(enrolled.into_inner(), now);
        }
        Ok(())
    });
    renewed.await?;
    tracing::info!(address, "certificate renewed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usable() -> Usable {
        let nobody = sluice_tls::client_config(sluice_tls::Trust::default(), vec![], None, b"h2");
        Usable {
            tls: Arc::new(nobody.unwrap()),
            renew_by: Duration::from_secs(1_000 + 57_600),
            not_after: Duration::from_secs(1_000 + 86_400),
        }
    }

    #[test]
    fn a_certificate_is_renewed_before_two_thirds_of_its_time_and_not_when_that_is_over() {
        let usable = usable();
        let at = |part, now| pause(Some(&usable), part, Duration::from_secs(now));
        assert_eq!(at(0.0, 1_000), Some(LONGEST), "the clock is looked at in between");
        assert_eq!(at(0.0, 58_599), Some(Duration::from_secs(1)));
        assert_eq!(at(0.0, 58_600), Some(Duration::ZERO));
        assert_eq!(
            at(1.0, 49_960),
            Some(Duration::ZERO),
            "a tenth of the time earlier"
        );
        assert_eq!(at(1.0, 49_959), Some(Duration::from_secs(1)));
        assert_eq!(at(0.5, 87_400), None);
        assert_eq!(pause(None, 0.5, Duration::ZERO), None);
    }

    #[test]
    fn attempts_come_closer_as_time_runs_out() {
        let usable = usable();
        let at = |now| retry(Some(&usable), Duration::from_secs(now)).as_millis();
        assert_eq!(
            [at(58_600), at(87_300), at(87_399), at(90_000)],
            [60_000, 10_000, 250, 250]
        );
    }
}
