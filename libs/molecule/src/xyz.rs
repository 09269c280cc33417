//! Reads the lines: how many atoms, a comment, and the atoms.

use crate::{
    Atom, Molecule, Refusal,
    columns::{self, Row},
    comment::{Comment, Layout},
    coordinate::{Coordinate, Number},
    element::Element,
    foreign, label, nearness, plain,
};

/// Most atoms of a molecule. Programs of quantum chemistry end long before.
pub const ATOMS_MAX: usize = 100_000;

/// What a line has if nothing else is said: the label, then x, y and z.
const LABEL: usize = 0;
const POSITION: usize = 1;

/// Characters that nobody sees and programs stumble over.
const INVISIBLE: [char; 6] = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}'];

/// A line and its number, from 1.
#[derive(Clone, Copy)]
struct Line<'t> {
    number: usize,
    text: &'t str,
}

impl<'t> Line<'t> {
    /// A refusal at a byte of the line.
    fn refusal(self, at: usize, reason: impl Into<String>) -> Refusal {
        let before = self.text.get(..at).unwrap_or(self.text);
        Refusal { line: self.number, column: before.chars().count() + 1, reason: reason.into() }
    }

    /// A refusal at a word of the line.
    fn refusal_at(self, word: &str, reason: impl Into<String>) -> Refusal {
        self.refusal(word.as_ptr() as usize - self.text.as_ptr() as usize, reason)
    }

    fn words(self) -> Vec<&'t str> {
        let mut words: Vec<_> = self.text.split_whitespace().collect();
        // Programs take `#` and `!` for the beginning of a remark.
        if let Some(remark) = words.iter().skip(1).position(|word| word.starts_with(['#', '!'])) {
            words.truncate(remark + 1);
        }
        words
    }

    fn is_blank(self) -> bool {
        self.text.trim().is_empty()
    }
}

pub(crate) fn read(text: &str) -> Result<Molecule, Refusal> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A lone carriage return ends a line, as it did on old Macs.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<_> = text
        .split('\n')
        .enumerate()
        .map(|(index, text)| Line { number: index + 1, text })
        .collect();
    for line in &lines {
        if let Some(at) =
            line.text.find(|c: char| INVISIBLE.contains(&c) || c.is_control() && !c.is_whitespace())
        {
            let code = line.text[at..].chars().next().map_or(0, u32::from);
            return Err(
                line.refusal(at, format!("the character U+{code:04X} cannot be seen: delete it"))
            );
        }
    }
    let mut lines = lines.into_iter().skip_while(|line| line.is_blank());
    let Some(first) = lines.next() else {
        return Err(Refusal { line: 1, column: 1, reason: "there is no molecule".to_owned() });
    };
    let count = count(first, &text)?;
    let Some(second) = lines.next() else {
        return Err(first.refusal(first.text.len(), format!("no {count} atoms follow")));
    };
    let comment = Comment::read(second.text).map_err(|(at, reason)| second.refusal(at, reason))?;
    let mut rest = lines.filter(|line| !line.is_blank());
    let block: Vec<_> = rest.by_ref().take(count).collect();
    let rest: Vec<_> = rest.collect();

    let mut atoms = Vec::with_capacity(block.len());
    let mut rows = Vec::new();
    for line in &block {
        let (atom, row) = atom(*line, comment.layout)?;
        atoms.push(atom);
        rows.extend(row);
    }
    if atoms.len() < count {
        return Err(too_few(first, second, atoms.len(), count));
    }
    if let Some(after) = rest.first() {
        let texts: Vec<_> = rest.iter().map(|line| line.text).collect();
        let at = after.text.len() - after.text.trim_start().len();
        return Err(after.refusal(at, foreign::after_the_atoms(&texts, count)));
    }
    if let Some(reason) = columns::doubt(&rows) {
        return Err(block[0].refusal(0, reason));
    }
    if let Some((a, b, distance)) = nearness::too_near(&atoms) {
        let reason = format!(
            "atoms {} and {} are {distance:.3} ångström apart: no two nuclei of a molecule are so \
             near; is one there twice, or the unit another?",
            a + 1,
            b + 1
        );
        return Err(block[b].refusal(0, reason));
    }
    let kept = if comment.extended { String::new() } else { plain(second.text) };
    Ok(Molecule { atoms, comment: kept, stated: comment.stated })
}

/// The number in the first line.
fn count(line: Line<'_>, text: &str) -> Result<usize, Refusal> {
    let words = line.words();
    let word = words[0];
    if !Number::is_whole(word) {
        let reason = if atom(line, None).is_ok() {
            "the first line must be the number of atoms, the second a comment; here the atoms begin"
                .to_owned()
        } else if let Some(format) = foreign::format(line.text, text) {
            format!("this is {format}: XYZ begins with the number of atoms")
        } else {
            format!("`{word:.40}` must be the number of atoms")
        };
        return Err(line.refusal_at(word, reason));
    }
    if let Some(more) = words.get(1) {
        let reason = if atom(line, None).is_ok() {
            "the first line must be the number of atoms, the second a comment; here the atoms begin"
                .to_owned()
        } else if text.contains("V2000") || text.contains("V3000") {
            "this is a molfile: XYZ begins with the number of atoms".to_owned()
        } else {
            format!(
                "`{more:.40}` follows the number of atoms, which stands alone in the first line"
            )
        };
        return Err(line.refusal_at(more, reason));
    }
    match word.parse::<usize>() {
        Ok(0) => Err(line.refusal_at(word, "a molecule has one atom at least")),
        Ok(count) if count <= ATOMS_MAX => Ok(count),
        Ok(_) | Err(_) if word.starts_with('-') => {
            Err(line.refusal_at(word, "a number of atoms cannot be negative"))
        }
        Ok(_) | Err(_) => {
            Err(line.refusal_at(word, format!("a molecule has at most {ATOMS_MAX} atoms")))
        }
    }
}

/// Fewer atoms than the first line says: often for want of the comment.
fn too_few(first: Line<'_>, second: Line<'_>, found: usize, count: usize) -> Refusal {
    if found + 1 == count && atom(second, None).is_ok() {
        return second.refusal(
            0,
            "the second line must be a comment, which may be empty; here the atoms begin",
        );
    }
    first.refusal(0, format!("the first line says {count} atoms, and {found} follow"))
}

/// Reads one atom's line; gives its numbers as well where nobody said which columns are which.
fn atom<'t>(line: Line<'t>, layout: Option<Layout>) -> Result<(Atom, Option<Row<'t>>), Refusal> {
    let words = line.words();
    if let Some(Layout { columns, .. }) = layout
        && words.len() != columns
    {
        let reason = format!(
            "the comment's `Properties` say {columns} columns, and here are {}",
            words.len()
        );
        return Err(line.refusal(0, reason));
    }
    let (label_at, position_at) = layout.map_or((LABEL, POSITION), |l| (l.label, l.position));
    let label = *words.get(label_at).ok_or_else(|| line.refusal(0, "is no atom"))?;
    let element: Element =
        label::element(label).map_err(|reason| line.refusal_at(label, reason))?;
    let numbers = words.get(position_at..).unwrap_or_default();
    for (place, word) in numbers.iter().enumerate().filter(|_| layout.is_none()) {
        let Err(reason) = Number::read(word) else { continue };
        // `1 C 0.0 …`: the label was read for an atomic number.
        let is_index = place == 0 && Number::is_whole(label) && label::element(word).is_ok();
        let reason = if is_index {
            format!("the element `{word}` is in the second column: leave out the one before it")
        } else if place < 3 {
            reason
        } else {
            format!("{reason}; only numbers may follow x, y and z")
        };
        return Err(line.refusal_at(word, reason));
    }
    let [x, y, z, ..] = *numbers else {
        let reason = match numbers.len() {
            0 => "no x, y and z follow the element".to_owned(),
            found => format!(
                "{found} numbers follow the element, and not x, y and z: is this a Z-matrix?"
            ),
        };
        return Err(line.refusal(line.text.trim_end().len(), reason));
    };
    let read = |word: &str| Coordinate::read(word).map_err(|reason| line.refusal_at(word, reason));
    let atom = Atom { element, position: [read(x)?, read(y)?, read(z)?] };
    let row = layout.is_none().then(|| Row {
        words: numbers.to_vec(),
        number: element.number(),
        is_number: Number::is_whole(label),
    });
    Ok((atom, row))
}
