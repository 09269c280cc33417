//! Where the feed goes on: behind its own last message.

use nox_contract::{FactPlace, FrameNumber, Position};
use nox_streams::{Broker, FeedEnd, FeedSource};

use crate::{Config, READER, events::end_of};

/// Where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resumed {
    /// The last message of the feed, which the next one is to follow.
    pub(crate) seq: u64,
    /// Everything up to here is in the feed.
    pub(crate) after: FactPlace,
}

/// Why it is not known where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Ask again.
    #[error(transparent)]
    Broker(#[from] nox_streams::Error),
    #[error("another notifier writes the feed: its message {seq} is none of ours")]
    Another { seq: u64 },
    #[error(
        "the feed has had events and has none now, and nobody said within a week how far it was: \
         set NOX_FEED_FROM to the frame that it goes on with"
    )]
    Unknown,
    #[error("cannot go on with the feed: {0}")]
    Unreadable(nox_streams::Error),
}

/// Asks the feed. `written` is the last message that this process has written, if it did.
pub(crate) async fn place(
    broker: &Broker,
    source: &FeedSource,
    config: &Config,
    written: Option<u64>,
) -> Result<Resumed, Error> {
    let end = match broker.feed_end().await {
        Ok(end) => end,
        Err(error @ nox_streams::Error::Unreadable { .. }) => return Err(Error::Unreadable(error)),
        Err(error) => return Err(error.into()),
    };
    let told = match &end.last {
        Some(last) if last.source.log == source.log => None,
        _ => broker.reader_position(READER).await?,
    };
    resume(&end, told, source, config.feed_from, written)
}

/// Without its last message, the feed is where the notifier said that it was; where nobody said anything, it is as
/// configured, or new, or unknown.
///
/// Of two who write, each can find the other's message behind its own: the one that began later goes on, as with
/// webhooks, so that never both end. Clocks of two machines may name either, but both the same.
fn resume(
    end: &FeedEnd,
    told: Option<Position>,
    source: &FeedSource,
    from: Option<u64>,
    written: Option<u64>,
) -> Result<Resumed, Error> {
    let seq = end.seq;
    let last = end.last.as_ref().filter(|last| last.source.log == source.log);
    if let Some(last) = last {
        let is_behind_ours = written.is_some_and(|written| seq > written);
        if is_behind_ours && last.source.writer > source.writer {
            return Err(Error::Another { seq });
        }
        return Ok(Resumed { seq, after: last.place });
    }
    let told = told.filter(|told| told.incarnation == source.log);
    let is_new = seq == 0 || end.last.is_some();
    let n = match (told, from) {
        (Some(told), _) => told.seq,
        (None, Some(from)) => from.saturating_sub(1),
        (None, None) if is_new => 0,
        (None, None) => return Err(Error::Unknown),
    };
    Ok(Resumed { seq, after: end_of(FrameNumber(n)) })
}

#[cfg(test)]
mod tests {
    use nox_contract::Incarnation;
    use nox_streams::FeedLast;

    use super::*;

    fn source(log: &str, writer: &str) -> FeedSource {
        FeedSource { log: Incarnation(log.into()), writer: writer.into() }
    }

    fn place() -> FactPlace {
        FactPlace { n: FrameNumber(7), entry: 1, fact: 2 }
    }

    fn end(seq: u64, of: Option<FeedSource>) -> FeedEnd {
        FeedEnd { seq, last: of.map(|source| FeedLast { source, place: place() }) }
    }

    fn told(log: &str, seq: u64) -> Option<Position> {
        Some((Incarnation(log.into()), seq).into())
    }

    #[test]
    fn the_feeds_last_message_says_where_it_goes_on_whoever_wrote_it_before_us() {
        let me = source("a", "me");
        for (of, written) in [("me", Some(4)), ("me", None), ("before", None), ("before", Some(9))]
        {
            let end = end(9, Some(source("a", of)));
            let resumed = resume(&end, told("a", 90), &me, Some(80), written).unwrap();
            assert_eq!(resumed, Resumed { seq: 9, after: place() });
        }
    }

    #[test]
    fn of_two_who_find_the_others_message_behind_their_own_the_later_one_goes_on() {
        let after = |writer, other| {
            let end = end(9, Some(source("a", other)));
            resume(&end, None, &source("a", writer), None, Some(8))
        };
        let error = after("7-first", "8-second").unwrap_err();
        assert!(matches!(error, Error::Another { seq: 9 }), "{error}");
        assert_eq!(after("8-second", "7-first").unwrap(), Resumed { seq: 9, after: place() });
    }

    #[test]
    fn without_a_last_message_it_is_what_was_told_then_what_is_configured_then_the_beginning() {
        let me = source("a", "me");
        let n = |end: FeedEnd, told, from| {
            resume(&end, told, &me, from, None).map(|resumed| resumed.after)
        };
        let other_log = || end(9, Some(source("b", "x")));
        for end in [end(0, None), end(9, None), other_log()] {
            assert_eq!(n(end.clone(), told("a", 5), Some(80)).unwrap(), end_of(FrameNumber(5)));
            assert_eq!(n(end.clone(), told("b", 5), Some(80)).unwrap(), end_of(FrameNumber(79)));
        }
        for end in [end(0, None), other_log()] {
            assert_eq!(n(end, None, None).unwrap(), end_of(FrameNumber(0)));
        }
        assert!(matches!(n(end(9, None), told("b", 5), None), Err(Error::Unknown)));
    }
}
