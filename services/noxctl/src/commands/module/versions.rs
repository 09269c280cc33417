//! `noxctl module versions`.

use anyhow::Result;
use serde::Deserialize;

use crate::{
    client::{Client, encoded},
    exit::Exit,
    output::{Format, Output},
};

#[derive(Deserialize)]
struct Versions {
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    present: bool,
    title: String,
}

pub async fn run(name: &str, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.get(&format!("/modules/{}/versions", encoded(name))).await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let Versions { versions } = answer.read()?;
    let row = |Version { version, present, title }| {
        let standing = if present { "present" } else { "earlier" };
        vec![version, standing.to_owned(), title]
    };
    output.table(
        &["version", "standing", "title"],
        &versions.into_iter().map(row).collect::<Vec<_>>(),
    )?;
    Ok(Exit::Done)
}
