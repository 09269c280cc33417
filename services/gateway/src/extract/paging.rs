//! Which page of a list is asked for: the one place that reads `limit` and `cursor`.

use std::{fmt::Display, str::FromStr};

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Deserialize;

use super::query;
use crate::problem::{ApiError, FieldError};

/// How many rows a page of a list has that names no limit, and most in any.
#[derive(Debug, Clone, Copy)]
pub struct PageSize {
    pub default: usize,
    pub max: usize,
}

/// What most lists have.
pub const PAGE: PageSize = PageSize { default: 50, max: 200 };

/// Which page of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging<C> {
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<C>,
}

impl<C: FromStr<Err: Display>> Paging<C> {
    /// Reads it off a query, whose empty parameters count as left out; what is wrong is added to `errors`.
    pub fn read(
        (limit, cursor): (Option<&str>, Option<&str>),
        size: PageSize,
        errors: &mut Vec<FieldError>,
    ) -> Self {
        let given = |text: Option<&'_ str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let limit = match given(limit).map(|text| text.parse()) {
            None => size.default,
            Some(Ok(limit)) if (1..=size.max).contains(&limit) => limit,
            Some(_) => {
                let detail = format!("must be a whole number from 1 to {}", size.max);
                errors.push(FieldError::new("?limit", detail));
                size.default
            }
        };
        let place = |text: String| {
            check_controls(&text)?;
            text.parse().map_err(|error: C::Err| error.to_string())
        };
        let after = given(cursor).map(place).transpose().unwrap_or_else(|detail| {
            errors.push(FieldError::new("?cursor", detail));
            None
        });
        Self { limit, after }
    }
}

impl<C> Paging<C> {
    /// How many rows to read: one more than is shown tells whether there are more.
    pub fn wanted(&self) -> usize {
        self.limit + 1
    }

    /// Leaves the rows of this page, and says where the next one begins, if there is one.
    pub fn cut<R, N>(&self, rows: &mut Vec<R>, place: impl FnOnce(&R) -> N) -> Option<N> {
        let is_more = rows.len() > self.limit;
        rows.truncate(self.limit);
        rows.last().filter(|_| is_more).map(place)
    }
}

/// Says what is wrong with a text that no store takes.
pub fn check_controls(text: &str) -> Result<(), String> {
    if text.contains(char::is_control) { Err("has control characters".to_owned()) } else { Ok(()) }
}

/// The query of a list that is chosen from by nothing else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedPage {
    #[schemars(with = "Option<u32>", range(min = 1, max = 200))]
    limit: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// The page that is asked for of a list with [`PAGE`] and no other parameters. All that is wrong is named at once.
pub fn paging<C: FromStr<Err: Display>>(uri: &Uri) -> Result<Paging<C>, ApiError> {
    let AskedPage { limit, cursor } = query(uri)?;
    let mut errors = Vec::new();
    let paging = Paging::read((limit.as_deref(), cursor.as_deref()), PAGE, &mut errors);
    if errors.is_empty() { Ok(paging) } else { Err(ApiError::invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_size_and_a_place_and_all_that_is_wrong_with_it_is_named_at_once() {
        let read = |query: &str| paging::<u64>(&format!("/keys?{query}").parse().unwrap());
        assert_eq!(read("").unwrap(), Paging { limit: 50, after: None });
        assert_eq!(read("limit=&cursor=").unwrap(), Paging { limit: 50, after: None });
        assert_eq!(read("limit=200&cursor=7").unwrap(), Paging { limit: 200, after: Some(7) });
        for wrong in ["limit=0", "limit=201", "limit=x", "limit=-1", "cursor=x", "cursor=%00"] {
            let shown = read(wrong).unwrap_err().shown();
            let named = format!("?{}", wrong.split('=').next().unwrap());
            assert_eq!(shown["errors"][0]["pointer"], named, "{shown}");
        }
        let both = read("limit=x&cursor=x").unwrap_err().shown();
        assert_eq!(both["errors"].as_array().unwrap().len(), 2, "{both}");
        assert!(read("limit=1&page=2").is_err());
    }

    #[test]
    fn a_page_names_the_next_one_where_there_are_more_rows_than_it_shows() {
        let page = Paging::<u64> { limit: 2, after: None };
        assert_eq!(page.wanted(), 3);
        let mut rows = vec![1, 2, 3];
        assert_eq!(page.cut(&mut rows, |row| *row), Some(2));
        assert_eq!(rows, [1, 2]);
        assert_eq!(page.cut(&mut vec![1, 2], |row| *row), None);
        assert_eq!(page.cut(&mut Vec::<u64>::new(), |row| *row), None);
    }
}
