//! Folds the log up to a place, from its beginning or from a fold that was kept.

use nox_contract::{Chain, FrameNumber, Timestamp};
use nox_core::{ApplyError, State};

use crate::{ReadError, Reader, Record};

/// Why it is folded no further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// The state behind a message of the log, and how the log goes on from there.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    state: State,
    reader: Reader,
}

impl Fold {
    /// Goes on from a fold that was kept, behind whose last message the chain is `chain`.
    pub fn from_snapshot(mut state: State, chain: Chain) -> Self {
        state.reindex();
        let reader = Reader::new(state.n, chain, state.pos);
        Self { state, reader }
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// The last message that was folded; 0 before the first.
    pub fn n(&self) -> FrameNumber {
        self.reader.n()
    }

    pub fn chain(&self) -> Chain {
        self.reader.chain()
    }

    /// Folds the next message in, unless it was decided behind `up_to`: then it is as before, and says so.
    ///
    /// # Errors
    /// The message does not follow; the fold is worth nothing then.
    pub fn take(
        &mut self,
        subject: &str,
        payload: &[u8],
        up_to: Option<Timestamp>,
    ) -> Result<bool, FoldError> {
        let mut reader = self.reader;
        let record = reader.read(subject, payload)?;
        let at = match &record {
            Record::Frame(frame) => frame.at,
            Record::Epoch(record) => record.at,
        };
        if up_to.is_some_and(|up_to| at > up_to) {
            return Ok(false);
        }
        match record {
            Record::Frame(frame) => self.state.apply(&frame)?,
            Record::Epoch(record) => self.state.apply_epoch(reader.n(), &record)?,
        }
        self.reader = reader;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use nox_core::Faults;

    use super::*;
    use crate::fixtures::{Recording, second};
    use nox_contract::subject;

    /// The messages of a small log.
    fn messages() -> Vec<(&'static str, Vec<u8>)> {
        let log = Recording::story(Faults::default());
        let epoch = (subject::EPOCH, serde_json::to_vec(&log.epoch).unwrap());
        let frames =
            log.frames.iter().map(|frame| (subject::FRAMES, serde_json::to_vec(frame).unwrap()));
        [epoch].into_iter().chain(frames).collect()
    }

    fn whole() -> Fold {
        let mut fold = Fold::default();
        for (subject, payload) in messages() {
            assert!(fold.take(subject, &payload, None).unwrap());
        }
        fold
    }

    #[test]
    fn a_fold_that_was_kept_goes_on_as_if_it_had_never_been() {
        let (messages, whole) = (messages(), whole());
        for kept in 0..messages.len() {
            let mut fold = Fold::default();
            for (subject, payload) in &messages[..kept] {
                fold.take(subject, payload, None).unwrap();
            }
            let text = serde_json::to_vec(&fold.state().to_snapshot()).unwrap();
            let mut again =
                Fold::from_snapshot(serde_json::from_slice(&text).unwrap(), fold.chain());
            for (subject, payload) in &messages[kept..] {
                again.take(subject, payload, None).unwrap();
            }
            assert_eq!(again.state(), whole.state(), "{kept}");
            assert_eq!((again.n(), again.chain()), (whole.n(), whole.chain()));
        }
    }

    #[test]
    fn it_ends_before_what_was_decided_later() {
        let mut fold = Fold::default();
        let mut ended = false;
        for (subject, payload) in messages() {
            ended |= !fold.take(subject, &payload, Some(second(3))).unwrap();
            if ended {
                break;
            }
        }
        assert!(ended && fold.state().at == second(3), "{:?}", fold.state().at);
    }

    #[test]
    fn a_fold_of_another_log_is_noticed_by_the_next_message() {
        let messages = messages();
        let mut fold = Fold::default();
        for (subject, payload) in &messages[..3] {
            fold.take(subject, payload, None).unwrap();
        }
        let mut other = Fold::from_snapshot(fold.state().to_snapshot(), Chain::START);
        let (subject, payload) = &messages[3];
        let error = other.take(subject, payload, None).unwrap_err();
        assert!(matches!(error, FoldError::Read(ReadError::ChainBroken { .. })), "{error}");
    }
}
