//! Reads the log without its entries: for whoever wants few of them, and still stops where it is not the log that
//! was read before.

use nox_contract::{Chain, FrameHead, FrameNumber, subject};

use crate::reader::ReadError;

/// How far the log was read: the number, and the chain where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadReader {
    n: FrameNumber,
    /// `None` until the first frame has said it: whoever begins anywhere has to take its word.
    chain: Option<Chain>,
}

impl HeadReader {
    /// Goes on after message `n`.
    pub fn after(n: FrameNumber) -> Self {
        Self { n, chain: None }
    }

    /// Goes on after message `n`, where the chain was `chain`.
    pub fn behind(n: FrameNumber, chain: Chain) -> Self {
        Self { n, chain: Some(chain) }
    }

    /// The number of the last message read.
    pub fn n(&self) -> FrameNumber {
        self.n
    }

    /// Checks the next message; `None` of the record of a term. On an error the reader has not moved.
    ///
    /// # Errors
    /// It does not follow the one before.
    pub fn read(&mut self, subject: &str, payload: &[u8]) -> Result<Option<FrameHead>, ReadError> {
        let n = self.n.next();
        if subject == subject::EPOCH {
            self.n = n;
            self.chain = self.chain.map(|chain| chain.extend(payload));
            return Ok(None);
        }
        let head = FrameHead::read(payload)
            .map_err(|e| ReadError::Undecodable { after: self.n, reason: e.to_string() })?;
        if head.n != n {
            return Err(ReadError::Gap { expected: n, found: head.n });
        }
        let claimed = Chain::parse(&head.prev);
        let before = match (self.chain, claimed) {
            (None, Some(claimed)) => claimed,
            (Some(expected), Some(claimed)) if expected == claimed => claimed,
            (expected, _) => {
                let expected = expected.unwrap_or(Chain::START);
                return Err(ReadError::ChainBroken { n, expected, claimed: head.prev });
            }
        };
        self.n = n;
        self.chain = Some(before.extend(payload));
        Ok(Some(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(n: u64, prev: Chain) -> Vec<u8> {
        format!(
            r#"{{"n":{n},"epoch":1,"at":"2026-11-21T22:00:00Z","rules":1,"prev":"{prev}","entries":[]}}"#
        )
        .into_bytes()
    }

    #[test]
    fn whoever_begins_in_the_middle_takes_the_first_frames_word_and_checks_all_others() {
        let mut reader = HeadReader::after(FrameNumber(6));
        assert_eq!(reader.read(subject::EPOCH, b"{}"), Ok(None));
        let (first, begun) = (Chain::START.extend(b"somewhere"), reader);
        let eighth = frame(8, first);
        reader.read(subject::FRAMES, &eighth).unwrap();
        let chain = first.extend(&eighth);
        let other = frame(9, first);
        let error = reader.read(subject::FRAMES, &other).unwrap_err();
        assert!(matches!(error, ReadError::ChainBroken { n: FrameNumber(9), .. }), "{error}");
        reader.read(subject::FRAMES, &frame(9, chain)).unwrap();
        assert_eq!(reader.n(), FrameNumber(9));
        let mut reader = begun;
        let error = reader.read(subject::FRAMES, &frame(9, first)).unwrap_err();
        assert!(matches!(error, ReadError::Gap { .. }), "{error}");
        assert_eq!(reader, begun);
    }

    #[test]
    fn the_record_of_a_term_is_in_the_chain_as_well() {
        let mut reader = HeadReader::after(FrameNumber(0));
        let first = frame(1, Chain::START);
        reader.read(subject::FRAMES, &first).unwrap();
        reader.read(subject::EPOCH, b"{}").unwrap();
        let chain = Chain::START.extend(&first);
        assert!(reader.read(subject::FRAMES, &frame(3, chain)).is_err());
        reader.read(subject::FRAMES, &frame(3, chain.extend(b"{}"))).unwrap();
    }
}
