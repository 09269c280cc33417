//! Text with placeholders, filled from an attempt's inputs. Never a shell's business: one argument
//! stays one argument, whatever is in it.

use std::fmt::Write;

use nox_contract::Resources;
use nox_schema::{Exact, MOLECULE_MEMBERS};
use serde::Deserialize;

/// Text in which `{work_dir}`, `{program_dir}`, `{inputs.a.b}`, `{molecule.a}` and `{resources.a}` are replaced,
/// and of whole numbers `{inputs.a.b - 1}` and `{resources.a * 3 / 4}`, from left to right; `{{` and `}}` are
/// braces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    WorkDir,
    ProgramDir,
    Value(Place),
}

/// A value's place, and what is added to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    root: Root,
    path: InputPath,
    steps: Vec<(Step, u32)>,
}

/// What is done with a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Add,
    Subtract,
    Multiply,
    /// Rounds towards zero.
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Inputs,
    Molecule,
    Resources,
}

/// What the job got: `mem_mb_per_cpu` is what each core may take.
const RESOURCES: [&str; 5] = ["cpu", "mem_mb", "mem_mb_per_cpu", "wall_time_s", "gpu"];

/// Where in the inputs a value is: `a.b` is the member `b` of the member `a`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct InputPath(String);

/// What is put into templates.
#[derive(Debug, Clone, Copy)]
pub struct Values<'v> {
    pub work_dir: &'v str,
    /// The folder of the program's file.
    pub program_dir: &'v str,
    pub inputs: &'v Exact,
    /// What is known of the molecule that is computed, or `null`.
    pub molecule: &'v Exact,
    /// What [`resources`] gives.
    pub resources: &'v Exact,
}

/// What templates say of a job's resources.
pub fn resources(of: &Resources) -> Exact {
    let Resources { cpu, mem_mb, wall_time_s, gpu } = *of;
    let values = [cpu, mem_mb, mem_mb / cpu.max(1), wall_time_s, gpu];
    let members = RESOURCES.map(str::to_owned).into_iter().zip(values);
    Exact::Object(members.map(|(name, n)| (name, Exact::Number(n.to_string()))).collect())
}

/// A value that a template cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    #[error("{0} is missing")]
    Missing(String),
    #[error("{0} must be a whole number")]
    NoInteger(String),
    #[error("{0} must be a text, a number or a truth value")]
    NoScalar(String),
    #[error("{0} must not contain the character U+0000")]
    Nul(String),
    #[error("{0} must not begin with '-', for it would be taken for an option")]
    Option(String),
}

impl Template {
    /// Fills the template as one argument of a program.
    pub fn argument(&self, values: Values<'_>) -> Result<String, FillError> {
        let filled = self.fill(values, |place, _| Err(FillError::NoScalar(place.name())))?;
        // A user's text must not become an option; a number may be negative.
        if let Some(Part::Value(place)) = self.0.first()
            && filled.starts_with('-')
            && place.find(values).is_some_and(|value| matches!(value, Exact::String(_)))
        {
            return Err(FillError::Option(place.name()));
        }
        Ok(filled)
    }

    /// Fills the template as the text of a file: an array or an object is written as JSON.
    pub fn text(&self, values: Values<'_>) -> Result<String, FillError> {
        self.fill(values, |_, value| Ok(value.to_string()))
    }

    /// Its text, if nothing is filled in.
    pub fn plain(&self) -> Option<&str> {
        match &*self.0 {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it says something that the job's submitter says.
    pub fn wants_inputs(&self) -> bool {
        let of_resources = |root: Root| root == Root::Resources;
        self.0.iter().any(|part| matches!(part, Part::Value(place) if !of_resources(place.root)))
    }

    /// Whether it says something of the molecule.
    pub fn wants_molecule(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Value(Place { root: Root::Molecule, .. })))
    }

    fn fill(
        &self,
        values: Values<'_>,
        compound: impl Fn(&Place, &Exact) -> Result<String, FillError>,
    ) -> Result<String, FillError> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::WorkDir => filled.push_str(values.work_dir),
                Part::ProgramDir => filled.push_str(values.program_dir),
                Part::Value(place) => {
                    let value = place.find(values);
                    let value = value.ok_or_else(|| FillError::Missing(place.name()))?;
                    match value {
                        Exact::Array(_) | Exact::Object(_) if place.steps.is_empty() => {
                            filled.push_str(&compound(place, value)?);
                        }
                        _ => place.render(value, &mut filled)?,
                    }
                }
            }
        }
        Ok(filled)
    }
}

impl Place {
    fn find<'v>(&self, values: Values<'v>) -> Option<&'v Exact> {
        self.path.find(match self.root {
            Root::Inputs => values.inputs,
            Root::Molecule => values.molecule,
            Root::Resources => values.resources,
        })
    }

    fn name(&self) -> String {
        let root = match self.root {
            Root::Inputs => "inputs",
            Root::Molecule => "molecule",
            Root::Resources => "resources",
        };
        format!("{root}.{}", self.path.0)
    }

    fn render(&self, value: &Exact, out: &mut String) -> Result<(), FillError> {
        match value {
            Exact::Number(text) if !self.steps.is_empty() => {
                let whole = text.parse::<i128>().ok();
                let result = self.steps.iter().try_fold(whole, |n, (step, by)| {
                    let (n, by) = (n?, i128::from(*by));
                    Some(match step {
                        Step::Add => n.checked_add(by),
                        Step::Subtract => n.checked_sub(by),
                        Step::Multiply => n.checked_mul(by),
                        Step::Divide => n.checked_div(by),
                    })
                });
                let result = result.flatten().ok_or_else(|| FillError::NoInteger(self.name()))?;
                let _ = write!(out, "{result}");
            }
            _ if !self.steps.is_empty() => return Err(FillError::NoInteger(self.name())),
            Exact::String(text) if text.contains('\0') => return Err(FillError::Nul(self.name())),
            Exact::String(text) => out.push_str(text),
            _ => {
                let _ = write!(out, "{value}");
            }
        }
        Ok(())
    }
}

impl InputPath {
    /// The value there; `null` counts as none.
    pub fn find<'v>(&self, inputs: &'v Exact) -> Option<&'v Exact> {
        inputs.at(&self.0).filter(|value| **value != Exact::Null)
    }

    /// Whether there is a value that is not `false`.
    pub fn holds(&self, inputs: &Exact) -> bool {
        self.find(inputs).is_some_and(|value| *value != Exact::Bool(false))
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
        let (root, input) = match placeholder.split_once('.') {
            None if placeholder == "work_dir" => return Ok(Self::WorkDir),
            None if placeholder == "program_dir" => return Ok(Self::ProgramDir),
            Some(("inputs", path)) => (Root::Inputs, path),
            Some(("molecule", path)) => (Root::Molecule, path),
            Some(("resources", path)) => (Root::Resources, path),
            _ => {
                return Err(format!(
                    "there is no `{{{placeholder}}}`: only `{{work_dir}}`, `{{program_dir}}`, \
                     `{{inputs.…}}`, `{{molecule.…}}` and `{{resources.…}}`"
                ));
            }
        };
        let mut words = input.split(' ');
        let path = words.next().unwrap_or_default();
        let mut steps = Vec::new();
        while let Some(sign) = words.next() {
            let step = match sign {
                "+" => Step::Add,
                "-" => Step::Subtract,
                "*" => Step::Multiply,
                "/" => Step::Divide,
                _ => return Err(format!("`{sign}` in `{{{placeholder}}}` is none of + - * /")),
            };
            let by = words.next().and_then(|number| number.parse::<u32>().ok());
            match by {
                Some(0) if step == Step::Divide => {
                    return Err(format!("`{{{placeholder}}}` divides by nought"));
                }
                Some(by) => steps.push((step, by)),
                None => return Err(format!("a whole number is missing in `{{{placeholder}}}`")),
            }
        }
        let path = InputPath::try_from(path.to_owned())?;
        if root == Root::Molecule && !MOLECULE_MEMBERS.contains(&&*path.0) {
            return Err(format!(
                "a molecule has {}, not `{}`",
                MOLECULE_MEMBERS.join(", "),
                path.0
            ));
        }
        if root == Root::Resources && !RESOURCES.contains(&&*path.0) {
            return Err(format!("resources are {}, not `{}`", RESOURCES.join(", "), path.0));
        }
        Ok(Self::Value(Place { root, path, steps }))
    }
}

#[cfg(test)]
mod tests;
