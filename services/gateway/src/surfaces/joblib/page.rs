//! Lists with a total, as clients of this surface know them.

use axum::http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    extract,
    problem::{ApiError, FieldError},
};

/// Rows of one page, if nothing is asked for, and at most.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 100;
/// Behind so many, nothing is looked for.
const OFFSET_MAX: u32 = 10_000;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Of a great many, as far as they were counted.
    pub total: usize,
    pub limit: u32,
    pub offset: u32,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    #[schemars(range(max = 10_000))]
    offset: Option<u32>,
    pub status: Option<String>,
    pub job_name: Option<String>,
}

impl Asked {
    pub fn read(uri: &Uri) -> Result<Self, ApiError> {
        let asked: Self = extract::query(uri)?;
        let wrong = |name: &str, detail: String| {
            Err(ApiError::invalid(vec![FieldError::new(name, detail)]))
        };
        if !(1..=LIMIT_MAX).contains(&asked.limit()) {
            return wrong("?limit", format!("must be from 1 to {LIMIT_MAX}"));
        }
        if asked.offset() > OFFSET_MAX {
            return wrong("?offset", format!("must be at most {OFFSET_MAX}"));
        }
        Ok(asked)
    }

    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT)
    }

    pub fn offset(&self) -> u32 {
        self.offset.unwrap_or(0)
    }

    /// The page that is asked for of all there is.
    pub fn of<T>(&self, all: Vec<T>) -> Page<T> {
        let (limit, offset, total) = (self.limit(), self.offset(), all.len());
        let items = all.into_iter().skip(offset as usize).take(limit as usize).collect();
        Page { items, total, limit, offset }
    }
}
