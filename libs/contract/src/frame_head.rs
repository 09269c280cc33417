//! The beginning of a frame, read without its entries, which are most of it.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};

use crate::{FrameNumber, Timestamp};

/// What stands first in a [`crate::Frame`]: for whoever follows numbers and chain alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameHead {
    pub n: FrameNumber,
    pub at: Timestamp,
    pub prev: String,
}

impl FrameHead {
    /// Reads a payload up to the last of these members; what is behind it may be anything.
    ///
    /// # Errors
    /// It does not begin as a frame does.
    pub fn read(payload: &[u8]) -> Result<Self, serde_json::Error> {
        let mut found = Members::default();
        let read = serde_json::Deserializer::from_slice(payload).deserialize_map(&mut found);
        match found {
            // Where all were found, that the object goes on is no error.
            Members { n: Some(n), at: Some(at), prev: Some(prev) } => Ok(Self { n, at, prev }),
            _ => Err(read.err().unwrap_or_else(|| Error::custom("no number, instant or chain"))),
        }
    }
}

#[derive(Default)]
struct Members {
    n: Option<FrameNumber>,
    at: Option<Timestamp>,
    prev: Option<String>,
}

impl<'de> Visitor<'de> for &mut Members {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while self.n.is_none() || self.at.is_none() || self.prev.is_none() {
            match members.next_key::<Cow<'de, str>>()?.as_deref() {
                Some("n") => self.n = Some(members.next_value()?),
                Some("at") => self.at = Some(members.next_value()?),
                Some("prev") => self.prev = Some(members.next_value()?),
                Some(_) => drop(members.next_value::<IgnoredAny>()?),
                None => break,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = r#"{"n":7,"epoch":1,"at":"2026-11-21T22:00:00Z","rules":1,"prev":"b3:00","#;

    #[test]
    fn nothing_is_read_behind_what_is_asked_for() {
        let head = FrameHead::read(format!("{FRAME} no JSON").as_bytes()).unwrap();
        assert_eq!((head.n, head.prev.as_str()), (FrameNumber(7), "b3:00"));
        assert_eq!(head.at, "2026-11-21T22:00:00Z".parse().unwrap());
    }

    #[test]
    fn what_does_not_begin_as_a_frame_is_refused() {
        for member in [r#""n":7,"#, r#""at":"2026-11-21T22:00:00Z","#, r#""prev":"b3:00","#] {
            let other = FRAME.replace(member, "") + r#""entries":[]}"#;
            assert!(other.len() < FRAME.len() + 13, "the member is there to be left out");
            FrameHead::read(other.as_bytes()).unwrap_err();
        }
        for other in ["", "7", "{", r#"{"n":-1}"#] {
            FrameHead::read(other.as_bytes()).unwrap_err();
        }
    }
}
