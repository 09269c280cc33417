//! What must hold between a module's results, else its inputs were wrong: engines compute something
//! for inputs that contradict each other, and do not say so.

use serde::Deserialize;

use super::{Kind, ResultRule};

/// A relation between two whole numbers among the results.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Require {
    pub relation: Relation,
    /// The results' names.
    pub of: [String; 2],
    /// What a user is told whose inputs do not have it.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    Equal,
    /// Both are even, or both are odd.
    SameParity,
}

impl Require {
    /// Makes sure that there is always something to compare.
    pub(super) fn check(&self, results: &[ResultRule]) -> Result<(), String> {
        let always = |name: &String| {
            let mut rules = results.iter().filter(|rule| rule.name == *name).peekable();
            rules.peek().is_some()
                && rules.all(|r| r.kind == Kind::Integer && r.required && r.when.is_none())
        };
        match self.of.iter().find(|name| !always(name)) {
            None => Ok(()),
            Some(name) => Err(format!(
                "`require` needs two integers that are always there, and `{name}` is none"
            )),
        }
    }
}

impl Relation {
    pub fn holds(self, a: i64, b: i64) -> bool {
        match self {
            Self::Equal => a == b,
            Self::SameParity => (a ^ b) & 1 == 0,
        }
    }
}
