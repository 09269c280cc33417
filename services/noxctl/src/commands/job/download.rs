//! `noxctl job download`: kept files, each under its own name, whole and as they were kept or not at all.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use nox_contract::{
    JobId,
    artifact::{self, Artifact},
};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::{
    client::{Client, encoded},
    exit::Exit,
    terminal::note,
    views::Artifacts,
};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,

    /// Which files; all of them, if none is named.
    names: Vec<String>,

    /// The folder to put them into.
    #[arg(long, default_value = ".")]
    to: PathBuf,

    /// Replace files that are there.
    #[arg(long)]
    force: bool,
}

pub async fn run(args: Args, client: &Client) -> Result<Exit> {
    let Artifacts { artifacts } = client.read(&format!("/jobs/{}/artifacts", args.id)).await?;
    for name in &args.names {
        if !artifacts.iter().any(|artifact| artifact.name == *name) {
            // The gateway says best why there is none.
            client.get(&address(args.id, name)).await?;
        }
    }
    let wanted =
        |artifact: &&Artifact| args.names.is_empty() || args.names.contains(&artifact.name);
    for artifact in artifacts.iter().filter(wanted) {
        let path = args.to.join(beneath(&artifact.name)?);
        if !args.force && path.symlink_metadata().is_ok() {
            bail!("{} is there already; --force replaces it", path.display());
        }
        fetch(artifact, args.id, &path, args.force, client).await?;
        note!("{} ({} bytes)", path.display(), artifact.size);
    }
    Ok(Exit::Done)
}

fn address(id: JobId, name: &str) -> String {
    let parts: Vec<_> = name.split('/').map(encoded).collect();
    format!("/jobs/{id}/artifacts/{}", parts.join("/"))
}

/// The name as a path that stays where it is put, whatever the server says.
fn beneath(name: &str) -> Result<&Path> {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    if !name.split('/').all(plain) || artifact::bytes(name).is_none() {
        bail!("the server names a file {name:?}, which no job can have kept");
    }
    Ok(Path::new(name))
}

async fn fetch(
    artifact: &Artifact,
    id: JobId,
    path: &Path,
    force: bool,
    client: &Client,
) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder).with_context(cannot)?;
    let mut hash = Sha256::new();
    client
        .download(&address(id, &artifact.name), |bytes| {
            hash.update(bytes);
            file.write_all(bytes).with_context(cannot)
        })
        .await?;
    let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if sha256 != artifact.sha256 {
        bail!("{} arrived with another SHA-256 ({sha256}) than it was kept with", artifact.name);
    }
    if force {
        file.persist(path).with_context(cannot)?;
    } else {
        file.persist_noclobber(path).with_context(cannot)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in
            ["/etc/passwd", "..", "../a", "a/../../b", "a//b", "", "a/", "./a", "a\nb", "%zz"]
        {
            assert!(beneath(name).is_err(), "{name:?}");
        }
        for name in ["a", "sub/a b#1", "%0A", "..."] {
            assert_eq!(beneath(name).unwrap(), Path::new(name));
        }
    }
}
