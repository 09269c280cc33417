//! Which jobs are meant, where many are.

use crate::client::encoded;

/// In the words of the API.
#[derive(clap::Args)]
pub struct Filters {
    /// Only those that stand so; every usual spelling will do.
    #[arg(long)]
    status: Option<String>,

    #[arg(long)]
    module: Option<String>,

    /// Only this user's; others' are for administrators.
    #[arg(long)]
    user: Option<String>,

    /// Any filter that the API has, by its name there, repeatedly; `!=` lists all others.
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
}

/// A filter as it was typed, for the query of the API, which judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    /// With `!` at its end where it is turned around.
    key: String,
    value: String,
}

impl std::str::FromStr for Filter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim_end_matches('!').is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("not KEY=VALUE or KEY!=VALUE"),
        }
    }
}

impl Filters {
    /// `&name=value` for each, as it goes into a query.
    pub fn query(&self) -> String {
        let mut filters = String::new();
        for (name, value) in
            [("status", &self.status), ("module", &self.module), ("user_id", &self.user)]
        {
            if let Some(value) = value {
                filters.push_str(&format!("&{name}={}", encoded(value)));
            }
        }
        for Filter { key, value } in &self.filter {
            filters.push_str(&format!("&{}={}", encoded(key), encoded(value)));
        }
        filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_name_and_a_value_and_may_be_turned_around() {
        let read = |text: &str| text.parse::<Filter>().map(|Filter { key, value }| (key, value));
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(read("label=a=b"), pair("label", "a=b"));
        assert_eq!(read("status!=failed"), pair("status!", "failed"));
        assert_eq!(read("user_id="), pair("user_id", ""));
        for wrong in ["", "status", "=x", "!=x"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
