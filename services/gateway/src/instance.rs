//! What an operator calls this system, so that nobody takes one for another.

use std::{fmt, str::FromStr};

/// Longest name, in characters: it stands at the top of pages.
const NAME_CHARS_MAX: usize = 40;

/// See the head of this file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct InstanceSettings {
    /// What the console calls this system, as `Production`: at most 40 characters.
    #[arg(long = "instance-name", env = "NOX_INSTANCE_NAME")]
    pub name: Option<InstanceName>,

    /// In which colour the console shows that, as `#b00020`.
    #[arg(long = "instance-color", env = "NOX_INSTANCE_COLOR")]
    pub color: Option<InstanceColor>,
}

/// A text without control characters that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceName(String);

/// `#` and six hex digits, which no style sheet takes for anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceColor(String);

impl FromStr for InstanceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let count = text.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&count) || text.contains(char::is_control) {
            return Err(format!(
                "must be 1 to {NAME_CHARS_MAX} characters, none of them a control character"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for InstanceColor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        match digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            Some(digits) => Ok(Self(format!("#{}", digits.to_ascii_lowercase()))),
            None => Err("must be # and six hex digits"),
        }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InstanceColor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_a_colour_is_one() {
        assert_eq!(" Labor 3 ".parse::<InstanceName>().unwrap().to_string(), "Labor 3");
        for wrong in ["", " ", "a\nb", &"x".repeat(41)] {
            assert!(wrong.parse::<InstanceName>().is_err(), "{wrong:?}");
        }
        assert_eq!("#B00020".parse::<InstanceColor>().unwrap().to_string(), "#b00020");
        for wrong in ["", "red", "#fff", "b00020", "#b0002", "#b00020;", "url(//x)", "#b0002ü"] {
            assert!(wrong.parse::<InstanceColor>().is_err(), "{wrong:?}");
        }
    }
}
