//! Numbers that may not be the coordinates: other programs' formats that look like XYZ with more columns.

use crate::coordinate::Number;

/// The words of an atom's line after its label.
pub(crate) struct Row<'t> {
    pub words: Vec<&'t str>,
    /// The atomic number that the label stands for.
    pub number: u8,
    pub is_number: bool,
}

/// Why the first three numbers of all lines are perhaps not the coordinates. A molecule whose
/// coordinates really look so can be written with points, or without the further columns.
pub(crate) fn doubt(rows: &[Row<'_>]) -> Option<&'static str> {
    let all = |holds: &dyn Fn(&Row<'_>) -> bool| rows.iter().all(holds);
    if rows.is_empty() || !all(&|row| row.words.len() > 3) {
        return None;
    }
    if all(&|row| row.words[0].parse() == Ok(f64::from(row.number))) {
        return Some("the second column is the nuclear charge, as GAMESS has it: leave it out");
    }
    // What is written without a point in every line is an index, a type or a flag.
    let whole = |column: usize| all(&|row| Number::is_whole(row.words[column]));
    let fraction =
        |column: usize| all(&|row| row.words.get(column).is_some_and(|word| word.contains('.')));
    let further = (3..rows.first()?.words.len()).any(fraction);
    if !further || !(0..3).any(whole) {
        return None;
    }
    Some(if all(&|row| row.is_number) && whole(0) && whole(1) {
        "the first columns are whole numbers, as in a table of centers by Gaussian: write the element \
         and x, y, z alone"
    } else if fraction(0) && whole(1) {
        "every second column is a flag, as MOPAC has it: leave the flags out"
    } else {
        "a column of the coordinates is whole in every line, and a further one is not: it may be a flag \
         or an index; leave it out, or write 0.0 for 0"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubted(number: u8, lines: &[&str]) -> Option<&'static str> {
        let rows = lines.iter().map(|line| {
            let words = line.split_whitespace().collect();
            Row { words, number, is_number: false }
        });
        doubt(&rows.collect::<Vec<_>>())
    }

    #[test]
    fn columns_that_may_be_flags_are_doubted_and_others_not() {
        for (lines, reason) in [
            (&["6.0 0.0 0.0 0.1", "6.0 0.0 0.0 1.3"][..], "GAMESS"),
            (&["6 0.0 0.0 0.1"], "GAMESS"),
            (&["0 0.0 0.0 0.1", "-1 0.0 0.0 1.3"], "flag or an index"),
            (&["0.0 1 0.0 1 0.1 1 0.2", "0.5 1 0.0 1 0.1 1 -0.2"], "MOPAC"),
        ] {
            assert!(doubted(6, lines).unwrap_or_default().contains(reason), "{lines:?}");
        }
        for lines in [
            &["0 0 0"][..],
            &["0 0 0 1 2 3"],
            &["0.0 0.0 0.0 -0.1", "6.0 0 1.1 0.1"],
            &["0 0 0 -0.1", "0.9 0.5 0.1 0.1"],
        ] {
            assert_eq!(doubted(6, lines), None, "{lines:?}");
        }
    }
}
