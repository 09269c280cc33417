//! Whether a licence expression can be met with licences we accept.

/// Each lets the project be passed on under Apache-2.0, and asks for no more than to be named.
const ACCEPTED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    // Data rather than code: the root certificates of webpki-roots.
    "CDLA-Permissive-2.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Judges an SPDX expression: `OR` needs one side, `AND` both and binds closer, `WITH` adds a freedom.
///
/// # Errors
/// Says what is not accepted, or that the expression cannot be read.
pub fn accepted(expression: &str) -> Result<(), String> {
    // Before SPDX expressions, crates wrote a slash for OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = &words[..];
    let verdict = either(&mut words)?;
    match words.first() {
        None => verdict,
        Some(word) => Err(format!("{word:?} is out of place")),
    }
}

/// The outer result says whether it could be read, the inner one whether it is accepted.
type Verdict = Result<Result<(), String>, String>;

fn either(words: &mut &[&str]) -> Verdict {
    let mut verdict = both(words)?;
    while take(words, "OR") {
        let other = both(words)?;
        verdict = verdict.or(other);
    }
    Ok(verdict)
}

fn both(words: &mut &[&str]) -> Verdict {
    let mut verdict = one(words)?;
    while take(words, "AND") {
        let other = one(words)?;
        verdict = verdict.and(other);
    }
    Ok(verdict)
}

fn one(words: &mut &[&str]) -> Verdict {
    if take(words, "(") {
        let verdict = either(words)?;
        return if take(words, ")") { Ok(verdict) } else { Err("a bracket stays open".to_owned()) };
    }
    let licence = next(words)?;
    if take(words, "WITH") {
        next(words)?;
    }
    Ok(if ACCEPTED.contains(&licence) { Ok(()) } else { Err(format!("{licence} is not accepted")) })
}

fn take(words: &mut &[&str], wanted: &str) -> bool {
    let there = words.first() == Some(&wanted);
    if there {
        *words = &words[1..];
    }
    there
}

fn next<'a>(words: &mut &[&'a str]) -> Result<&'a str, String> {
    match words.split_first() {
        Some((word, rest)) if !["AND", "OR", "WITH", "(", ")"].contains(word) => {
            *words = rest;
            Ok(word)
        }
        _ => Err("a licence is missing".to_owned()),
    }
}

#[test]
fn an_expression_is_met_by_one_side_of_or_and_both_of_and() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-2.0-only OR MIT",
        "(MIT OR GPL-3.0-only) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0-only",
        "GPL-3.0-only AND BSL-1.0 OR MIT",
        "ISC AND (Apache-2.0 OR ISC) AND (Apache-2.0 OR ISC OR MIT)",
    ] {
        assert_eq!(accepted(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0-only",
        "mit",
        "MIT AND GPL-3.0-only",
        "MIT AND (GPL-3.0-only OR AGPL-3.0-only)",
        "GPL-3.0-only OR AGPL-3.0-only AND MIT",
        "GPL-3.0-only WITH Classpath-exception-2.0",
        "MIT OR",
        "MIT MIT",
        "MIT AND AND MIT",
        "(MIT",
        "MIT)",
        "MIT WITH",
    ] {
        assert!(accepted(bad).is_err(), "{bad}");
    }
}
