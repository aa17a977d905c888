//! A replay as people read it on a terminal.

use std::fmt::Write as _;

use super::reading::{Class, Reading};

pub(super) fn of(reading: &Reading) -> String {
    let mut text = format!("{}\n", reading.headline);
    for part in &reading.parts {
        let _ = writeln!(text, "{part}");
    }
    for (index, found) in reading.classes.iter().enumerate() {
        class(&mut text, index + 1, found);
    }
    if reading.omitted > 0 {
        let _ = writeln!(
            text,
            "\n{} more are not shown; -o json has more.",
            reading.omitted
        );
    }
    for note in &reading.notes {
        let _ = writeln!(text, "\n{note}");
    }
    text
}

fn class(text: &mut String, number: usize, found: &Class) {
    let _ = writeln!(text, "\n{number}. {}: {}", found.what, found.requests);
    for (index, example) in found.examples.iter().enumerate() {
        let name = if index == 0 { "for" } else { "" };
        let _ = writeln!(text, "   {name:<7} {example}");
    }
    let _ = writeln!(text, "   before  {}", found.before);
    let _ = writeln!(text, "   after   {}", found.after);
    for detail in &found.details {
        let _ = writeln!(text, "           {detail}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::reading::tests::sample;
    use super::*;

    #[test]
    fn a_replay_says_which_part_of_the_requests_changes_and_shows_some() {
        assert_eq!(
            of(&Reading::of(&sample())),
            "0.13 % of 1,204,300 requests change target.\n\
             less than 0.01 % change status.\n\
             \n\
             1. status: 12 requests (less than 0.01 %)\n\
             \x20  for     GET http://a.x/old (12 requests)\n\
             \x20  before  default/web 100 %\n\
             \x20  after   404\n\
             \n\
             2. redirect: 1,554 requests (0.13 %)\n\
             \x20  for     GET http://a.x/b?c=|d| (1 request)\n\
             \x20  before  default/web 100 %\n\
             \x20  after   301 to http://a.x/e\n\
             \n\
             Not read: 2 of 1,204,340 lines: a.log:7: has no request line\n\
             \n\
             Not counted: 1 request that no proxy would have routed: GET a.x /%zz: no escape\n\
             \n\
             Not judged: 31 requests: a rule asks for a header of which only a hash is known, or not even that (x-user: 31)\n\
             \n\
             Judged as if they had not had what rules on their path ask for and the log does not have: 2,001 requests (the query: 1, x-beta: 2,000)\n"
        );
    }
}
