//! `noxctl upload`: a text that is too large for a job's inputs, to be referred to there.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    exit::Exit,
    output::{Format, Output},
    target::Target,
    views::Upload,
};

#[derive(clap::Args)]
pub struct Args {
    /// What to upload; `-` is standard input.
    file: PathBuf,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let answer = target.client()?.upload(bytes_of(&args.file)?).await?;
    match output.format {
        Format::Table => {
            let upload: Upload = answer.read()?;
            output.line(&upload.reference().to_string())?;
        }
        Format::Json | Format::Jsonl => output.json(&answer.body)?,
    }
    Ok(Exit::Done)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
        return Ok(bytes);
    }
    Ok(fs_err::read(path)?)
}
