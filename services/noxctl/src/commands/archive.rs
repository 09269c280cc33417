//! Which log a command reads: the stream with its archive, or the archive alone.

use anyhow::{Context, Result, bail};
use nox_archive::{Archive, LogArchive};
use nox_contract::Incarnation;

use crate::{home::ARCHIVE, target::Target};

#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// Where the log is kept for good; that of the development system in the data folder, if neither
    /// this nor a server is given.
    #[arg(long, env = "NOX_ARCHIVE")]
    archive: Option<String>,

    /// Read the archive alone, as when the stream is lost: this life of the log; if none is named, the
    /// one that the rows name, or the only one that there is.
    #[arg(long, value_name = "INCARNATION", num_args = 0..=1, default_missing_value = "")]
    from_archive: Option<String>,
}

impl Args {
    /// Whether the stream is to be left out.
    pub fn is_alone(&self) -> bool {
        self.from_archive.is_some()
    }

    /// The archive, if there is one; `is_dev` where nothing names another system than that of the data
    /// folder.
    pub fn open(&self, target: &Target, is_dev: bool) -> Result<Option<Archive>> {
        if let Some(location) = self.archive.as_deref().filter(|location| !location.is_empty()) {
            return Ok(Some(Archive::open(location)?));
        }
        let folder = target.folder().join(ARCHIVE);
        if !is_dev || !folder.is_dir() {
            return Ok(None);
        }
        let folder = folder.to_str().with_context(|| format!("{} is no text", folder.display()))?;
        Ok(Some(Archive::open(folder)?))
    }

    /// The segments to read where the stream is left out; rows name `of_rows`.
    pub async fn alone(
        &self,
        archive: Option<Archive>,
        of_rows: Option<Incarnation>,
    ) -> Result<LogArchive> {
        let archive = archive.context("no archive is named: set NOX_ARCHIVE (or --archive)")?;
        let known = archive.incarnations().await?;
        let named = self.from_archive.clone().filter(|named| !named.is_empty()).map(Incarnation);
        let wanted = match (named.or(of_rows), known.as_slice()) {
            (Some(wanted), _) => wanted,
            (None, [only]) => only.clone(),
            (None, _) => bail!("the archive has {}; name one of them", list(&known)),
        };
        if !known.contains(&wanted) {
            bail!("the archive has nothing of {}; it has {}", wanted.0, list(&known));
        }
        Ok(archive.log(&wanted))
    }
}

fn list(known: &[Incarnation]) -> String {
    let names: Vec<_> = known.iter().map(|incarnation| incarnation.0.as_str()).collect();
    if names.is_empty() { "no log at all".to_owned() } else { names.join(", ") }
}
