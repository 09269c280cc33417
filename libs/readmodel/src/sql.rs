//! How our types look to Postgres.

use nox_contract::{FrameNumber, Timestamp};
use serde::Serialize;
use sqlx::{
    Postgres,
    encode::{Encode, IsNull},
    error::BoxDynError,
    postgres::{
        PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef, types::Oid,
    },
};

/// Microseconds from 1970, where our timestamps begin, to 2000, where Postgres' do.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

/// A [`Timestamp`] as `timestamptz`; both count microseconds, so nothing is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub Timestamp);

impl sqlx::Type<Postgres> for Instant {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Instant {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for Instant {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.as_micros().checked_sub(EPOCH_MICROS).ok_or("instant out of range")?;
        Encode::<Postgres>::encode(micros, buffer)
    }
}

impl sqlx::Decode<'_, Postgres> for Instant {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                let micros = <i64 as sqlx::Decode<Postgres>>::decode(value)?;
                let micros = micros.checked_add(EPOCH_MICROS).ok_or("instant out of range")?;
                Ok(Self(Timestamp::from_micros(micros)))
            }
            PgValueFormat::Text => Err("timestamps are read in binary only".into()),
        }
    }
}

const JSONB: Oid = Oid(3802);
const JSONB_ARRAY: Oid = Oid(3807);
/// The version that stands before a `jsonb` in the binary protocol.
const JSONB_VERSION: u8 = 1;

/// A value as `jsonb`.
#[derive(Debug, Clone)]
pub struct Jsonb(String);

impl Jsonb {
    pub fn of(value: &impl Serialize) -> Self {
        // Our own types: their maps have text as keys, and nothing in them refuses.
        Self(serde_json::to_string(value).expect("our rows can be written as JSON"))
    }
}

impl sqlx::Type<Postgres> for Jsonb {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSONB)
    }
}

impl PgHasArrayType for Jsonb {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSONB_ARRAY)
    }
}

impl Encode<'_, Postgres> for Jsonb {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.push(JSONB_VERSION);
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

/// A count as `bigint`. Half of its range is missing there; our counts never get that far.
pub(crate) fn big(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A small count as `integer`.
pub(crate) fn small(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A count from `bigint`; the tables' checks keep negative ones out.
pub(crate) fn count(big: i64) -> u64 {
    u64::try_from(big).unwrap_or(0)
}

pub(crate) fn number(big: i64) -> FrameNumber {
    FrameNumber(count(big))
}
