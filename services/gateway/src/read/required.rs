//! What a snapshot of the rows has to have taken in before it is an answer.

use nox_contract::{FrameNumber, Position};
use nox_readmodel::Progress;

/// Nothing, unless said so. Positions in two lives of a stream are not comparable: then it is never met.
#[derive(Debug, Clone, Default)]
pub struct Required {
    /// The frame that a reader has heard of.
    pub n: Option<FrameNumber>,
    pub commands: Option<Position>,
    pub reports: Option<Position>,
}

impl Required {
    pub fn frame(n: Option<FrameNumber>) -> Self {
        Self { n, ..Self::default() }
    }

    pub fn is_met(&self, at: &Progress) -> bool {
        self.n.is_none_or(|n| at.n >= n)
            && self.commands.as_ref().is_none_or(|wanted| at.commands.reaches(wanted))
            && self.reports.as_ref().is_none_or(|wanted| at.reports.reaches(wanted))
    }

    /// What of it is missing, for the asker.
    pub fn missing(&self, at: &Progress) -> String {
        let input = |name: &str, wanted: &Position, at: &Position| {
            if wanted.incarnation == at.incarnation {
                return format!("{name} {} is not in it yet", wanted.seq);
            }
            format!(
                "the stream of {name}s is another one now, and the scheduler has not taken it up"
            )
        };
        if let Some(n) = self.n.filter(|n| at.n < *n) {
            return format!("frame {n} is not in it yet");
        }
        match (&self.commands, &self.reports) {
            (Some(wanted), _) if !at.commands.reaches(wanted) => {
                input("command", wanted, &at.commands)
            }
            (_, Some(wanted)) if !at.reports.reaches(wanted) => {
                input("report", wanted, &at.reports)
            }
            _ => "it was further when it was read last".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::Incarnation;

    use super::*;

    fn position(incarnation: &str, seq: u64) -> Position {
        Position { incarnation: Incarnation(incarnation.to_owned()), seq }
    }

    #[test]
    fn a_large_number_in_a_stream_that_is_gone_says_nothing_of_the_one_that_is_there() {
        let at = Progress { commands: position("old", 1_000), ..Progress::default() };
        let wanted = |commands| Required { commands: Some(commands), ..Required::default() };
        assert!(wanted(position("old", 1_000)).is_met(&at));
        assert!(!wanted(position("old", 1_001)).is_met(&at));
        for seq in [0, 1, 1_000, 2_000] {
            let wanted = wanted(position("new", seq));
            assert!(!wanted.is_met(&at), "{seq}");
            assert!(wanted.missing(&at).contains("another one"));
        }
    }
}
