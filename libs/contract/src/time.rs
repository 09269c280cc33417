//! Instants as the log records them.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{
    SignedDuration,
    civil::{Date, DateTime, Time, date},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
/// [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0001-01-01T00:00:00Z: RFC 3339 begins with the year 0000, which Postgres does not have.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// 9999-12-31T23:59:59.999999Z, the last microsecond that RFC 3339 has.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// From microseconds since 1970-01-01T00:00:00Z; an instant out of range becomes the nearest
    /// in it.
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::MIN.0 {
            return Self::MIN;
        }
        if micros > Self::MAX.0 {
            return Self::MAX;
        }
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The span since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// The start of the UTC day that this instant lies in.
    pub const fn start_of_day(self) -> Self {
        Self(self.0 - self.0.rem_euclid(86_400_000_000))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_sub(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = SignedDuration::from_micros(self.0);
        let utc = EPOCH.checked_add(since).map_err(|_| fmt::Error)?;
        write!(f, "{utc}Z")
    }
}

impl FromStr for Timestamp {
    type Err = NoInstant;

    /// Reads RFC 3339, and nothing beside it: no zone in brackets, which could contradict the offset;
    /// no leap second, which wall time does not have. Digits beyond microseconds are cut off.
    fn from_str(text: &str) -> Result<Self, NoInstant> {
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        let utc = reader.instant()?;
        let in_range = (Self::MIN.0..=Self::MAX.0).contains(&utc);
        in_range
            .then_some(Self(utc))
            .ok_or(NoInstant { at: 1, why: "in UTC, this is before 0001 or after 9999" })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

const MICROS: i64 = 1_000_000;

/// Why a text is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no RFC 3339 instant such as 2026-12-01T06:00:00Z: from character {at} on, {why}")]
pub struct NoInstant {
    /// Counted from 1.
    at: usize,
    why: &'static str,
}

/// Reads a text from the left.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Microseconds since 1970.
    fn instant(&mut self) -> Result<i64, NoInstant> {
        let day_at = self.at;
        let year = self.number(4, 1, 9999, "a year from 0001 to 9999 is expected")? as i16;
        self.one_of(b"-", "a - is expected")?;
        let month = self.number(2, 1, 12, "a month from 01 to 12 is expected")? as i8;
        self.one_of(b"-", "a - is expected")?;
        let day = self.number(2, 1, 31, "a day from 01 to 31 is expected")? as i8;
        let date = Date::new(year, month, day)
            .map_err(|_| NoInstant { at: day_at + 1, why: "there is no such day" })?;
        self.one_of(b"Tt", "a T is expected")?;
        let hour = self.number(2, 0, 23, "an hour from 00 to 23 is expected")? as i8;
        self.one_of(b":", "a : is expected")?;
        let minute = self.number(2, 0, 59, "a minute from 00 to 59 is expected")? as i8;
        self.one_of(b":", "a : is expected")?;
        let second = self.number(2, 0, 59, "a second from 00 to 59 is expected")? as i8;
        let micros = self.fraction()?;
        let offset = self.offset()?;
        if self.at < self.text.len() {
            return Err(self.error("the end is expected"));
        }
        let local = date.to_datetime(Time::constant(hour, minute, second, 0));
        Ok(local.duration_since(EPOCH).as_secs() * MICROS + micros - offset * MICROS)
    }

    /// Microseconds within the second.
    fn fraction(&mut self) -> Result<i64, NoInstant> {
        if self.peek() != Some(b'.') {
            return Ok(0);
        }
        self.at += 1;
        let mut micros = self.number(1, 0, 9, "a digit is expected")? * (MICROS / 10);
        let mut worth = MICROS / 100;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            micros += i64::from(digit - b'0') * worth;
            worth /= 10;
            self.at += 1;
        }
        Ok(micros)
    }

    /// Seconds by which local time is ahead of UTC.
    fn offset(&mut self) -> Result<i64, NoInstant> {
        let sign = match self.one_of(b"Zz+-", "Z or an offset such as +02:00 is expected")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Ok(0),
        };
        let hours = self.number(2, 0, 23, "an offset's hours from 00 to 23 are expected")?;
        self.one_of(b":", "a : is expected")?;
        let minutes = self.number(2, 0, 59, "an offset's minutes from 00 to 59 are expected")?;
        Ok(sign * (hours * 3_600 + minutes * 60))
    }

    fn number(
        &mut self,
        digits: usize,
        min: i64,
        max: i64,
        why: &'static str,
    ) -> Result<i64, NoInstant> {
        let digits = self.text.get(self.at..self.at + digits).unwrap_or_default();
        let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let number = digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit & 0xf));
        if !all || !(min..=max).contains(&number) {
            return Err(self.error(why));
        }
        self.at += digits.len();
        Ok(number)
    }

    fn one_of(&mut self, expected: &[u8], why: &'static str) -> Result<u8, NoInstant> {
        match self.peek() {
            Some(byte) if expected.contains(&byte) => {
                self.at += 1;
                Ok(byte)
            }
            _ => Err(self.error(why)),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn error(&self, why: &'static str) -> NoInstant {
        NoInstant { at: self.at + 1, why }
    }
}
