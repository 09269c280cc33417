//! A module's schema, and JSON whose numbers keep their digits.
//!
//! Gateway and executor judge inputs by the same code: JSON Schema, the schema's defaults, and molecules
//! (`format: "xyz"`), whose charge and multiplicity are checked against their electrons.
//!
//! | file | what it does |
//! |---|---|
//! | `exact` | a JSON value, its numbers as they were written |
//! | `decimal` | what such a number is: whole, equal to another one |
//! | `node` | the same for the validator |
//! | `effort` | how long judging may take |
//! | `molecules` | which inputs are molecules, and what belongs to them |

mod decimal;
mod effort;
mod exact;
mod molecules;
mod node;

use jsonschema::{Draft, PatternOptions, Validator, options_for};
use nox_contract::RawJson;

pub use exact::Exact;
pub use molecules::MOLECULE_MEMBERS;

use crate::{molecules::Molecules, node::ExactJson};

/// Most things named that are wrong with one value.
const ERRORS_MAX: usize = 20;

/// Longest description of one of them, in characters; it may quote the value.
const DETAIL_CHARS_MAX: usize = 300;

/// A schema, ready to judge values.
#[derive(Debug, Clone)]
pub struct Schema {
    validator: Validator<ExactJson>,
    /// The schema itself, for its defaults.
    tree: Exact,
    molecules: Molecules,
}

/// One thing that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// A JSON pointer into the value.
    pub pointer: String,
    pub detail: String,
    /// Line and column, from 1, in a text that is a molecule.
    pub place: Option<(usize, usize)>,
}

/// Inputs as a program gets them.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// With the schema's defaults, and with molecules in their plain form.
    pub inputs: Exact,
    /// What is known of the molecule, for a schema that has `x-nox-molecule`; else `null`.
    pub molecule: Exact,
}

impl Schema {
    /// Compiles a schema of JSON Schema 2020-12. It is somebody else's text: no reference leaves it, and
    /// its patterns run in linear time, and what it makes of a value is bounded.
    ///
    /// # Errors
    /// It is no schema, or its annotations for molecules name what is not there.
    pub fn compile(schema: &RawJson) -> Result<Self, String> {
        let value = serde_json::from_str(schema.get()).map_err(|error| error.to_string())?;
        effort::check_size(&value)?;
        let validator = options_for::<ExactJson>()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(&value)
            .map_err(|error| error.to_string())?;
        let tree = Exact::read(schema).map_err(|error| error.to_string())?;
        let molecules = Molecules::of(&tree)?;
        Ok(Self { validator, tree, molecules })
    }

    /// Whether a molecule is computed.
    pub fn has_molecule(&self) -> bool {
        self.molecules.is_computed()
    }

    /// Checks a value against the schema alone.
    pub fn validate(&self, value: &Exact) -> Result<(), Vec<Invalid>> {
        effort::bounded(|| self.judge(value)).unwrap_or_else(|effort::Spent| {
            let detail = "takes too long to be judged by its schema".to_owned();
            Err(vec![Invalid { pointer: String::new(), detail, place: None }])
        })
    }

    fn judge(&self, value: &Exact) -> Result<(), Vec<Invalid>> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let errors = self.validator.iter_errors(value).take(ERRORS_MAX).map(|error| {
            let pointer = error.instance_path().to_string();
            // The validator would quote a number as a double.
            let detail = match value.at_pointer(&pointer) {
                Some(Exact::Number(text)) => error.masked_with(&**text).to_string(),
                _ => error.to_string(),
            };
            Invalid {
                pointer,
                detail: detail.chars().take(DETAIL_CHARS_MAX).collect(),
                place: None,
            }
        });
        Err(errors.collect())
    }

    /// Checks inputs, molecules and their electrons included, and makes of them what a program gets.
    ///
    /// # Errors
    /// All that is wrong with them, at least one thing.
    pub fn prepare(&self, inputs: &RawJson) -> Result<Prepared, Vec<Invalid>> {
        let mut inputs = Exact::read(inputs).map_err(|error| {
            vec![Invalid { pointer: String::new(), detail: error.to_string(), place: None }]
        })?;
        self.validate(&inputs)?;
        inputs.fill(&self.tree);
        let molecule = self.molecules.prepare(&mut inputs)?;
        Ok(Prepared { inputs, molecule })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str) -> Schema {
        Schema::compile(&raw(text)).unwrap()
    }

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn numbers_are_judged_by_all_their_digits() {
        for (rule, good, bad) in [
            (r#"{"type":"integer"}"#, "18446744073709551616", "9007199254740993.5"),
            (r#"{"type":"integer"}"#, "1e400", "1e-400"),
            (r#"{"type":"integer"}"#, "2.000", "2.0000000000000000000001"),
            (r#"{"enum":[0.1]}"#, "0.10", "0.1000000000000000055"),
            (r#"{"const":9007199254740993}"#, "9007199254740993", "9007199254740992"),
            (r#"{"maximum":1e308}"#, "1e307", "1e400"),
            (r#"{"minimum":0}"#, "1e400", "-1e400"),
            (r#"{"exclusiveMinimum":0}"#, "1e-300", "0.0"),
            (r#"{"uniqueItems":true}"#, "[9007199254740993,9007199254740992]", "[1,1.0]"),
            (r#"{"type":"number"}"#, "1e400", "\"1\""),
        ] {
            let schema = schema(rule);
            let valid = |text: &str| schema.validate(&Exact::read(&raw(text)).unwrap()).is_ok();
            assert!(valid(good), "{rule} {good}");
            assert!(!valid(bad), "{rule} {bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_quoted_as_it_was_written() {
        let schema = schema(r#"{"properties":{"n":{"type":"string"}}}"#);
        let errors = schema.prepare(&raw(r#"{"n":18446744073709551616}"#)).unwrap_err();
        assert_eq!(errors[0].pointer, "/n");
        assert!(errors[0].detail.contains("18446744073709551616"), "{errors:?}");
    }

    #[test]
    fn defaults_fill_what_is_absent_and_nothing_else() {
        let schema = schema(
            r#"{"properties": {
                "charge": {"default": 0},
                "params": {"default": {}, "properties": {"gfn": {"default": 2}}},
                "label": {}
            }}"#,
        );
        let prepare = |inputs: &str| schema.prepare(&raw(inputs)).unwrap().inputs.to_string();
        assert_eq!(prepare("{}"), r#"{"charge":0,"params":{"gfn":2}}"#);
        let given = r#"{"charge":-1,"params":{"gfn":1,"x":null}}"#;
        assert_eq!(prepare(given), given);
        assert_eq!(prepare("null"), "null");
    }

    #[test]
    fn what_is_wrong_a_thousand_times_is_named_a_few_times() {
        let schema = schema(r#"{"items":{"type":"integer"}}"#);
        let many = format!("[{}]", vec!["\"x\""; 1_000].join(","));
        assert_eq!(schema.prepare(&raw(&many)).unwrap_err().len(), ERRORS_MAX);
    }
}
