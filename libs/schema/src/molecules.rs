//! Which inputs are molecules, and what belongs to them.
//!
//! `format: "xyz"` makes a text a molecule; the keyword `x-nox-molecule` at a schema's root says which of
//! them is computed, and which inputs are its charge and multiplicity:
//!
//! ```json
//! {"x-nox-molecule": {"xyz": "xyz", "charge": "charge", "multiplicity": "multiplicity", "elements_max": 86}}
//! ```

use std::collections::BTreeMap;

use nox_contract::canonical::pointer_token;
use nox_molecule::{Electrons, Element, Impossible, Molecule};

use crate::{Exact, Invalid};

/// The keyword, and the format.
const KEYWORD: &str = "x-nox-molecule";
const FORMAT: &str = "xyz";

/// What is known of a molecule that is computed: `xyz` is its plain form, `atom_lines` that without the
/// first two lines, `coord_lines` these with the element last.
pub const MOLECULE_MEMBERS: [&str; 9] = [
    "xyz",
    "atom_lines",
    "coord_lines",
    "atoms",
    "formula",
    "charge",
    "multiplicity",
    "electrons",
    "unpaired_electrons",
];

/// The molecules that a schema speaks of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Molecules {
    /// Paths, as `a.b`, to the texts of the format.
    texts: Vec<String>,
    computed: Option<Computed>,
}

/// What is computed: paths into the inputs.
#[derive(Debug, Clone)]
struct Computed {
    xyz: String,
    charge: Option<String>,
    multiplicity: Option<String>,
    /// The largest atomic number that the program knows.
    elements_max: Option<Element>,
}

impl Molecules {
    pub fn of(schema: &Exact) -> Result<Self, String> {
        let mut texts = Vec::new();
        find(schema, "", &mut texts);
        let computed =
            schema.member(KEYWORD).map(|table| Computed::read(table, &texts)).transpose()?;
        Ok(Self { texts, computed })
    }

    pub fn is_computed(&self) -> bool {
        self.computed.is_some()
    }

    /// Puts molecules into their plain form, and checks the electrons of the one that is computed.
    pub fn prepare(&self, inputs: &mut Exact) -> Result<Exact, Vec<Invalid>> {
        let mut wrong = Vec::new();
        let mut computed = None;
        for path in &self.texts {
            let Some(text) = inputs.at(path).and_then(Exact::as_text) else { continue };
            match Molecule::read(text) {
                Ok(molecule) => {
                    if let Some(place) = inputs.entry(path) {
                        *place = Exact::String(molecule.to_xyz());
                    }
                    if self.computed.as_ref().is_some_and(|computed| computed.xyz == *path) {
                        computed = Some(molecule);
                    }
                }
                Err(refusal) => wrong.push(Invalid {
                    pointer: pointer(path),
                    detail: refusal.to_string(),
                    place: Some((refusal.line, refusal.column)),
                }),
            }
        }
        let known = match (&self.computed, computed) {
            (Some(rule), Some(molecule)) => {
                rule.known(&molecule, inputs).map_err(|invalid| wrong.push(invalid))
            }
            _ => Ok(Exact::Null),
        };
        match known {
            Ok(known) if wrong.is_empty() => Ok(known),
            _ => Err(wrong),
        }
    }
}

impl Computed {
    fn read(table: &Exact, texts: &[String]) -> Result<Self, String> {
        let Exact::Object(members) = table else {
            return Err(format!("`{KEYWORD}` must be an object"));
        };
        let known = ["xyz", "charge", "multiplicity", "elements_max"];
        if let Some(name) = members.keys().find(|name| !known.contains(&&***name)) {
            return Err(format!("`{KEYWORD}` has {}, not `{name}`", known.join(", ")));
        }
        let path = |name: &str| members.get(name).and_then(Exact::as_text).map(str::to_owned);
        let xyz = path("xyz").filter(|path| texts.contains(path)).ok_or_else(|| {
            format!("`{KEYWORD}.xyz` must name an input that has the format `{FORMAT}`")
        })?;
        let elements_max = match members.get("elements_max") {
            None => None,
            Some(number) => {
                let element =
                    number.as_whole().and_then(|n| Element::of_number(u32::try_from(n).ok()?));
                Some(
                    element
                        .ok_or_else(|| format!("`{KEYWORD}.elements_max` is no atomic number"))?,
                )
            }
        };
        Ok(Self { xyz, charge: path("charge"), multiplicity: path("multiplicity"), elements_max })
    }

    /// What templates may put in: the molecule's own members.
    fn known(&self, molecule: &Molecule, inputs: &mut Exact) -> Result<Exact, Invalid> {
        let at = |path: &Option<String>| path.as_deref().and_then(|path| inputs.at(path));
        let whole = |path: &Option<String>| at(path).and_then(Exact::as_whole);
        let invalid = |path: Option<&str>, detail: String| Invalid {
            pointer: pointer(path.unwrap_or(&self.xyz)),
            detail,
            place: None,
        };
        if let (Some(most), Some(heaviest)) = (self.elements_max, molecule.heaviest())
            && heaviest > most
        {
            let detail = format!(
                "{} is beyond the elements that this module computes, which end at {}",
                heaviest.symbol(),
                most.symbol()
            );
            return Err(invalid(None, detail));
        }
        let charge = whole(&self.charge).unwrap_or(0);
        let electrons = molecule.electrons(charge, whole(&self.multiplicity)).map_err(|error| {
            let path = match error {
                Impossible::Charge(_) => &self.charge,
                Impossible::Multiplicity(_) => &self.multiplicity,
            };
            invalid(path.as_deref(), error.to_string())
        })?;
        if let Some(place) = self.multiplicity.as_deref().and_then(|path| inputs.entry(path)) {
            *place = Exact::Number(electrons.multiplicity.to_string());
        }
        Ok(members(molecule, &electrons))
    }
}

fn members(molecule: &Molecule, electrons: &Electrons) -> Exact {
    let number = |value: i64| Exact::Number(value.to_string());
    let atoms = i64::try_from(molecule.atoms.len()).unwrap_or(i64::MAX);
    let values = [
        Exact::String(molecule.to_xyz()),
        Exact::String(molecule.atom_lines()),
        Exact::String(molecule.coord_lines()),
        number(atoms),
        Exact::String(molecule.formula()),
        number(electrons.charge),
        number(electrons.multiplicity),
        number(electrons.count),
        number(electrons.unpaired()),
    ];
    let members = MOLECULE_MEMBERS.map(str::to_owned).into_iter().zip(values);
    Exact::Object(members.collect::<BTreeMap<_, _>>())
}

/// Finds the texts of the format: properties, and properties of these.
fn find(schema: &Exact, path: &str, texts: &mut Vec<String>) {
    if schema.member("format").and_then(Exact::as_text) == Some(FORMAT) && !path.is_empty() {
        texts.push(path.to_owned());
    }
    let Some(Exact::Object(properties)) = schema.member("properties") else { return };
    for (name, property) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        find(property, &path, texts);
    }
}

fn pointer(path: &str) -> String {
    path.split('.').map(|name| format!("/{}", pointer_token(name))).collect()
}

#[cfg(test)]
mod tests {
    use nox_contract::RawJson;

    use crate::{Prepared, Schema};

    use super::*;

    const SCHEMA: &str = r#"{
        "x-nox-molecule": {"xyz": "m.xyz", "charge": "charge", "multiplicity": "multiplicity", "elements_max": 86},
        "properties": {
            "m": {"properties": {"xyz": {"type": "string", "format": "xyz"}}},
            "other": {"type": "string", "format": "xyz"},
            "charge": {"type": "integer", "default": 0},
            "multiplicity": {"type": "integer"}
        }
    }"#;

    fn prepare(inputs: &str) -> Result<Prepared, Vec<Invalid>> {
        let raw = |text: &str| RawJson::parse(text.to_owned()).unwrap();
        Schema::compile(&raw(SCHEMA)).unwrap().prepare(&raw(inputs))
    }

    #[test]
    fn a_program_gets_the_plain_form_and_the_lowest_multiplicity() {
        let Prepared { inputs, molecule } =
            prepare(r#"{"m": {"xyz": "1\r\n\r\nLI 1D0 0 0"}}"#).unwrap();
        assert_eq!(inputs.at("m.xyz").unwrap().as_text(), Some("1\n\nLi 1.0 0.0 0.0\n"));
        assert_eq!(inputs.at("multiplicity").unwrap().as_whole(), Some(2));
        assert_eq!(molecule.at("formula").unwrap().as_text(), Some("Li"));
        assert_eq!(molecule.at("unpaired_electrons").unwrap().as_whole(), Some(1));
        assert_eq!(molecule.at("atom_lines").unwrap().as_text(), Some("Li 1.0 0.0 0.0\n"));
        assert_eq!(prepare("{}").unwrap().molecule, Exact::Null);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let pointers = |inputs: &str| -> Vec<_> {
            let wrong = prepare(inputs).unwrap_err().into_iter();
            wrong.map(|invalid| (invalid.pointer, invalid.place)).collect()
        };
        let two = r#"{"m": {"xyz": "1\n\nH 0 0 1,0"}, "other": ""}"#;
        let expected = [("/m/xyz".to_owned(), Some((3, 7))), ("/other".to_owned(), Some((1, 1)))];
        assert_eq!(pointers(two), expected);
        let charge = r#"{"m": {"xyz": "1\n\nH 0 0 0"}, "charge": 100}"#;
        assert_eq!(pointers(charge), [("/charge".to_owned(), None)]);
        let spin = r#"{"m": {"xyz": "1\n\nH 0 0 0"}, "multiplicity": 1}"#;
        assert_eq!(pointers(spin), [("/multiplicity".to_owned(), None)]);
        let heavy = r#"{"m": {"xyz": "1\n\nU 0 0 0"}}"#;
        assert_eq!(pointers(heavy), [("/m/xyz".to_owned(), None)]);
    }

    #[test]
    fn annotations_that_name_nothing_are_refused() {
        for wrong in [
            r#"{"x-nox-molecule": {"xyz": "none"}}"#,
            r#"{"x-nox-molecule": 7}"#,
            r#"{"x-nox-molecule": {"xyz": "a", "spin": "b"}, "properties": {"a": {"format": "xyz"}}}"#,
            r#"{"x-nox-molecule": {"xyz": "a", "elements_max": 500}, "properties": {"a": {"format": "xyz"}}}"#,
        ] {
            assert!(
                Schema::compile(&RawJson::parse(wrong.to_owned()).unwrap()).is_err(),
                "{wrong}"
            );
        }
    }
}
