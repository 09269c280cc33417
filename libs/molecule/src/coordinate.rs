//! A coordinate: a number as programs write them, with all its digits.

use std::fmt;

/// Furthest from the origin, in ångström. Beyond it columns ran together, or the unit is another one.
const VALUE_MAX: f64 = 1e5;

/// What is nearer to zero than this, in ångström, is zero: not every program reads such exponents.
const VALUE_MIN: f64 = 1e-30;

/// Longest number, in bytes.
const BYTES_MAX: usize = 64;

/// A number of ångströms, with the digits that were written and without an exponent.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinate {
    text: String,
    value: f64,
}

impl Coordinate {
    /// Reads one column. The error says what is wrong with it, in a chemist's words.
    pub(crate) fn read(word: &str) -> Result<Self, String> {
        let number = Number::read(word)?;
        let value: f64 = number.plain().parse().map_err(|_| no_number(word))?;
        if value.abs() > VALUE_MAX {
            return Err(format!(
                "`{word}` is further than {VALUE_MAX} ångström from the origin: did two columns run \
                 together?"
            ));
        }
        if value.abs() < VALUE_MIN {
            return Ok(Self { text: "0.0".to_owned(), value: 0.0 });
        }
        Ok(Self { text: number.plain(), value })
    }

    /// As near as a double comes to it.
    pub fn value(&self) -> f64 {
        self.value
    }
}

impl fmt::Display for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Digits and where the point stands between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    digits: String,
    /// How many digits stand before the point; may be outside of them.
    point: i64,
}

impl Number {
    /// Reads a number as C, Fortran (`1.0D0`), Mathematica (`1.0*^-5`) and papers (`−1.0`) write it.
    pub(crate) fn read(word: &str) -> Result<Self, String> {
        if word.len() > BYTES_MAX {
            return Err(format!("`{word:.20}…` has more than {BYTES_MAX} characters"));
        }
        let plain = word.replace('\u{2212}', "-").replace("*^", "e");
        let lower = plain.to_ascii_lowercase();
        let (sign, rest) = match lower.as_bytes().first() {
            Some(b'-') => (true, &lower[1..]),
            Some(b'+') => (false, &lower[1..]),
            _ => (false, &*lower),
        };
        let (mantissa, exponent) = rest.split_once(['e', 'd', 'q']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let has_exponent =
            !exponent_digits.is_empty() && exponent_digits.bytes().all(|b| b.is_ascii_digit());
        if !is_number || !has_exponent {
            return Err(wrong(word, &lower));
        }
        // A number that has so many digits in its exponent is refused as one that is too large, or is zero.
        let most = if exponent.starts_with('-') { -10_000 } else { 10_000 };
        let exponent: i64 = exponent.parse().unwrap_or(most).clamp(-10_000, 10_000);
        let point = i64::try_from(whole.len()).unwrap_or_default() + exponent;
        Ok(Self { negative: sign, digits, point })
    }

    /// Whether it was written without a point and an exponent is all that it has.
    pub(crate) fn is_whole(word: &str) -> bool {
        let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    }

    /// The same number without an exponent: digits, a point, digits.
    fn plain(&self) -> String {
        let length = i64::try_from(self.digits.len()).unwrap_or_default();
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
        let (whole, fraction) = if self.point <= 0 {
            (String::new(), format!("{}{}", zeros(-self.point), self.digits))
        } else if self.point >= length {
            (format!("{}{}", self.digits, zeros(self.point - length)), String::new())
        } else {
            let (whole, fraction) = self.digits.split_at(usize::try_from(self.point).unwrap_or(0));
            (whole.to_owned(), fraction.to_owned())
        };
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            whole => whole,
        };
        let fraction = if fraction.is_empty() { "0" } else { &*fraction };
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{whole}.{fraction}")
    }
}

fn no_number(word: &str) -> String {
    format!("`{word}` is no number")
}

/// What a word is that is no number.
fn wrong(word: &str, lower: &str) -> String {
    let letters = lower.trim_start_matches(['+', '-']);
    if ["nan", "inf", "infinity"].iter().any(|name| letters.starts_with(name)) {
        return format!("`{word}` is no place: the program that wrote it failed");
    }
    if let Some((whole, fraction)) = letters.split_once(',') {
        let is_comma = Number::is_whole(whole) && Number::read(&format!("0.{fraction}")).is_ok();
        return if is_comma {
            format!("`{word}` has a decimal comma: write {}", word.replacen(',', ".", 1))
        } else {
            format!("`{word}` has a comma: columns are separated by blanks")
        };
    }
    if !letters.is_empty() && letters.bytes().all(|b| b == b'*') {
        return format!(
            "`{word}` is a number that did not fit into its column when it was written"
        );
    }
    if let Some((count, value)) = letters.split_once('*') {
        return format!(
            "`{word}` has an asterisk: to Fortran it means {count} times the column {value}; write \
             the number itself"
        );
    }
    if letters.contains('(') {
        return format!("`{word}` has an uncertainty in brackets: leave it out");
    }
    if letters.contains('/') {
        return format!("`{word}` has a slash: to Fortran the line ends there");
    }
    if letters.contains([';', '\'']) {
        return format!("`{word}` is no number: columns are separated by blanks");
    }
    let signs_within = letters.bytes().skip(1).filter(|b| matches!(b, b'+' | b'-')).count();
    let points = letters.bytes().filter(|b| *b == b'.').count();
    let numeric = letters.bytes().all(|b| b.is_ascii_digit() || b"+-.ed".contains(&b));
    if numeric && points > 1 {
        return format!("`{word}` are several numbers that ran together");
    }
    if numeric && signs_within > 0 && letters.starts_with(|c: char| c.is_ascii_digit() || c == '.')
    {
        return format!(
            "`{word}` is an exponent without its letter, or two numbers that ran together"
        );
    }
    no_number(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinate_keeps_its_digits_and_loses_its_exponent() {
        for (word, text) in [
            ("0", "0.0"),
            ("-0.0", "0.0"),
            ("+1", "1.0"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5.0"),
            ("007.10", "7.10"),
            ("0.1000000000000000055", "0.1000000000000000055"),
            ("1.0D0", "1.0"),
            ("-1.25d+01", "-12.5"),
            ("1.5E-03", "0.0015"),
            ("12e1", "120.0"),
            ("-2.4*^-6", "-0.0000024"),
            ("\u{2212}1.5", "-1.5"),
            ("1e-300", "0.0"),
            ("1e-99999999999999999999999", "0.0"),
        ] {
            assert_eq!(Coordinate::read(word).map(|read| read.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_no_coordinate_is_named() {
        for (word, reason) in [
            ("1,16", "decimal comma: write 1.16"),
            ("0.0,", "has a comma"),
            ("1*1.16", "asterisk"),
            ("********", "did not fit"),
            ("NaN", "is no place"),
            ("-inf", "is no place"),
            ("1.16(2)", "uncertainty"),
            ("0.0/", "slash"),
            ("1.0+3", "exponent without its letter"),
            ("-1.234567-12.345678", "ran together"),
            ("0.96.5", "ran together"),
            ("1e6", "further than"),
            ("1e400", "further than"),
            ("1e99999999999999999999999", "further than"),
            ("1e", "is no number"),
            ("e5", "is no number"),
            (".", "is no number"),
            ("-", "is no number"),
            ("0x1p3", "is no number"),
            ("1_000", "is no number"),
            ("\u{ff11}", "is no number"),
            ("1.0D0D0", "is no number"),
        ] {
            let error = Coordinate::read(word).unwrap_err();
            assert!(error.contains(reason), "{word}: {error}");
        }
        assert!(Coordinate::read(&"1".repeat(BYTES_MAX + 1)).is_err());
    }
}
