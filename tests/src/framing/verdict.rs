//! Whether what was seen of a case is right.

use super::canonical::Violation;
use super::case::{Case, Expect};
use super::recorder::Arrival;
use super::recorder::MARK;

/// What was seen of a case.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// All bytes that the client got.
    pub answer: Vec<u8>,
    /// Whether the proxy ended the connection.
    pub closed: bool,
    /// What reached the upstream, without the probe.
    pub arrivals: Vec<Arrival>,
    /// Whether the probe got its own answer, and arrived once.
    pub probe: bool,
}

/// What is wrong with an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Somebody else's answer, or none.
    #[error("the probe did not get its own answer")]
    Probe,
    /// The upstream cannot be sure what it got.
    #[error("not canonical upstream: {0}")]
    NotCanonical(Violation),
    /// Answers went missing, or came twice.
    #[error("{answers} answers to {arrivals} requests, {whole} of them whole")]
    Answers {
        /// Of the upstream.
        answers: usize,
        /// Requests that reached it, whole or not.
        arrivals: usize,
        /// Those that did so whole.
        whole: usize,
    },
    /// A request that is to be refused was seen upstream.
    #[error("it reached the upstream")]
    Reached,
    /// It is to be refused, and the client was not told.
    #[error("status {0:?}, and it is to be refused")]
    NotRefused(Option<u16>),
    /// What follows on the connection may mean anything.
    #[error("the connection was left open")]
    LeftOpen,
    /// It is to arrive.
    #[error("it arrived {0} times instead of once")]
    NotOnce(usize),
    /// It is to arrive whole and unchanged.
    #[error("another body arrived")]
    Body,
}

impl Outcome {
    /// Status of the first answer.
    pub fn status(&self) -> Option<u16> {
        let code = self.answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
        str::from_utf8(code).ok()?.parse().ok()
    }

    /// Answers that are the upstream's.
    pub(super) fn answers(&self) -> usize {
        let mark = format!("\r\n{MARK}: ");
        self.answer
            .windows(mark.len())
            .filter(|window| *window == mark.as_bytes())
            .count()
    }

    /// Everything that is wrong.
    pub fn faults(&self, case: &Case) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !self.probe {
            faults.push(Fault::Probe);
        }
        let violations = self.arrivals.iter().filter_map(|arrival| arrival.violation);
        faults.extend(violations.map(Fault::NotCanonical));
        let (answers, arrivals) = (self.answers(), self.arrivals.len());
        let whole = self.arrivals.iter().filter(|arrival| arrival.whole).count();
        if answers < whole || answers > arrivals {
            faults.push(Fault::Answers {
                answers,
                arrivals,
                whole,
            });
        }
        match case.expected() {
            Expect::Either => {}
            Expect::Reject => faults.extend(self.not_refused()),
            Expect::Abort => faults.extend(self.not_aborted(whole)),
            Expect::Forward => faults.extend(self.not_forwarded(case)),
        }
        faults
    }

    fn not_refused(&self) -> Option<Fault> {
        if !self.arrivals.is_empty() {
            return Some(Fault::Reached);
        }
        match self.status() {
            Some(400..=599) if self.closed => None,
            Some(400..=599) => Some(Fault::LeftOpen),
            other => Some(Fault::NotRefused(other)),
        }
    }

    fn not_aborted(&self, whole: usize) -> Option<Fault> {
        match self.status() {
            _ if whole > 0 => Some(Fault::Reached),
            None | Some(400..=599) if self.closed => None,
            None | Some(400..=599) => Some(Fault::LeftOpen),
            other => Some(Fault::NotRefused(other)),
        }
    }

    fn not_forwarded(&self, case: &Case) -> Option<Fault> {
        let ([arrival], 1) = (&*self.arrivals, self.answers()) else {
            return Some(Fault::NotOnce(self.arrivals.len()));
        };
        let expected = case.body.as_ref()?.as_bytes();
        let request = arrival.request.as_ref().filter(|_| arrival.whole);
        let right = request.is_some_and(|request| request.body == expected);
        (!right).then_some(Fault::Body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(expect: &str) -> Case {
        serde_json::from_str(&format!(r#"{{"id": "a", "raw": "", "expect": "{expect}"}}"#)).unwrap()
    }

    fn outcome(answer: &str, whole: &[bool]) -> Outcome {
        let arrival = |whole: &bool| Arrival {
            whole: *whole,
            ..Arrival::default()
        };
        Outcome {
            answer: answer.as_bytes().to_vec(),
            arrivals: whole.iter().map(arrival).collect(),
            closed: true,
            probe: true,
        }
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nx-recorded: yes\r\n\r\n";
    const BAD: &str = "HTTP/1.1 400 Bad Request\r\n\r\n";

    #[test]
    fn what_is_to_be_refused_must_not_be_seen_upstream() {
        let refuse = case("reject");
        assert_eq!(outcome(BAD, &[]).faults(&refuse), []);
        assert_eq!(outcome(BAD, &[false]).faults(&refuse), [Fault::Reached]);
        assert_eq!(outcome("", &[]).faults(&refuse), [Fault::NotRefused(None)]);
        let open = Outcome {
            closed: false,
            ..outcome(BAD, &[])
        };
        assert_eq!(open.faults(&refuse), [Fault::LeftOpen]);
    }

    #[test]
    fn a_broken_body_may_begin_to_arrive_but_not_end() {
        let abort = case("abort");
        assert_eq!(outcome(BAD, &[]).faults(&abort), []);
        assert_eq!(outcome("", &[false]).faults(&abort), []);
        assert!(outcome(BAD, &[true]).faults(&abort).contains(&Fault::Reached));
        assert_eq!(
            outcome(OK, &[false]).faults(&abort),
            [Fault::NotRefused(Some(200))]
        );
    }

    #[test]
    fn what_is_to_be_forwarded_arrives_once_and_is_answered() {
        let forward = case("forward");
        assert_eq!(outcome(OK, &[true]).faults(&forward), []);
        assert_eq!(outcome(BAD, &[]).faults(&forward), [Fault::NotOnce(0)]);
        let twice = outcome(&[OK, OK].concat(), &[true, true]);
        assert_eq!(twice.faults(&forward), [Fault::NotOnce(2)]);
    }

    #[test]
    fn each_whole_request_has_one_answer() {
        let either = case("either");
        assert_eq!(outcome(BAD, &[]).faults(&either), []);
        assert_eq!(outcome(BAD, &[false]).faults(&either), []);
        assert!(!outcome(OK, &[true, true]).faults(&either).is_empty());
        assert!(!outcome(&[OK, OK].concat(), &[true]).faults(&either).is_empty());
    }

    #[test]
    fn another_ones_answer_fails_every_case() {
        let mut outcome = outcome(BAD, &[]);
        outcome.probe = false;
        assert_eq!(outcome.faults(&case("either")), [Fault::Probe]);
    }
}
