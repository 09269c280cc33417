//! When schedules are due: cron expressions in a time zone.
//!
//! The expressions are `croner`'s: five fields with names, ranges, lists and steps, `L`, `W` and `#`, and words such as
//! `@daily`. Where a zone's clocks change it goes by Vixie's rule: what is due at a time of day that is skipped is
//! due once, at the first instant behind the gap; what is due at one that comes twice is due once, at its first
//! time. Where the minute or the hour is a `*` or a step, what is due goes by the time that passes: nothing in a gap,
//! and every time in the hour that comes twice.
//!
//! The zones are compiled in. Their rules change, so what is computed here belongs into inputs and facts, and is not
//! to be computed again by whoever reads them.

use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Zoned, tz::TimeZone};
use nox_contract::Timestamp;

/// Longest expression and longest name of a zone, in bytes.
pub const CRON_BYTES_MAX: usize = 256;
pub const TIME_ZONE_BYTES_MAX: usize = 64;

/// When something is due.
#[derive(Debug, Clone)]
pub struct Calendar {
    cron: Cron,
    zone: TimeZone,
}

/// Why there is no such calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCalendar {
    #[error("is no cron expression of five fields: {0}")]
    Cron(String),
    #[error(
        "there is no time zone of that name; they are as IANA names them, such as Europe/Berlin"
    )]
    TimeZone,
}

impl Calendar {
    /// # Errors
    /// The expression or the zone is none.
    pub fn new(cron: &str, time_zone: &str) -> Result<Self, NoCalendar> {
        if cron.len() > CRON_BYTES_MAX {
            return Err(NoCalendar::Cron(format!("longer than {CRON_BYTES_MAX} bytes")));
        }
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron =
            parser.parse(cron).map_err(|error: CronError| NoCalendar::Cron(error.to_string()))?;
        if time_zone.len() > TIME_ZONE_BYTES_MAX {
            return Err(NoCalendar::TimeZone);
        }
        let zone = jiff::tz::db().get(time_zone).map_err(|_| NoCalendar::TimeZone)?;
        Ok(Self { cron, zone })
    }

    /// The first instant after `after` at which it is due; `None` if it never is again.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&self.zoned(after)?, false).ok()?;
        instant(&next).filter(|next| *next > after)
    }

    /// The last instant from `from` to `until` at which it is due, where it is at `from`.
    pub fn latest(&self, from: Timestamp, until: Timestamp) -> Timestamp {
        let found = self
            .zoned(until)
            .and_then(|until| self.cron.find_previous_occurrence(&until, true).ok())
            .and_then(|found| instant(&found));
        found.filter(|found| (from..=until).contains(found)).unwrap_or(from)
    }

    fn zoned(&self, at: Timestamp) -> Option<Zoned> {
        let at = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        Some(at.to_zoned(self.zone.clone()))
    }
}

fn instant(zoned: &Zoned) -> Option<Timestamp> {
    let at = Timestamp::from_micros(zoned.timestamp().as_microsecond());
    (at < Timestamp::MAX).then_some(at)
}
