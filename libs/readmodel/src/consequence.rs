//! What follows from an error of Postgres: the one place that knows SQLSTATEs.
//!
//! Named is only what is certain, code by code: no class is data or defect as a whole. Data park the one
//! job that brought them; a defect of ours ends the process, since nothing that it could wait for would
//! mend it. Whatever is not named here can pass: a standby that was promoted, a password that is being
//! changed, a constraint, trigger or column of the operator's, a database that is being restored. Then
//! the connection is let go of, and it is tried again.

use std::fmt;

use crate::session::POOL_MODE;

/// What to do about an error of Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// Another value may pass: if the event does without it, the job that brought it is parked, and all
    /// others go on.
    Park,
    /// Tables are not there, or the rows that are always in them: the database was made anew, or was
    /// never prepared. Prepare it again.
    Prepare,
    /// A statement of ours is wrong, or what is stored is not of this version: no waiting helps.
    Stop,
    /// Anything else. Let go of the connection, wait, and try again.
    Retry,
}

impl Consequence {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        use sqlx::{Error, migrate::MigrateError};
        match error {
            Error::Database(refusal) => refusal.code().map_or(Self::Retry, |code| {
                match Self::of_code(&code) {
                    _ if is_job_twice(error) => Self::Park,
                    // Said within a function, it is of a trigger: those are not ours.
                    Self::Stop | Self::Prepare if is_within_function(&**refusal) => Self::Retry,
                    consequence => consequence,
                }
            }),
            Error::RowNotFound => Self::Prepare,
            Error::Encode(_) => Self::Park,
            // A row that is read as something else than this version writes, or a wrong setting.
            Error::ColumnDecode { .. }
            | Error::ColumnIndexOutOfBounds { .. }
            | Error::ColumnNotFound(_)
            | Error::Configuration(_)
            | Error::Decode(_)
            | Error::InvalidArgument(_)
            | Error::TypeNotFound { .. } => Self::Stop,
            Error::Migrate(error) => match &**error {
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                    Self::of(error)
                }
                _ => Self::Stop,
            },
            // The connection broke, or there was none to have.
            _ => Self::Retry,
        }
    }

    /// By SQLSTATE: five characters, of which the first two are the class.
    pub(crate) fn of_code(code: &str) -> Self {
        match code {
            // What a text or a number of a job can be refused for on its way into a column: a number
            // beyond `numeric`, an instant beyond `timestamptz`, bytes that are no character, no JSON,
            // and U+0000 or half a surrogate pair in it. Not 54000: it is also said of limits of the
            // whole server, such as transactions that were never vacuumed.
            "22003" | "22008" | "22021" | "22P02" | "22P05" => Self::Park,
            // undefined_table, invalid_schema_name
            "42P01" | "3F000" => Self::Prepare,
            // Of a statement, and of nothing that is stored: cardinality_violation, syntax_error,
            // datatype_mismatch, undefined_parameter, ambiguous_parameter, indeterminate_datatype,
            // too_many_arguments
            "21000" | "42601" | "42804" | "42P02" | "42P08" | "42P18" | "54023" => Self::Stop,
            _ => Self::Retry,
        }
    }
}

/// An error for operators: what Postgres says, and the SQLSTATE to look it up by.
pub(crate) struct Described<'a>(pub &'a sqlx::Error);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match code(self.0) {
            // A statement is gone, or is there already: nothing else makes these.
            Some(code) if matches!(&*code, "26000" | "42P05") => {
                write!(f, "{POOL_MODE} ({}, SQLSTATE {code})", self.0)
            }
            Some(code) => write!(f, "{} (SQLSTATE {code})", self.0),
            None if matches!(self.0, sqlx::Error::RowNotFound) => {
                f.write_str("the one row of projection, or of nox.generation, is missing")
            }
            None => write!(f, "{}", self.0),
        }
    }
}

/// The SQLSTATE of a refusal.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Into::into)
}

/// Whether the refusal is that a job has a row before its first event: that is no data, and is looked
/// into.
pub(crate) fn is_job_twice(error: &sqlx::Error) -> bool {
    let constraint = error.as_database_error().and_then(|refusal| refusal.constraint());
    matches!(constraint, Some("jobs_live_pkey" | "jobs_ended_pkey"))
}

/// Whether a function of the database's met with the error, and no statement of ours.
fn is_within_function(refusal: &(dyn sqlx::error::DatabaseError + 'static)) -> bool {
    let refusal = refusal.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
    refusal.and_then(|refusal| refusal.r#where()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every class of Postgres 18, by a code of it, and codes that are told from their class.
    const TABLE: &[(&str, Consequence)] = {
        use Consequence::{Park, Prepare, Retry, Stop};
        &[
            ("00000", Retry),   // successful_completion
            ("01000", Retry),   // warning
            ("02000", Retry),   // no_data
            ("03000", Retry),   // sql_statement_not_yet_complete
            ("08000", Retry),   // connection_exception
            ("08006", Retry),   // connection_failure
            ("08P01", Retry),   // protocol_violation: what poolers say of what they do not know
            ("09000", Retry),   // triggered_action_exception
            ("0A000", Retry),   // feature_not_supported: "cached plan must not change result type"
            ("0B000", Retry),   // invalid_transaction_initiation
            ("0F000", Retry),   // locator_exception
            ("0L000", Retry),   // invalid_grantor
            ("0P000", Retry),   // invalid_role_specification
            ("0Z000", Retry),   // diagnostics_exception
            ("10608", Retry),   // invalid_argument_for_xquery
            ("20000", Retry),   // case_not_found
            ("21000", Stop),    // cardinality_violation
            ("22000", Retry),   // data_exception
            ("22003", Park),    // numeric_value_out_of_range
            ("22008", Park),    // datetime_field_overflow
            ("22021", Park),    // character_not_in_repertoire
            ("22P02", Park),    // invalid_text_representation: what is no JSON
            ("22P03", Retry),   // invalid_binary_representation
            ("22P05", Park),    // untranslatable_character
            ("23000", Retry),   // integrity_constraint_violation
            ("23505", Retry),   // unique_violation
            ("23514", Retry),   // check_violation
            ("24000", Retry),   // invalid_cursor_state
            ("25000", Retry),   // invalid_transaction_state
            ("25006", Retry),   // read_only_sql_transaction: a standby, or a disk that is full
            ("25P02", Retry),   // in_failed_sql_transaction
            ("25P03", Retry),   // idle_in_transaction_session_timeout
            ("26000", Retry),   // invalid_sql_statement_name: a prepared statement is gone
            ("27000", Retry),   // triggered_data_change_violation
            ("28000", Retry),   // invalid_authorization_specification
            ("28P01", Retry),   // invalid_password
            ("2B000", Retry),   // dependent_privilege_descriptors_still_exist
            ("2D000", Retry),   // invalid_transaction_termination
            ("2F000", Retry),   // sql_routine_exception
            ("34000", Retry),   // invalid_cursor_name
            ("38000", Retry),   // external_routine_exception
            ("39000", Retry),   // external_routine_invocation_exception
            ("3B000", Retry),   // savepoint_exception
            ("3D000", Retry),   // invalid_catalog_name: the database is renamed or being restored
            ("3F000", Prepare), // invalid_schema_name
            ("40000", Retry),   // transaction_rollback
            ("40001", Retry),   // serialization_failure
            ("40P01", Retry),   // deadlock_detected
            ("42000", Retry),   // syntax_error_or_access_rule_violation
            ("42501", Retry),   // insufficient_privilege
            ("42601", Stop),    // syntax_error
            ("42883", Retry),   // undefined_function
            ("42703", Retry),   // undefined_column: somebody renamed it
            ("42P01", Prepare), // undefined_table
            ("42P05", Retry),   // duplicate_prepared_statement
            ("44000", Retry),   // with_check_option_violation
            ("53000", Retry),   // insufficient_resources
            ("53100", Retry),   // disk_full
            ("53200", Retry),   // out_of_memory
            ("53300", Retry),   // too_many_connections
            ("54000", Retry),   // program_limit_exceeded
            ("54001", Retry),   // statement_too_complex: JSON that nests deeper is refused before
            ("54011", Retry),   // too_many_columns
            ("54023", Stop),    // too_many_arguments
            ("55000", Retry),   // object_not_in_prerequisite_state
            ("55P03", Retry),   // lock_not_available
            ("57000", Retry),   // operator_intervention
            ("57014", Retry),   // query_canceled
            ("57P01", Retry),   // admin_shutdown
            ("57P03", Retry),   // cannot_connect_now
            ("58000", Retry),   // system_error
            ("58030", Retry),   // io_error
            ("F0000", Retry),   // config_file_error
            ("HV000", Retry),   // fdw_error
            ("P0000", Retry),   // plpgsql_error
            ("P0001", Retry),   // raise_exception: a trigger of the operator's
            ("XX000", Retry),   // internal_error
            ("XX001", Retry),   // data_corrupted
        ]
    };

    #[test]
    fn only_data_park_and_only_our_defects_end_the_process() {
        for (code, consequence) in TABLE {
            assert_eq!(Consequence::of_code(code), *consequence, "{code}");
        }
        for unheard_of in ["", "Z", "99999", "é"] {
            assert_eq!(Consequence::of_code(unheard_of), Consequence::Retry, "{unheard_of:?}");
        }
    }

    #[test]
    fn a_connection_that_breaks_is_tried_again_and_rows_that_do_not_read_are_not() {
        let broken = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!(Consequence::of(&broken), Consequence::Retry);
        assert_eq!(Consequence::of(&sqlx::Error::PoolTimedOut), Consequence::Retry);
        assert_eq!(Consequence::of(&sqlx::Error::RowNotFound), Consequence::Prepare);
        assert_eq!(Consequence::of(&sqlx::Error::Protocol("cut".into())), Consequence::Retry);
        assert_eq!(Consequence::of(&sqlx::Error::Decode("?".into())), Consequence::Stop);
    }
}
