//! `noxctl module register`: a module of one's own for all executors that take such modules.

use std::path::Path;

use anyhow::Result;
use nox_executor::manifest::{Manifest, portable};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::{
    exit::Exit,
    output::{Format, Output},
    target::Target,
    terminal::note,
};

#[derive(Deserialize)]
struct Registered {
    name: String,
    version: String,
}

pub async fn run(path: &Path, target: &Target, output: Output) -> Result<Exit> {
    if path.is_dir() {
        // What is wrong is told by its line there, and not by its place in what is sent.
        Manifest::read(path)?;
    }
    let manifest = portable(path)?;
    let client = target.admin_client()?;
    let answer = client.post_as("/modules", Some(manifest.get().to_owned()), None).await?;
    let exit = if answer.is_pending() { Exit::Pending } else { Exit::Done };
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(exit);
    }
    let Registered { name, version } = answer.read()?;
    match answer.status {
        _ if exit == Exit::Pending => note!("{name} {version} will be registered"),
        StatusCode::OK => note!("{name} {version} was registered before"),
        _ => note!(
            "{name} {version} is registered; executors that take registered modules run it within seconds"
        ),
    }
    Ok(exit)
}
