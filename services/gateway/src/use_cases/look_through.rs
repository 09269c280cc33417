//! Looking through the log itself for what is in no row: frame by frame, from either end, so many for each page.

use std::str::FromStr;

use nox_contract::{EpochRecord, FactPlace, FrameHead, FrameNumber, ProblemCode, Timestamp};

use crate::{
    app::App,
    problem::{ApiError, FieldError},
    read::bulk::{Place, RowsLog},
};

/// Frames that are looked through for a page: it ends there, be it empty, and its reader goes on.
const FRAMES_MAX: usize = 300;

/// What is looked for, and where.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Where the page before ended.
    pub cursor: Option<FactPlace>,
    pub limit: usize,
    pub oldest_first: bool,
    /// Nothing that was decided before, or at or after.
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// These frames alone, in their order.
    pub frames: Option<Vec<FrameNumber>>,
}

/// A page.
#[derive(Debug)]
pub struct Found<T> {
    pub rows: Vec<T>,
    /// Where the next page begins, which may have some even where this one has none; `None` at the log's end.
    pub next: Option<FactPlace>,
}

/// Looks through the log. `take` finds what there is in a message, each with its place, in order.
///
/// # Errors
/// The log does not have a place any more, a message is not as it should be, or something is away.
pub async fn look_through<T>(
    app: &App,
    asked: &Asked,
    take: impl Fn(FrameNumber, &[u8]) -> serde_json::Result<Vec<(FactPlace, T)>>,
) -> Result<Found<T>, ApiError> {
    let place = app.bulk.place().await?;
    let (log, newest) = app.bulk.log_now().await?;
    let look = Look { app, place, log, newest };
    let mut first = FrameNumber(1);
    let mut last = newest;
    if let Some(since) = asked.since {
        first = look.first_at(since).await?;
    }
    if let Some(until) = asked.until {
        last = FrameNumber(look.first_at(until).await?.0 - 1);
    }
    match asked.cursor {
        Some(cursor) if asked.oldest_first => first = first.max(cursor.n),
        Some(cursor) => last = last.min(cursor.n),
        None => {}
    }
    let most = FRAMES_MAX as u64;
    let mut numbers: Vec<_> = match &asked.frames {
        Some(named) => named.iter().copied().filter(|n| (first..=last).contains(n)).collect(),
        // One more than is looked through.
        None if asked.oldest_first => {
            (first.0..=last.0.min(first.0.saturating_add(most))).map(FrameNumber).collect()
        }
        None => (first.0.max(last.0.saturating_sub(most))..=last.0).map(FrameNumber).collect(),
    };
    if !asked.oldest_first {
        numbers.reverse();
    }
    let mut rows = Vec::new();
    let mut at = asked.cursor;
    for (looked, n) in numbers.iter().enumerate() {
        if looked == FRAMES_MAX {
            return Ok(Found { rows, next: at });
        }
        let mut found = match look.read(*n, |payload| take(*n, payload)).await {
            Ok(found) => found,
            // Whoever asks for what follows is told why it is not there.
            Err(error) if !rows.is_empty() && error.code() == ProblemCode::PlaceGone => {
                return Ok(Found { rows, next: at });
            }
            Err(error) => return Err(error),
        };
        if !asked.oldest_first {
            found.reverse();
        }
        for (id, row) in found {
            let is_new = asked.cursor.is_none_or(|cursor| match asked.oldest_first {
                true => id > cursor,
                false => id < cursor,
            });
            if !is_new {
                continue;
            }
            if rows.len() == asked.limit {
                return Ok(Found { rows, next: at });
            }
            at = Some(id);
            rows.push(row);
        }
        at = Some(match asked.oldest_first {
            true => FactPlace { n: *n, entry: u32::MAX, fact: u32::MAX },
            false => FactPlace { n: *n, entry: 0, fact: 0 },
        });
    }
    Ok(Found { rows, next: None })
}

/// The log while it is looked through.
struct Look<'a> {
    app: &'a App,
    place: Place,
    log: RowsLog,
    newest: FrameNumber,
}

impl Look<'_> {
    async fn read<T>(
        &self,
        n: FrameNumber,
        take: impl FnOnce(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T, ApiError> {
        let taken = self.app.bulk.frame_at(&self.place, &self.log, n, take).await?;
        taken.map_err(super::entries::unreadable)
    }

    /// The first message that was written at `at` or later; behind the newest if none was. Instants never go back.
    async fn first_at(&self, at: Timestamp) -> Result<FrameNumber, ApiError> {
        let (mut low, mut high) = (1, self.newest.0 + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let is_before = match self.read(FrameNumber(middle), instant).await {
                Ok(instant) => instant < at,
                // What is gone is the oldest.
                Err(error) if error.code() == ProblemCode::PlaceGone => true,
                Err(error) => return Err(error),
            };
            if is_before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(FrameNumber(low))
    }
}

/// When a message of the log was decided.
pub fn instant(payload: &[u8]) -> serde_json::Result<Timestamp> {
    match FrameHead::read(payload) {
        Ok(head) => Ok(head.at),
        Err(error) => serde_json::from_slice::<EpochRecord>(payload).map(|of| of.at).or(Err(error)),
    }
}

/// What an instant must be.
pub const INSTANT: &str = "must be an instant, such as 2026-11-21T22:00:00Z";

/// Whether a query asks for the oldest first; what is wrong is added to `errors`.
pub fn sort(text: Option<&str>, errors: &mut Vec<FieldError>) -> bool {
    match text {
        None | Some("") => false,
        Some("at") => true,
        Some(_) => {
            errors.push(FieldError::new("?sort", "must be at"));
            false
        }
    }
}

/// A parameter of a query, if it is given; what is wrong with it is added to `errors`.
pub fn parsed<T: FromStr>(
    name: &'static str,
    text: Option<String>,
    what: &'static str,
    errors: &mut Vec<FieldError>,
) -> Option<T> {
    let text = text.filter(|text| !text.is_empty())?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        errors.push(FieldError::new(name, what));
    }
    parsed
}
