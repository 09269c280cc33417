//! Columns of many rows, in Postgres' binary form: rows to be copied in, or an array of each column.

use sqlx::{
    AssertSqlSafe, Postgres, Type,
    encode::{Encode, IsNull},
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo, types::Oid},
    query::Query,
};

/// What a column is called, and what it has of a `T`.
pub(super) struct Column<T: 'static> {
    pub name: &'static str,
    pub kind: Kind,
    pub write: fn(&T, &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError>,
}

impl<T> Clone for Column<T> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

/// The type of a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Boolean,
    Bytea,
    Smallint,
    Integer,
    Bigint,
    Text,
    Timestamptz,
    Uuid,
    Json,
    Jsonb,
}

impl Kind {
    pub(super) fn sql(self) -> &'static str {
        self.facts().0
    }

    /// Its name, and what it and its array are in `pg_type`, which is the same everywhere.
    fn facts(self) -> (&'static str, u32, u32) {
        match self {
            Self::Boolean => ("boolean", 16, 1000),
            Self::Bytea => ("bytea", 17, 1001),
            Self::Smallint => ("smallint", 21, 1005),
            Self::Integer => ("integer", 23, 1007),
            Self::Bigint => ("bigint", 20, 1016),
            Self::Text => ("text", 25, 1009),
            Self::Timestamptz => ("timestamptz", 1184, 1185),
            Self::Uuid => ("uuid", 2950, 2951),
            Self::Json => ("json", 114, 199),
            Self::Jsonb => ("jsonb", 3802, 3807),
        }
    }
}

/// Writes a value; its type has to be the column's.
pub(super) fn write<'q>(
    value: impl Encode<'q, Postgres>,
    buffer: &mut PgArgumentBuffer,
) -> Result<IsNull, BoxDynError> {
    value.encode(buffer)
}

/// What begins a file of `copy … (format binary)`: its signature, no flags, and nothing more.
const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const COPY_TRAILER: i16 = -1;

/// Rows for `copy … from stdin (format binary)`.
pub(super) fn copied<T>(columns: &[Column<T>], rows: &[&T]) -> sqlx::Result<Vec<u8>> {
    let mut buffer = PgArgumentBuffer::default();
    buffer.extend_from_slice(COPY_HEADER);
    let count = i16::try_from(columns.len()).map_err(|error| sqlx::Error::Encode(error.into()))?;
    for row in rows {
        buffer.extend_from_slice(&count.to_be_bytes());
        for column in columns {
            put(column, row, &mut buffer).map_err(sqlx::Error::Encode)?;
        }
    }
    buffer.extend_from_slice(&COPY_TRAILER.to_be_bytes());
    Ok(std::mem::take(&mut *buffer))
}

/// A statement that is given an array of each column.
pub(super) fn each_in_arrays<'q, T>(
    sql: &'static str,
    columns: &[Column<T>],
    rows: &[&T],
) -> Query<'q, Postgres, PgArguments> {
    columns
        .iter()
        .fold(sqlx::query(AssertSqlSafe(sql)), |query, column| query.bind(Values { column, rows }))
}

/// A column of all rows, as an array.
struct Values<'a, T: 'static> {
    column: &'a Column<T>,
    rows: &'a [&'a T],
}

impl<T> Type<Postgres> for Values<'_, T> {
    fn type_info() -> PgTypeInfo {
        // Only each array knows what it is of; see `produces`.
        PgTypeInfo::with_name("anyarray")
    }
}

impl<T> Encode<'_, Postgres> for Values<'_, T> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let (_, of, _) = self.column.kind.facts();
        let (dimensions, may_have_nulls, from) = (1_i32, 1_i32, 1_i32);
        for word in
            [dimensions, may_have_nulls, of.cast_signed(), i32::try_from(self.rows.len())?, from]
        {
            buffer.extend_from_slice(&word.to_be_bytes());
        }
        for row in self.rows {
            put(self.column, row, buffer)?;
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        let (_, _, array) = self.column.kind.facts();
        Some(PgTypeInfo::with_oid(Oid(array)))
    }
}

/// Writes a value behind its length.
fn put<T>(column: &Column<T>, row: &T, buffer: &mut PgArgumentBuffer) -> Result<(), BoxDynError> {
    const NULL: i32 = -1;
    let start = buffer.len();
    buffer.extend_from_slice(&NULL.to_be_bytes());
    if let IsNull::No = (column.write)(row, buffer)? {
        let length = i32::try_from(buffer.len() - start - size_of_val(&NULL))?;
        buffer[start..start + size_of_val(&NULL)].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
