//! What a module runs: a program and its command line, or something built in.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::condition::When;
use crate::template::Template;

/// Programs that take a text for a command.
const SHELLS: [&str; 7] = ["sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"];

/// What is run.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RunTable")]
pub enum Run {
    Builtin(Builtin),
    Program(Program),
}

/// What the executor does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// Nothing; for measurements and tests.
    Noop,
}

/// A program and its command line.
#[derive(Debug, Clone)]
pub struct Program {
    /// A name that is looked up in `PATH`, or an absolute path.
    pub program: String,
    /// The environment variable of the executor that names another program instead.
    pub program_env: Option<String>,
    pub args: Vec<Arg>,
    pub env: BTreeMap<String, Template>,
    /// Variables of the executor's own environment that the program gets as well, and whose values are
    /// masked in what it prints.
    pub secret_env: Vec<String>,
    pub success_exit_codes: Vec<i32>,
    /// The environment variable of the executor that names the folder to begin in.
    pub folder_env: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunTable {
    builtin: Option<Builtin>,
    program: Option<String>,
    program_env: Option<String>,
    #[serde(default)]
    args: Vec<Arg>,
    #[serde(default)]
    env: BTreeMap<String, Template>,
    #[serde(default)]
    secret_env: Vec<String>,
    #[serde(default = "only_zero")]
    success_exit_codes: Vec<i32>,
    folder_env: Option<String>,
}

fn only_zero() -> Vec<i32> {
    vec![0]
}

impl TryFrom<RunTable> for Run {
    type Error = String;

    fn try_from(table: RunTable) -> Result<Self, String> {
        let RunTable {
            builtin,
            program,
            program_env,
            args,
            env,
            secret_env,
            success_exit_codes,
            folder_env,
        } = table;
        match (builtin, program) {
            (Some(builtin), None) if args.is_empty() && env.is_empty() => {
                Ok(Self::Builtin(builtin))
            }
            (Some(_), None) => Err("a builtin has neither `args` nor `env`".to_owned()),
            (None, Some(program)) if !program.is_empty() => {
                if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains('=')) {
                    return Err(format!("`{name}` is no name of an environment variable"));
                }
                // What is Nox's own is no job's.
                if let Some(name) = secret_env.iter().find(|name| name.starts_with("NOX_")) {
                    return Err(format!("`{name}` is not for programs"));
                }
                Ok(Self::Program(Program {
                    program,
                    program_env,
                    args,
                    env,
                    secret_env,
                    success_exit_codes,
                    folder_env,
                }))
            }
            _ => Err("`run` needs either `program` or `builtin`".to_owned()),
        }
    }
}

impl Run {
    /// The variable of the executor that names the folder to begin in.
    pub fn folder_env(&self) -> Option<&str> {
        match self {
            Self::Program(program) => program.folder_env.as_deref(),
            Self::Builtin(_) => None,
        }
    }

    /// Whether a shell is told what a submitter says: that is a raw command, whatever it looks like.
    pub(crate) fn is_raw_shell(&self) -> bool {
        let Self::Program(Program { program, args, .. }) = self else { return false };
        let name = program.rsplit('/').next().unwrap_or_default();
        let mut args = args.iter().flat_map(|arg| &arg.templates);
        // `-c`, by itself or among other letters: `-ec`.
        let is_option =
            |text: &str| text.starts_with('-') && !text.starts_with("--") && text.contains('c');
        SHELLS.contains(&name)
            && args.by_ref().any(|arg| arg.plain().is_some_and(is_option))
            && args.next().is_some_and(Template::wants_inputs)
    }

    /// Everything that is filled in of its command line.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let program = match self {
            Self::Builtin(_) => None,
            Self::Program(program) => Some(program),
        };
        program.into_iter().flat_map(|program| {
            let args = program.args.iter().flat_map(|arg| &arg.templates);
            args.chain(program.env.values())
        })
    }
}

/// An argument, or several that are there only if an input is.
#[derive(Debug, Clone)]
pub struct Arg {
    pub when: When,
    pub templates: Vec<Template>,
}

impl<'de> Deserialize<'de> for Arg {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArgVisitor;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Conditional {
            when: When,
            args: Vec<Template>,
        }

        impl<'de> Visitor<'de> for ArgVisitor {
            type Value = Arg;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a table with `when` and `args`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Arg, E> {
                let template = Template::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(Arg { when: When::default(), templates: vec![template] })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Arg, M::Error> {
                let Conditional { when, args } =
                    Conditional::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Arg { when, templates: args })
            }
        }

        deserializer.deserialize_any(ArgVisitor)
    }
}
