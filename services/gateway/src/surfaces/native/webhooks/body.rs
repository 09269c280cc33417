//! What is sent of a webhook.

use nox_contract::EventFilter;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{extract::Incoming, object, problem::ApiError, use_cases::webhooks::Wanted};

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 32 * 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SetWebhook")]
pub struct SetBody {
    /// Where events are sent: `https://`, without a user, a password and a fragment; at most 2,048 bytes.
    url: String,
    /// For people; at most 256 bytes.
    #[serde(default)]
    description: String,
    /// Which events, by the words of `GET /events`; all that its owner may see there, if absent.
    #[serde(default)]
    filter: Filter,
    /// Those of all of the tenant, as an admin sees them; for admins.
    #[serde(default)]
    of_tenant: bool,
    /// Whether anything is sent.
    #[serde(default = "enabled")]
    enabled: bool,
}

/// A misspelt word would silently send everything, so unknown ones are refused.
#[derive(Default, JsonSchema)]
#[schemars(transparent)]
struct Filter(EventFilter);

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let given = serde_json::Value::deserialize(deserializer)?;
        // As a struct, it would be read from an array as well.
        if !given.is_object() {
            return Err(D::Error::custom("must be an object"));
        }
        let filter: EventFilter =
            serde_json::from_value(given.clone()).map_err(D::Error::custom)?;
        let known = serde_json::to_value(&filter).map_err(D::Error::custom)?;
        let names = given
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, words)| words.as_array().is_none_or(|words| !words.is_empty()));
        for (name, _) in names {
            if known.get(name).is_none() {
                return Err(D::Error::custom(format!("unknown word `{name}`")));
            }
        }
        Ok(Self(filter))
    }
}

fn enabled() -> bool {
    true
}

/// Reads what a webhook is to be.
pub async fn read(incoming: &mut Incoming) -> Result<Wanted, ApiError> {
    parse(incoming.json(BODY_BYTES_MAX).await?.text())
}

fn parse(text: &str) -> Result<Wanted, ApiError> {
    let SetBody { url, description, filter, of_tenant, enabled } = object::read(text)?;
    Ok(Wanted { url, description, filter: filter.0, of_tenant, enabled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default_and_misspelt_words_are_refused() {
        let wanted = parse(r#"{"url":"https://hooks.example.org/"}"#).unwrap();
        assert!(wanted.enabled && !wanted.of_tenant && wanted.filter.is_empty());
        let filter = |text: &str| parse(&format!(r#"{{"url":"https://a/","filter":{text}}}"#));
        let read =
            filter(r#"{"type":["job"],"status!":["queued"],"label":["team=a"],"module":[]}"#);
        let read = read.unwrap().filter;
        assert_eq!((read.types.len(), read.not_status.len(), read.label.len()), (1, 1, 1));
        for wrong in [
            r#"{"typ":["job"]}"#,
            r#"{"type":["jobs"]}"#,
            r#"{"type":"job"}"#,
            r#"{"status":["done"]}"#,
            "[]",
            "7",
        ] {
            assert!(filter(wrong).is_err(), "{wrong}");
        }
        assert!(parse(r#"{"url":"https://a/","secret":"x"}"#).is_err());
        assert!(parse("{}").is_err());
    }
}
