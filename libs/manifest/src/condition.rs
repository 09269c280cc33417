//! Conditions on a job's inputs and its molecule: which arguments are given, which rules apply.

use nox_schema::Exact;
use serde::Deserialize;

use crate::template::{InputPath, Values};

/// What must hold of the inputs, all of it: `a.b` is there and not `false`, `!a.b` is not so, `a.b = text`
/// and `a.b != text` compare with what a template would write. `molecule.a` is the molecule's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "OneOrMore")]
pub struct When(Vec<Condition>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    path: InputPath,
    /// The path in the molecule, if it is one.
    of_molecule: Option<InputPath>,
    negated: bool,
    /// What it is compared with, if it is.
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl When {
    /// Whether all hold; without any, they do.
    pub fn holds(&self, values: Values<'_>) -> bool {
        self.0.iter().all(|condition| condition.holds(values))
    }
}

impl Condition {
    fn holds(&self, values: Values<'_>) -> bool {
        let found = match &self.of_molecule {
            Some(path) => path.find(values.molecule),
            None => self.path.find(values.inputs),
        };
        let holds = match &self.text {
            None => found.is_some_and(|value| *value != Exact::Bool(false)),
            Some(text) => found.is_some_and(|value| match value {
                Exact::String(found) => found == text,
                value => value.to_string() == *text,
            }),
        };
        holds != self.negated
    }
}

impl TryFrom<OneOrMore> for When {
    type Error = String;

    fn try_from(texts: OneOrMore) -> Result<Self, String> {
        let texts = match texts {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        };
        texts.iter().map(|text| Condition::parse(text)).collect::<Result<_, _>>().map(Self)
    }
}

impl Condition {
    fn parse(text: &str) -> Result<Self, String> {
        let (path, negated, text) = if let Some((left, right)) = text.split_once("!=") {
            (left, true, Some(right))
        } else if let Some((left, right)) = text.split_once('=') {
            (left, false, Some(right))
        } else {
            let path = text.strip_prefix('!');
            (path.unwrap_or(text), path.is_some(), None)
        };
        let path = path.trim();
        let of_molecule = path.strip_prefix("molecule.").map(|path| path.to_owned().try_into());
        Ok(Self {
            path: path.to_owned().try_into()?,
            of_molecule: of_molecule.transpose()?,
            negated,
            text: text.map(|text| text.trim().to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::RawJson;

    use super::*;

    #[test]
    fn conditions_hold_all_together() {
        let inputs = r#"{"a": true, "b": false, "n": 0, "t": "ff", "p": {"q": 2.0}}"#;
        let inputs = Exact::read(&RawJson::parse(inputs.to_owned()).unwrap()).unwrap();
        let molecule = Exact::read(&RawJson::parse(r#"{"atoms": 1}"#.to_owned()).unwrap()).unwrap();
        let values = Values {
            work_dir: "",
            program_dir: "",
            inputs: &inputs,
            molecule: &molecule,
            resources: &Exact::Null,
        };
        let holds = |texts: &[&str]| {
            let texts = texts.iter().map(|text| (*text).to_owned()).collect();
            When::try_from(OneOrMore::More(texts)).unwrap().holds(values)
        };
        for texts in [
            &[][..],
            &["a"],
            &["!b"],
            &["n"],
            &["t = ff"],
            &["p.q=2"],
            &["t != x", "a"],
            &["none != x"],
        ] {
            assert!(holds(texts), "{texts:?}");
        }
        for texts in [
            &["b"][..],
            &["none"],
            &["!a"],
            &["t = f"],
            &["t != ff"],
            &["a", "b"],
            &["n = 1"],
            &["molecule.atoms != 1"],
        ] {
            assert!(!holds(texts), "{texts:?}");
        }
        assert!(When::try_from(OneOrMore::One("a b".to_owned())).is_err());
    }
}
