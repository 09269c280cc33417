//! What this executor offers, and that it may change while it runs: the folder of modules, and a file that says
//! how much of the machine it has.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use nox_contract::{Capacity, Manifest};
use serde::Deserialize;
use tokio::sync::{mpsc, watch};

use crate::{
    modules::Modules,
    registered::{self, Catalogue, Policy},
    sandbox::host::Host,
};

/// The file in the executor's own folder that says how much it has; what it does not name is as configured.
pub const CAPACITY_FILE: &str = "capacity.toml";

/// How often files are looked at. Who registers a module waits so long for it.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The largest `hello` or offer: with its envelope it must fit into a message.
pub const BYTES_MAX: usize = nox_contract::MESSAGE_BYTES_MAX - 1024;

/// What is offered.
#[derive(Debug, Clone)]
pub struct Offered {
    pub modules: Modules,
    pub capacity: Capacity,
}

impl Offered {
    pub fn declared(&self) -> Vec<Manifest> {
        self.modules.declared()
    }
}

/// Where an offer comes from.
#[derive(Debug, Clone)]
pub struct Sources {
    pub modules: PathBuf,
    /// The executor's own folder.
    pub data: PathBuf,
    /// As configured.
    pub capacity: Capacity,
    pub host: Arc<Host>,
    /// Which registered modules are taken.
    pub policy: Policy,
}

impl Sources {
    /// Reads all of it, and adds what was registered.
    ///
    /// # Errors
    /// A manifest or the capacity is wrong, or all manifests together are too large for a message: the operator
    /// must know.
    pub fn read(&self, catalogue: &Catalogue) -> anyhow::Result<Offered> {
        let mut modules = Modules::read(&self.modules, &self.host)?;
        if modules.bytes() > BYTES_MAX {
            anyhow::bail!(
                "the manifests of all modules together are larger than {BYTES_MAX} bytes"
            );
        }
        registered::add(&mut modules, catalogue, self.policy, &self.host);
        Ok(Offered { modules, capacity: capacity(&self.data.join(CAPACITY_FILE), self.capacity)? })
    }

    /// What changes whenever a file of these does.
    pub fn marks(&self) -> Marks {
        let mut marks = vec![mark(&self.data.join(CAPACITY_FILE))];
        for folder in folders(&self.modules) {
            marks.extend(folders(&folder).map(|file| mark(&file)));
        }
        marks.sort();
        marks
    }
}

/// What is compared to find out whether anything changed.
pub type Marks = Vec<Mark>;

/// A file, when it was written, and how long it is; nothing of one that is not there.
type Mark = (PathBuf, Option<(SystemTime, u64)>);

fn mark(file: &Path) -> Mark {
    let known = fs::metadata(file).ok();
    (file.to_owned(), known.and_then(|of| Some((of.modified().ok()?, of.len()))))
}

fn folders(of: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(of).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapacityFile {
    slots: Option<u32>,
    cpu: Option<u32>,
    mem_mb: Option<u32>,
    gpu: Option<u32>,
}

fn capacity(file: &Path, configured: Capacity) -> anyhow::Result<Capacity> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(configured),
        Err(error) => anyhow::bail!("{}: {error}", file.display()),
    };
    let CapacityFile { slots, cpu, mem_mb, gpu } =
        toml::from_str(&text).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    Ok(Capacity {
        slots: slots.unwrap_or(configured.slots),
        cpu: cpu.unwrap_or(configured.cpu),
        mem_mb: mem_mb.unwrap_or(configured.mem_mb),
        gpu: gpu.unwrap_or(configured.gpu),
    })
}

/// Tells what is offered whenever that changes from what was `seen` before it was read, or others are `registered`, until
/// nobody listens. What is wrong is said once, and the offer stays as it was.
pub fn watch(
    sources: Sources,
    mut seen: Marks,
    mut registered: watch::Receiver<Catalogue>,
) -> mpsc::Receiver<Offered> {
    let (tell, told) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let looking = sources.clone();
            let marks = tokio::task::spawn_blocking(move || looking.marks()).await;
            let Ok(marks) = marks else { return };
            let told = registered.has_changed().unwrap_or(false);
            if std::mem::replace(&mut seen, marks.clone()) != marks || told {
                let (reading, catalogue) =
                    (sources.clone(), registered.borrow_and_update().clone());
                match tokio::task::spawn_blocking(move || reading.read(&catalogue)).await {
                    Ok(Ok(offered)) => {
                        if tell.send(offered).await.is_err() {
                            return;
                        }
                    }
                    Ok(Err(error)) => {
                        tracing::error!(%error, "Cannot use the modules as they are now; goes on with those before");
                    }
                    Err(_) => return,
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Ok(()) = registered.changed() => registered.mark_changed(),
                () = tell.closed() => return,
            }
        }
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: Capacity = Capacity { slots: 4, cpu: 8, mem_mb: 1_024, gpu: 0 };

    #[test]
    fn the_file_says_what_it_names_and_what_it_cannot_mean_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(CAPACITY_FILE);
        assert_eq!(capacity(&file, CONFIGURED).unwrap(), CONFIGURED);
        fs::write(&file, "slots = 0\ngpu = 2\n").unwrap();
        assert_eq!(
            capacity(&file, CONFIGURED).unwrap(),
            Capacity { slots: 0, gpu: 2, ..CONFIGURED }
        );
        for wrong in ["slot = 1", "slots = -1", "slots = 'many'", "slots"] {
            fs::write(&file, wrong).unwrap();
            let error = capacity(&file, CONFIGURED).unwrap_err().to_string();
            assert!(error.contains(CAPACITY_FILE), "{error}");
        }
    }
}
