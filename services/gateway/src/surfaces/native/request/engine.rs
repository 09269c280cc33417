//! Jobs that are asked for by `engine` and `kind`, and what that means as inputs of a module.
//!
//! These are the words of the first users, who know no modules. A module of one's own is asked for by `module`.

use std::borrow::Cow;

use nox_contract::{RawJson, canonical::pointer_token};
use serde_json::value::RawValue;

use super::{form::Meant, integer, text_of};
use crate::{object::Object, problem::FieldError, problem::Moved};

/// What can be asked for: properties at a geometry that is optimized first, unless `opt` is false.
const KINDS: [&str; 1] = ["opt_properties"];

/// The engines, whose modules have the same names, and where each member of `params` goes. `uhf` and `chrg` are
/// members of all: they say once more what `multiplicity` and `charge` say.
const ENGINES: [(&str, &[(&str, To)]); 3] = [
    (
        "xtb",
        &[
            ("gfn", To::Params),
            ("opt", To::Params),
            ("opt_level", To::Params),
            ("hess", To::Params),
            ("solvent", To::Params),
            ("solvation", To::Params),
            ("grad", To::Params),
        ],
    ),
    ("orca", &[("opt", To::Task), ("hess", To::Task), ("keywords", To::Inputs)]),
    ("gaussian", &[("opt", To::Task), ("hess", To::Task), ("keywords", To::Inputs)]),
];

/// Where a member of `params` goes in the module's inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    /// It stays where it is.
    Params,
    /// Beside the molecule.
    Inputs,
    /// Into the word of `task`.
    Task,
}

/// Most unpaired electrons that anybody may mean.
const UNPAIRED_MAX: u32 = 1_000;

const CHARGE: Moved = Moved { to: "/inputs/charge", from: "/inputs/params/chrg" };
const MULTIPLICITY: Moved = Moved { to: "/inputs/multiplicity", from: "/inputs/params/uhf" };
const KEYWORDS: Moved = Moved { to: "/inputs/keywords", from: "/inputs/params/keywords" };

/// Whether an engine is called so.
pub fn is_engine(name: &str) -> bool {
    ENGINES.iter().any(|(engine, _)| *engine == name)
}

/// The kind that is called so.
pub fn kind(name: &str) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| *kind == name)
}

/// Reads what is asked of an engine. `None` if something is wrong, which then is among `errors`.
pub fn read<'b>(
    engine: &RawValue,
    kind: Option<&RawValue>,
    inputs: Option<&RawValue>,
    errors: &mut Vec<FieldError>,
) -> Option<Meant<'b>> {
    let before = errors.len();
    let kind = match kind {
        Some(kind) => known(kind, "/kind", KINDS.into_iter(), errors),
        None => Some(KINDS[0]),
    };
    let engines = ENGINES.iter().map(|(name, _)| *name);
    let engine = known(engine, "/engine", engines, errors)?;
    let (engine, table) = ENGINES.iter().find(|(name, _)| *name == engine)?;
    let moved = vec![Moved { to: "/module", from: "/engine" }];
    let mut asked = Asked { errors, moved, inputs: Vec::new(), params: Vec::new() };
    asked.read(engine, table, inputs);
    let Asked { errors, moved, mut inputs, params } = asked;
    if errors.len() > before {
        return None;
    }
    if table.iter().any(|(_, to)| *to == To::Params) {
        inputs.push(("params", object(&params).into()));
    }
    // Says afterwards how the job was asked for, and means nothing to the program.
    inputs.push(("kind", format!("\"{}\"", kind?).into()));
    let inputs = object(&inputs).into();
    Some(Meant { module: engine.parse().ok()?, inputs, moved })
}

/// A translation under way.
struct Asked<'e, 'b> {
    errors: &'e mut Vec<FieldError>,
    moved: Vec<Moved>,
    /// Members of the module's inputs, and of `params` in there.
    inputs: Vec<Member<'b>>,
    params: Vec<Member<'b>>,
}

type Member<'b> = (&'static str, Cow<'b, str>);

impl<'b> Asked<'_, 'b> {
    fn read(&mut self, engine: &str, table: &[(&'static str, To)], inputs: Option<&'b RawValue>) {
        let (mut charge, mut multiplicity, mut params) = (None, None, None);
        for (name, value) in self.members("/inputs", inputs) {
            match &*name {
                "xyz" => self.inputs.push(("xyz", value.get().into())),
                "charge" => charge = Some(value),
                "multiplicity" => multiplicity = Some(value),
                "params" => params = Some(value),
                _ => {
                    let known = "an engine has xyz, charge, multiplicity and params";
                    self.wrong("/inputs", Some(&name), format!("is not known here; {known}"));
                }
            }
        }
        let (mut chrg, mut uhf) = (None, None);
        let (mut opt, mut hess) = (true, false);
        for (name, value) in self.members("/inputs/params", params) {
            let entry = table.iter().find(|(known, _)| *known == name);
            match (&*name, entry) {
                ("chrg", _) => chrg = Some(value),
                ("uhf", _) => uhf = Some(value),
                (_, Some((name, To::Params))) => self.params.push((name, value.get().into())),
                (_, Some((name, To::Inputs))) => {
                    self.inputs.push((name, value.get().into()));
                    self.moved.push(KEYWORDS);
                }
                (name, Some((_, To::Task))) => match serde_json::from_str(value.get()) {
                    Ok(flag) if name == "opt" => opt = flag,
                    Ok(flag) => hess = flag,
                    Err(_) => {
                        self.wrong("/inputs/params", Some(name), "must be true or false".into());
                    }
                },
                (name, None) => {
                    let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
                    let names = names.join(", ");
                    let detail = format!("is not known here; {engine} has {names}, uhf and chrg");
                    self.wrong("/inputs/params", Some(name), detail);
                }
            }
        }
        if table.iter().any(|(_, to)| *to == To::Task) {
            self.inputs.push(("task", format!("\"{}\"", task(opt, hess)).into()));
        } else if !self.params.iter().any(|(name, _)| *name == "opt") {
            self.params.push(("opt", "true".into()));
        }
        self.charge(charge, chrg);
        self.multiplicity(multiplicity, uhf);
    }

    /// `chrg` says what `charge` says.
    fn charge(&mut self, charge: Option<&'b RawValue>, chrg: Option<&'b RawValue>) {
        match (charge, chrg) {
            (Some(charge), Some(chrg)) if meaning(charge) != meaning(chrg) => {
                self.wrong(CHARGE.from, None, "is another charge than /inputs/charge".into());
            }
            (None, Some(_)) => self.moved.push(CHARGE),
            _ => {}
        }
        if let Some(charge) = charge.or(chrg) {
            self.inputs.push(("charge", charge.get().into()));
        }
    }

    /// `uhf` is how many electrons are unpaired, which is the multiplicity less one. As a flag, as which it was
    /// meant once, it says nothing, but that there are some.
    fn multiplicity(&mut self, multiplicity: Option<&'b RawValue>, uhf: Option<&'b RawValue>) {
        if let Some(multiplicity) = multiplicity {
            self.inputs.push(("multiplicity", multiplicity.get().into()));
        }
        // What is no multiplicity is refused by the module's schema.
        let given = multiplicity.map(|given| integer(given, 1, UNPAIRED_MAX + 1).ok());
        let Some(uhf) = uhf else { return };
        let unpaired = match (uhf.get(), given) {
            ("false", _) | ("true", Some(None | Some(2..))) => return,
            ("true", _) => {
                let detail = "does not say how many electrons are unpaired: give multiplicity above 1, \
                              or that number in place of true";
                return self.wrong(MULTIPLICITY.from, None, detail.to_owned());
            }
            _ => integer(uhf, 0, UNPAIRED_MAX),
        };
        match (unpaired, given) {
            (Err(rule), _) => self.wrong(MULTIPLICITY.from, None, rule),
            (Ok(unpaired), None) => {
                self.inputs.push(("multiplicity", (unpaired + 1).to_string().into()));
                self.moved.push(MULTIPLICITY);
            }
            (Ok(unpaired), Some(Some(multiplicity))) if multiplicity != unpaired + 1 => {
                let detail = format!(
                    "{unpaired} unpaired electrons have the multiplicity {}, and /inputs/multiplicity is \
                     {multiplicity}",
                    unpaired + 1
                );
                self.wrong(MULTIPLICITY.from, None, detail);
            }
            (Ok(_), Some(_)) => {}
        }
    }

    /// The members of an object; those that are `null` count as left out, for clients send what they have not set.
    fn members(
        &mut self,
        place: &str,
        object: Option<&'b RawValue>,
    ) -> Vec<(Cow<'b, str>, &'b RawValue)> {
        let Some(object) = object.filter(|object| object.get() != "null") else {
            return Vec::new();
        };
        match serde_json::from_str::<Object<'b>>(object.get()) {
            Ok(Object(mut members)) => {
                members.retain(|(_, value)| value.get() != "null");
                members
            }
            Err(_) => {
                let rule = "must be an object that has each member once, and few";
                self.wrong(place, None, rule.to_owned());
                Vec::new()
            }
        }
    }

    fn wrong(&mut self, place: &str, member: Option<&str>, detail: String) {
        let place = match member {
            Some(member) => {
                let member: String = member.chars().take(64).collect();
                format!("{place}/{}", pointer_token(&member))
            }
            None => place.to_owned(),
        };
        self.errors.push(FieldError::new(place, detail));
    }
}

/// The word of `task` for what is to be done.
fn task(opt: bool, hess: bool) -> &'static str {
    match (opt, hess) {
        (false, false) => "SP",
        (true, false) => "Opt",
        (false, true) => "Freq",
        (true, true) => "Opt Freq",
    }
}

/// The one of `words` that is named.
fn known(
    named: &RawValue,
    place: &str,
    words: impl Iterator<Item = &'static str> + Clone,
    errors: &mut Vec<FieldError>,
) -> Option<&'static str> {
    let name = text_of(named).unwrap_or_default();
    let word = words.clone().find(|word| *word == name);
    if word.is_none() {
        let words: Vec<_> = words.collect();
        let detail = format!("is not known here; there is {}", words.join(", "));
        errors.push(FieldError::new(place, detail));
    }
    word
}

/// What a value means, however it is written.
fn meaning(value: &RawValue) -> Option<String> {
    let value: RawJson = serde_json::from_str(value.get()).ok()?;
    Some(value.canonical().ok()?.get().to_owned())
}

/// Writes an object of which each member is JSON already.
fn object(members: &[Member<'_>]) -> String {
    let members: Vec<_> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}
