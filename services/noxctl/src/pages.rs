//! Lists of the API, which come in pages, read until there is as much as was asked for.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, value::RawValue};

use crate::client::{Client, encoded};

/// Most that the gateway puts into a page of any list.
const PAGE_MAX: usize = 200;

/// How much of a list is wanted.
#[derive(clap::Args)]
pub struct Limit {
    /// Most rows to list.
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

/// A list of the API.
pub struct List<'a> {
    pub path: &'a str,
    /// Of what it tells, the member that has the rows.
    pub member: &'a str,
    /// What narrows it down: `&name=value`, repeatedly, or nothing.
    pub query: &'a str,
}

impl List<'_> {
    /// The first of it, each row as it came.
    pub async fn read(&self, client: &Client, wanted: &Limit) -> Result<Vec<Box<RawValue>>> {
        let Self { path, member, query } = self;
        let mut rows = Vec::new();
        let mut cursor = String::new();
        while rows.len() < wanted.limit {
            let limit = (wanted.limit - rows.len()).min(PAGE_MAX);
            let page = client.get(&format!("{path}?limit={limit}{query}{cursor}")).await?;
            let mut page: BTreeMap<String, Box<RawValue>> = page.read()?;
            let of_page =
                page.remove(*member).with_context(|| format!("{path} has no {member}"))?;
            rows.extend(serde_json::from_str::<Vec<Box<RawValue>>>(of_page.get())?);
            let next = page.remove("next");
            match next.map(|next| serde_json::from_str(next.get())).transpose()? {
                Some(Value::String(next)) => cursor = format!("&cursor={}", encoded(&next)),
                _ => break,
            }
        }
        Ok(rows)
    }
}
