//! The first column of an atom's line: an element, or why it is none.

use crate::element::Element;

/// What programs call what is no atom, in lower case, and what it is.
const NO_ATOMS: [(&str, &str); 11] = [
    ("d", "deuterium: masses of isotopes are not asked for here, write `H`"),
    ("t", "tritium: masses of isotopes are not asked for here, write `H`"),
    ("x", "a dummy atom: leave it out"),
    ("xx", "a dummy atom: leave it out"),
    ("q", "a point charge or dummy atom: leave it out"),
    ("du", "a dummy atom: leave it out"),
    ("bq", "a ghost atom, which has basis functions and no nucleus: leave it out"),
    ("gh", "a ghost atom, which has basis functions and no nucleus: leave it out"),
    ("lp", "a lone pair: leave it out"),
    ("ep", "an extra point: leave it out"),
    ("tv", "a translation vector: periodic cells are not computed here"),
];

/// The element that a label names. The error says, in a chemist's words, what it may be instead.
pub(crate) fn element(label: &str) -> Result<Element, String> {
    if label.bytes().all(|b| b.is_ascii_digit()) {
        return number(label);
    }
    let length = label.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (letters, rest) = label.split_at(length);
    if letters.is_empty() {
        return Err(no_letters(label));
    }
    let lower = letters.to_ascii_lowercase();
    if let Some((_, what)) = NO_ATOMS.iter().find(|(name, _)| *name == lower) {
        return Err(format!("`{label}` is {what}"));
    }
    suffix(label, rest)?;
    let numbered = !rest.is_empty();
    let mut chars = lower.chars();
    let symbol: String =
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect();
    let Some(element) = Element::of_symbol(&symbol) else {
        return Err(unknown(label, &symbol));
    };
    if letters != symbol && letters != lower && letters != letters.to_ascii_uppercase() {
        return Err(format!("`{label}` is written as no element is: write `{symbol}`"));
    }
    let other =
        two_meanings(&lower).filter(|_| letters != symbol && (numbered || letters != lower));
    match other {
        Some(other) => Err(format!(
            "`{label}` may be {symbol} or {other}: write `{symbol}`, or the element that is meant"
        )),
        None => Ok(element),
    }
}

fn number(label: &str) -> Result<Element, String> {
    if label.trim_start_matches('0').is_empty() {
        return Err(format!("`{label}` is no atomic number; a dummy atom must be left out"));
    }
    label
        .parse()
        .ok()
        .and_then(Element::of_number)
        .ok_or_else(|| format!("`{label}` is no atomic number: these are 1 to 118"))
}

fn no_letters(label: &str) -> String {
    let after_digits = label.trim_start_matches(|c: char| c.is_ascii_digit());
    if after_digits.bytes().all(|b| b.is_ascii_alphabetic()) {
        return format!(
            "`{label}` is an isotope, or a number before its element: write the symbol alone"
        );
    }
    if label.starts_with(['#', '!']) {
        return format!("`{label}` begins a remark: the comment is the second line");
    }
    if label.starts_with('@') {
        return format!("`{label}` is a ghost atom, which has no nucleus: leave it out");
    }
    if label.parse::<f64>().is_ok() {
        return format!("`{label}` is no atomic number: these are whole, 1 to 118");
    }
    format!("`{label}` is no element")
}

/// What stands after an element's letters: a running number does not matter, all else does.
fn suffix(label: &str, rest: &str) -> Result<(), String> {
    if rest.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(if rest.starts_with('(') {
        format!("`{label}` says more than an element: write the symbol alone")
    } else if rest.starts_with(':') || rest.starts_with('@') {
        format!(
            "`{label}` is a ghost atom to some programs: write the symbol alone, or leave it out"
        )
    } else if rest.contains(['+', '-']) {
        format!("`{label}` has a charge: write the symbol alone, and the whole charge in `charge`")
    } else if rest.starts_with(',') || rest.starts_with(';') {
        format!("`{label}` has a `{}`: columns are separated by blanks", &rest[..1])
    } else {
        format!(
            "`{label}` has a suffix that programs take for different things: write the symbol alone"
        )
    })
}

fn unknown(label: &str, symbol: &str) -> String {
    let one = |c: char| Element::of_symbol(&c.to_ascii_uppercase().to_string()).is_some();
    if symbol.len() > 3 {
        return format!("`{label}` is no symbol of an element");
    }
    if symbol.len() > 1 && symbol.chars().all(one) {
        return format!(
            "`{label}` is several elements, or an atom's name in a protein: each atom has a line of its own, \
             which begins with its element"
        );
    }
    if symbol.len() > 1 && symbol.starts_with(one) {
        return format!(
            "`{label}` is no element; if it is an atom's name in a protein, write its element"
        );
    }
    format!("`{label}` is no element")
}

/// What else two letters mean that are an element's: two elements, or an atom's name in a protein
/// (the element, and how far it is from the backbone).
fn two_meanings(lower: &str) -> Option<String> {
    let mut chars = lower.chars().map(|c| c.to_ascii_uppercase());
    let (Some(first), Some(second), None) = (chars.next(), chars.next(), chars.next()) else {
        return None;
    };
    let is_element = |c: char| Element::of_symbol(&c.to_string()).is_some();
    if is_element(first) && is_element(second) {
        return Some(format!("{first} and {second}"));
    }
    ("CNOSPH".contains(first) && "ABGDEZH".contains(second))
        .then(|| format!("the name of an atom {first} in a protein"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_known_however_they_are_written() {
        for (label, symbol) in [
            ("C", "C"),
            ("c", "C"),
            ("Cl", "Cl"),
            ("cl", "Cl"),
            ("CL", "Cl"),
            ("BR", "Br"),
            ("Co", "Co"),
            ("co", "Co"),
            ("Ca", "Ca"),
            ("FE", "Fe"),
            ("C1", "C"),
            ("H12", "H"),
            ("Cl2", "Cl"),
            ("CL2", "Cl"),
            ("6", "C"),
            ("06", "C"),
            ("118", "Og"),
        ] {
            assert_eq!(element(label).map(Element::symbol), Ok(symbol), "{label}");
        }
    }

    #[test]
    fn a_label_that_is_no_one_element_is_refused() {
        for (label, reason) in [
            ("CO", "Co or C and O"),
            ("HF", "Hf or H and F"),
            ("SI", "Si or S and I"),
            ("CA", "Ca or the name of an atom C in a protein"),
            ("HG", "a protein"),
            ("CO1", "Co or C and O"),
            ("co2", "Co or C and O"),
            ("cO", "written as no element is"),
            ("CB", "a protein"),
            ("OH", "several elements"),
            ("CH3", "several elements"),
            ("D", "deuterium"),
            ("13C", "isotope"),
            ("X", "dummy"),
            ("Bq", "ghost"),
            ("Gh(O)", "ghost"),
            ("@H", "ghost"),
            ("C:", "ghost"),
            ("Tv", "translation vector"),
            ("C_3", "suffix"),
            ("C*", "suffix"),
            ("Fe2+", "charge"),
            ("Cl-", "charge"),
            ("H(iso=2)", "more than an element"),
            ("Carbon", "no symbol"),
            ("Xy", "no element"),
            ("0", "dummy"),
            ("119", "1 to 118"),
            ("-6", "no atomic number"),
            ("6.0", "no atomic number"),
            ("O,", "blanks"),
            ("#", "remark"),
            ("é", "no element"),
            ("H\u{2070}", "suffix"),
        ] {
            let error = element(label).unwrap_err();
            assert!(error.contains(reason), "{label}: {error}");
        }
    }
}
