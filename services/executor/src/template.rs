//! Text with placeholders, filled from an attempt's inputs. Never a shell's business: one argument
//! stays one argument, whatever is in it.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;

/// Text in which `{work_dir}`, `{inputs.a.b}` and `{inputs.a.b - 1}` are replaced; `{{` and `}}` are
/// braces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    WorkDir,
    Input { path: InputPath, plus: i64 },
}

/// Where in the inputs a value is: `a.b` is the member `b` of the member `a`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct InputPath(String);

/// What is put into templates.
#[derive(Debug, Clone, Copy)]
pub struct Values<'v> {
    pub work_dir: &'v str,
    pub inputs: &'v Value,
}

/// A value that a template cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    #[error("inputs.{0} is missing")]
    Missing(String),
    #[error("inputs.{0} must be a whole number")]
    NoInteger(String),
    #[error("inputs.{0} must be a text, a number or a truth value")]
    NoScalar(String),
    #[error("inputs.{0} must not contain the character U+0000")]
    Nul(String),
    #[error("inputs.{0} must not begin with '-', for it would be taken for an option")]
    Option(String),
}

impl Template {
    /// Fills the template as one argument of a program.
    pub fn argument(&self, values: Values<'_>) -> Result<String, FillError> {
        let filled = self.fill(values, |path, _| Err(FillError::NoScalar(path.0.clone())))?;
        // A user's text must not become an option; a number may be negative.
        if let Some(Part::Input { path, .. }) = self.0.first()
            && filled.starts_with('-')
            && path.find(values.inputs).is_some_and(Value::is_string)
        {
            return Err(FillError::Option(path.0.clone()));
        }
        Ok(filled)
    }

    /// Fills the template as the text of a file: an array or an object is written as JSON.
    pub fn text(&self, values: Values<'_>) -> Result<String, FillError> {
        self.fill(values, |_, value| Ok(value.to_string()))
    }

    fn fill(
        &self,
        values: Values<'_>,
        compound: impl Fn(&InputPath, &Value) -> Result<String, FillError>,
    ) -> Result<String, FillError> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::WorkDir => filled.push_str(values.work_dir),
                Part::Input { path, plus } => {
                    let value = path.find(values.inputs);
                    let value = value.ok_or_else(|| FillError::Missing(path.0.clone()))?;
                    match value {
                        Value::Array(_) | Value::Object(_) if *plus == 0 => {
                            filled.push_str(&compound(path, value)?);
                        }
                        _ => path.render(value, *plus, &mut filled)?,
                    }
                }
            }
        }
        Ok(filled)
    }
}

impl InputPath {
    /// The value there; `null` counts as none.
    pub fn find<'v>(&self, inputs: &'v Value) -> Option<&'v Value> {
        self.0
            .split('.')
            .try_fold(inputs, |value, member| value.get(member))
            .filter(|value| !value.is_null())
    }

    /// Whether there is a value that is not `false`.
    pub fn holds(&self, inputs: &Value) -> bool {
        self.find(inputs).is_some_and(|value| *value != Value::Bool(false))
    }

    fn render(&self, value: &Value, plus: i64, out: &mut String) -> Result<(), FillError> {
        if plus != 0 {
            let sum = value.as_i64().and_then(|number| number.checked_add(plus));
            let sum = sum.ok_or_else(|| FillError::NoInteger(self.0.clone()))?;
            let _ = write!(out, "{sum}");
            return Ok(());
        }
        match value {
            Value::String(text) if text.contains('\0') => Err(FillError::Nul(self.0.clone())),
            Value::String(text) => {
                out.push_str(text);
                Ok(())
            }
            _ => {
                let _ = write!(out, "{value}");
                Ok(())
            }
        }
    }
}

impl TryFrom<String> for InputPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let member = |member: &str| {
            !member.is_empty()
                && member.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if text.split('.').all(member) {
            Ok(Self(text))
        } else {
            Err(format!("`{text}` is no path into the inputs, as `a.b` is"))
        }
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let tail = &rest[at..];
            if tail.starts_with("{{") || tail.starts_with("}}") {
                plain.push_str(&tail[..1]);
                rest = &tail[2..];
                continue;
            }
            let inner = tail.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((placeholder, after)) = inner else {
                return Err(format!("`{text}` has a single brace: write it twice if it is meant"));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::parse(placeholder)?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }
}

impl Part {
    fn parse(placeholder: &str) -> Result<Self, String> {
        if placeholder == "work_dir" {
            return Ok(Self::WorkDir);
        }
        let Some(input) = placeholder.strip_prefix("inputs.") else {
            return Err(format!(
                "there is no `{{{placeholder}}}`: only `{{work_dir}}` and `{{inputs.…}}`"
            ));
        };
        let (path, plus) = match input.split_once(" + ").or_else(|| input.split_once(" - ")) {
            None => (input, 0),
            Some((path, number)) => {
                let number: u32 = number
                    .parse()
                    .map_err(|_| format!("`{number}` in `{{{placeholder}}}` is no whole number"))?;
                let sign = if input.contains(" + ") { 1 } else { -1 };
                (path, sign * i64::from(number))
            }
        };
        Ok(Self::Input { path: InputPath::try_from(path.to_owned())?, plus })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn argument(template: &str, inputs: &Value) -> Result<String, FillError> {
        let template = Template::try_from(template.to_owned()).unwrap();
        template.argument(Values { work_dir: "/w", inputs })
    }

    #[test]
    fn placeholders_are_replaced_and_all_else_stays() {
        let inputs = json!({"charge": -1, "multiplicity": 3, "name": "a b;$(c)", "p": {"q": true}});
        for (template, filled) in [
            ("{work_dir}/in.xyz", "/w/in.xyz"),
            ("{inputs.charge}", "-1"),
            ("{inputs.multiplicity - 1}", "2"),
            ("{inputs.charge + 5}", "4"),
            ("--name={inputs.name}", "--name=a b;$(c)"),
            ("{inputs.p.q}", "true"),
            ("{{x}} {inputs.charge}{inputs.charge}", "{x} -1-1"),
            ("", ""),
        ] {
            assert_eq!(argument(template, &inputs).unwrap(), filled);
        }
    }

    #[test]
    fn a_value_that_is_no_argument_is_named() {
        let inputs = json!({"n": null, "o": {}, "s": "--exec", "z": "a\0b", "f": 1.5});
        for (template, error) in [
            ("{inputs.n}", FillError::Missing("n".to_owned())),
            ("{inputs.o.p}", FillError::Missing("o.p".to_owned())),
            ("{inputs.o}", FillError::NoScalar("o".to_owned())),
            ("{inputs.s}", FillError::Option("s".to_owned())),
            ("{inputs.z}", FillError::Nul("z".to_owned())),
            ("{inputs.f - 1}", FillError::NoInteger("f".to_owned())),
        ] {
            assert_eq!(argument(template, &inputs), Err(error));
        }
        assert_eq!(argument("x{inputs.s}", &inputs).unwrap(), "x--exec");
    }

    #[test]
    fn a_file_may_hold_what_an_argument_may_not() {
        let inputs = json!({"o": {"a": [1, null]}, "s": "--x"});
        let template = Template::try_from("{inputs.o}\n{inputs.s}".to_owned()).unwrap();
        let text = template.text(Values { work_dir: "/w", inputs: &inputs });
        assert_eq!(text.unwrap(), "{\"a\":[1,null]}\n--x");
    }

    #[test]
    fn a_template_that_means_nothing_is_refused() {
        for wrong in ["{", "}", "a{b", "{inputs}", "{inputs.}", "{inputs.a..b}", "{env.HOME}", "{}"]
        {
            assert!(Template::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        assert!(Template::try_from("{inputs.a - x}".to_owned()).is_err());
    }
}
