//! What a JSON number is, exactly. Big-number crates compute; here it is enough to compare.

/// Longest whole number that is written out where it was written otherwise, in digits.
const WHOLE_DIGITS_MAX: i64 = 20;

/// A number as digits without needless zeros, and where the point stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    exponent: i64,
}

impl<'t> Decimal<'t> {
    /// Takes a JSON number apart.
    pub fn of(text: &'t str) -> Self {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // What has more digits cannot be stored, and was refused.
        let exponent = exponent.parse().unwrap_or_default();
        Self { negative, whole, fraction, exponent }
    }

    /// Sign, digits without zeros at their ends, and how many stand before the point.
    fn normal(&self) -> (bool, String, i64) {
        let digits = format!("{}{}", self.whole, self.fraction);
        let significant = digits.trim_start_matches('0');
        let leading = digits.len() - significant.len();
        let point = self.whole.len() as i64 + self.exponent - leading as i64;
        match significant.trim_end_matches('0') {
            "" => (false, String::new(), 0),
            digits => (self.negative, digits.to_owned(), point),
        }
    }

    pub fn equals(&self, other: &Self) -> bool {
        self.normal() == other.normal()
    }

    pub fn is_whole(&self) -> bool {
        let (_, digits, point) = self.normal();
        digits.len() as i64 <= point || digits.is_empty()
    }

    /// The digits of a whole number that is not too long.
    pub fn written_out(&self) -> Option<String> {
        let (negative, digits, point) = self.normal();
        if digits.is_empty() {
            return Some("0".to_owned());
        }
        let zeros = point - digits.len() as i64;
        if zeros < 0 || point > WHOLE_DIGITS_MAX {
            return None;
        }
        let sign = if negative { "-" } else { "" };
        Some(format!("{sign}{digits}{}", "0".repeat(usize::try_from(zeros).unwrap_or_default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_they_are_however_they_are_written() {
        let equal = |a, b| Decimal::of(a).equals(&Decimal::of(b));
        for (a, b) in
            [("1", "1.0"), ("100", "1e2"), ("0", "-0.0e5"), ("0.5", "5E-1"), ("-1e400", "-10e399")]
        {
            assert!(equal(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("1", "-1"),
            ("1", "10"),
            ("0.1", "0.1000000000000000055"),
            ("9007199254740993", "9007199254740992"),
        ] {
            assert!(!equal(a, b), "{a} {b}");
        }
        for (text, whole) in [
            ("2.0", Some("2")),
            ("1e2", Some("100")),
            ("-3.0e0", Some("-3")),
            ("-0", Some("0")),
            ("18446744073709551616", Some("18446744073709551616")),
            ("1e19", Some("10000000000000000000")),
            ("1e20", None),
            ("0.5", None),
        ] {
            assert_eq!(Decimal::of(text).written_out().as_deref(), whole, "{text}");
        }
        assert!(Decimal::of("1e400").is_whole() && !Decimal::of("1e-400").is_whole());
    }
}
