//! References to uploads in a job's inputs, and inputs with the texts in their place. All that stands
//! beside them stays as it was written.

use std::{collections::BTreeMap, fmt};

use nox_contract::{RawJson, upload};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// One reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it stands in the inputs: a JSON pointer.
    pub pointer: String,
    /// As it was written, which need not be an id.
    pub id: String,
    pub sha256: String,
}

/// What looks like a reference and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an object with `{}` has a text there, a SHA-256 in lower-case digits in `sha256`, and nothing else",
    upload::MEMBER
)]
pub struct Malformed {
    /// Where it stands in the inputs: a JSON pointer.
    pub pointer: String,
}

/// All references in `inputs`, in their order.
///
/// # Errors
/// One of them is none.
pub fn of(inputs: &RawJson) -> Result<Vec<Reference>, Malformed> {
    let mut all = Vec::new();
    if may_refer(inputs) {
        walk(inputs.get(), "", &mut String::new(), &mut |reference| {
            all.push(reference);
            None
        })?;
    }
    Ok(all)
}

/// `inputs` with the texts of `uploads`, by their hashes, in the place of the references to them.
///
/// # Errors
/// One of them is none.
pub fn replaced(
    inputs: &RawJson,
    uploads: &BTreeMap<String, String>,
) -> Result<RawJson, Malformed> {
    let mut out = String::new();
    walk(inputs.get(), "", &mut out, &mut |reference| {
        serde_json::to_string(uploads.get(&reference.sha256)?).ok()
    })?;
    // It was JSON, and texts took the place of objects.
    Ok(RawJson::parse(out).unwrap_or_else(|_| inputs.clone()))
}

/// Nearly all inputs refer to nothing, and are not looked through. `\u` may stand for any letter.
fn may_refer(inputs: &RawJson) -> bool {
    let text = inputs.get();
    text.contains(upload::MEMBER) || text.contains("\\u")
}

/// Writes `json` to `out`; in the place of a reference what `text` gives for it, if it gives anything.
fn walk(
    json: &str,
    pointer: &str,
    out: &mut String,
    text: &mut dyn FnMut(Reference) -> Option<String>,
) -> Result<(), Malformed> {
    let whole = json.trim();
    match whole.as_bytes().first() {
        Some(b'{') => {
            let Ok(Members(members)) = serde_json::from_str(whole) else {
                out.push_str(whole);
                return Ok(());
            };
            if members.iter().any(|(name, _)| name == upload::MEMBER) {
                let reference = reference(&members, pointer)
                    .ok_or_else(|| Malformed { pointer: pointer.to_owned() })?;
                match text(reference) {
                    Some(text) => out.push_str(&text),
                    None => out.push_str(whole),
                }
                return Ok(());
            }
            out.push('{');
            for (place, (name, value)) in members.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                let token = nox_contract::canonical::pointer_token(name);
                out.push_str(&serde_json::Value::from(name.as_str()).to_string());
                out.push(':');
                walk(value.get(), &format!("{pointer}/{token}"), out, text)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(whole).unwrap_or_default();
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                walk(item.get(), &format!("{pointer}/{place}"), out, text)?;
            }
            out.push(']');
        }
        _ => out.push_str(whole),
    }
    Ok(())
}

fn reference(members: &[(String, &RawValue)], pointer: &str) -> Option<Reference> {
    let text = |wanted: &str| {
        let (_, value) = members.iter().find(|(name, _)| name == wanted)?;
        serde_json::from_str::<String>(value.get()).ok()
    };
    let (id, sha256) = (text(upload::MEMBER)?, text("sha256")?);
    let pointer = pointer.to_owned();
    (members.len() == 2 && upload::is_sha256(&sha256)).then_some(Reference { pointer, id, sha256 })
}

/// The members of an object, in their order.
struct Members<'j>(Vec<(String, &'j RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn a_reference_gives_way_to_its_text_and_all_else_stays_digit_by_digit() {
        let hash = "ab".repeat(32);
        let inputs = raw(&format!(
            r#"{{"n": 18446744073709551616, "x": [1.50, {{"$upload": "i", "sha256": "{hash}"}}],
                 "a/b": {{"\u0024upload": "j", "sha256": "{hash}"}}, "$uploads": {{"sha256": 1}}}}"#
        ));
        let found = of(&inputs).unwrap();
        let pointers: Vec<_> = found.iter().map(|r| (&*r.pointer, &*r.id)).collect();
        assert_eq!(pointers, [("/x/1", "i"), ("/a~1b", "j")]);
        let texts = BTreeMap::from([(hash, "line\n\"quoted\"".to_owned())]);
        assert_eq!(
            replaced(&inputs, &texts).unwrap().get(),
            r#"{"n":18446744073709551616,"x":[1.50,"line\n\"quoted\""],"a/b":"line\n\"quoted\"","$uploads":{"sha256":1}}"#
        );
        assert_eq!(of(&raw(r#"{"a": "no", "b": ["\u00fc"]}"#)), Ok(Vec::new()));
        assert_eq!(of(&raw("5")), Ok(Vec::new()));
    }

    #[test]
    fn half_a_reference_is_told_by_its_place() {
        let hash = "ab".repeat(32);
        for half in [
            r#"{"$upload": "i"}"#.to_owned(),
            format!(r#"{{"$upload": 5, "sha256": "{hash}"}}"#),
            format!(r#"{{"$upload": "i", "sha256": "{}"}}"#, hash.to_uppercase()),
            format!(r#"{{"$upload": "i", "sha256": "{hash}", "more": 1}}"#),
            r#"{"$upload": null, "sha256": null}"#.to_owned(),
            r#"{"$upload": "i", "sha256": "../../etc/passwd"}"#.to_owned(),
        ] {
            let inputs = raw(&format!(r#"{{"a": [{half}]}}"#));
            assert_eq!(of(&inputs), Err(Malformed { pointer: "/a/0".to_owned() }), "{half}");
        }
    }
}
