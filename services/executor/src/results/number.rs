//! Numbers as programs print them, with their digits.

use nox_contract::RawJson;
use serde_json::Value;

use super::{storable, texts::Nothing};

/// A number by its JSON text, which it keeps unless it is scaled.
pub fn number(text: &str, scale: Option<f64>) -> Result<RawJson, Nothing> {
    match scale {
        None => storable(text.to_owned()),
        Some(_) => computed(text.parse().unwrap_or(f64::INFINITY), scale),
    }
}

/// A number that is a double.
pub fn computed(value: f64, scale: Option<f64>) -> Result<RawJson, Nothing> {
    let value = value * scale.unwrap_or(1.0);
    if !value.is_finite() {
        return Err(Nothing::Wrong("it is larger than a double can be".to_owned()));
    }
    storable(Value::from(value).to_string())
}

/// What a program printed (`+1.0D-05`, `.5`, `007`), with the same digits as JSON; nothing if it is no number,
/// and NaN is none.
pub fn json_number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E', 'd', 'D']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let mut json = format!("{sign}{whole}");
    if mantissa.contains('.') {
        json += &format!(".{}", if fraction.is_empty() { "0" } else { fraction });
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !is_digits(digits) {
            return None;
        }
        json += &format!("e{exponent}");
    }
    Some(json)
}

/// Whether JSON's text of a number is that of a whole one.
pub fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a JSON text is a number.
pub fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}
