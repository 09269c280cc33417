//! What is to be run: a module by its name, an engine in the words of the first users, or a line of shell.

use std::borrow::Cow;

use nox_contract::{COMMAND_MODULE, ModuleName};
use serde_json::{json, value::RawValue};

use super::{engine, text_of};
use crate::problem::{FieldError, Moved};

/// Longest command, in characters.
pub const COMMAND_CHARS_MAX: usize = 2_000;

/// The members of a body that say what is to be run.
#[derive(Debug, Default)]
pub struct Form<'b> {
    module: Option<&'b RawValue>,
    engine: Option<&'b RawValue>,
    kind: Option<&'b RawValue>,
    command: Option<&'b RawValue>,
    inputs: Option<&'b RawValue>,
}

/// What they mean.
#[derive(Debug)]
pub struct Meant<'b> {
    pub module: ModuleName,
    /// Inputs of the module.
    pub inputs: Cow<'b, str>,
    /// Places in the inputs that the body has elsewhere, and where.
    pub moved: Vec<Moved>,
}

/// What the body has one of.
const ONE_OF: &str = "a job has one of module, engine and command";

impl<'b> Form<'b> {
    /// The place of the member that is called so.
    pub fn member(&mut self, name: &str) -> Option<&mut Option<&'b RawValue>> {
        Some(match name {
            "module" => &mut self.module,
            "engine" => &mut self.engine,
            "kind" => &mut self.kind,
            "command" => &mut self.command,
            "inputs" => &mut self.inputs,
            _ => return None,
        })
    }

    /// Whether it asks for a command, and nothing else.
    pub fn is_command(&self) -> bool {
        self.command.is_some() && self.module.is_none() && self.engine.is_none()
    }

    /// Reads them. `None` if something is wrong, which then is among `errors`.
    pub fn read(self, errors: &mut Vec<FieldError>) -> Option<Meant<'b>> {
        let before = errors.len();
        let mut wrong = |place: &str, detail: String| errors.push(FieldError::new(place, detail));
        let named =
            [("/module", self.module), ("/engine", self.engine), ("/command", self.command)];
        let named: Vec<_> = named.iter().filter(|(_, value)| value.is_some()).collect();
        match &*named {
            [] => wrong("/module", format!("is required: {ONE_OF}")),
            [_] => {}
            several => several.iter().for_each(|(place, _)| wrong(place, format!("{ONE_OF} only"))),
        }
        if self.kind.is_some() && self.engine.is_none() {
            wrong("/kind", "belongs to engine".to_owned());
        }
        if self.command.is_some() && self.inputs.is_some() {
            wrong("/inputs", "belongs to module or engine".to_owned());
        }
        if errors.len() > before {
            return None;
        }
        match (self.module, self.engine, self.command) {
            (Some(module), _, _) => by_module(module, self.inputs, errors),
            (_, Some(engine), _) => engine::read(engine, self.kind, self.inputs, errors),
            (_, _, Some(command)) => by_command(command, errors),
            (None, None, None) => None,
        }
    }
}

fn by_module<'b>(
    module: &RawValue,
    inputs: Option<&'b RawValue>,
    errors: &mut Vec<FieldError>,
) -> Option<Meant<'b>> {
    let name = text_of(module).and_then(|text| text.parse().map_err(|error| format!("{error}")));
    let module = name.map_err(|detail| errors.push(FieldError::new("/module", detail))).ok()?;
    let inputs = inputs.map_or("{}", |raw| raw.get()).into();
    Some(Meant { module, inputs, moved: Vec::new() })
}

fn by_command<'b>(command: &RawValue, errors: &mut Vec<FieldError>) -> Option<Meant<'b>> {
    let line = text_of(command).map_err(|rule| {
        format!("{rule} for the shell; a command with parameters is a module, with inputs")
    });
    let line = line.and_then(|line| match line.chars().count() {
        _ if line.trim().is_empty() => Err("must not be empty".to_owned()),
        0..=COMMAND_CHARS_MAX => Ok(line),
        count => Err(format!("has {count} characters; at most {COMMAND_CHARS_MAX} are taken")),
    });
    let line = line.map_err(|detail| errors.push(FieldError::new("/command", detail))).ok()?;
    let module = COMMAND_MODULE.parse().ok()?;
    let inputs = json!({ "command": line }).to_string().into();
    let moved = ["/module", "/inputs/command"].map(|to| Moved { to, from: "/command" });
    Some(Meant { module, inputs, moved: moved.to_vec() })
}
