//! What this machine has to shut attempts in with: found out once, by trying it.

mod settings;
mod trial;

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::process::getuid;

pub use self::settings::{Layer, Settings};
use super::{
    Level,
    cgroup::Base,
    etc::Etc,
    fault::Fault,
    order::{Confinement, Namespaces},
    processes::tells_children,
    trial::{find, try_landlock, try_seccomp},
    users::{User, Users},
};
use crate::{begin_in::begin_in, manifest::ManifestFile};

/// What was found, and what attempts are shut in with.
#[derive(Debug)]
pub struct Host {
    /// What each layer is, or why it is not there.
    layers: BTreeMap<Layer, Result<String, String>>,
    /// Why a level cannot be had; of those that are missing here, it can.
    refused: BTreeMap<Level, String>,
    cgroups: Option<Base>,
    bubblewrap: PathBuf,
    etc: Etc,
    users: Option<Arc<Users>>,
    read: Vec<PathBuf>,
    faults: Vec<Fault>,
    /// The executor's own folders, which nobody is to be shown.
    hidden: Vec<PathBuf>,
}

/// How one attempt is shut in, for as long as this is held.
#[derive(Debug)]
pub struct ShutIn {
    pub confinement: Confinement,
    _user: Option<User>,
}

/// Who asks what there is.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The supervisor's program.
    pub supervisor: &'a Path,
    /// The executor's data folder.
    pub data: &'a Path,
    /// The folder where kept files go.
    pub artifacts: &'a Path,
    /// What no other executor is.
    pub instance: u128,
}

/// The folder beneath the executor's data folder with what attempts are shown as /etc.
const ETC: &str = "etc";

const ALL_IN_USE: &str = "all users of NOX_SANDBOX_UIDS are in use";

/// The name of the executor's group: the same after a restart, and another one where its folder was copied, for a
/// start clears its own.
fn group_name(asking: &Asking<'_>) -> io::Result<String> {
    let folder = std::fs::metadata(asking.data)?;
    Ok(format!("nox-{:032x}-{:x}-{:x}", asking.instance, folder.dev(), folder.ino()))
}

impl Host {
    /// Tries everything. Of what an earlier process of this executor left in its cgroups nothing is
    /// alive afterwards.
    ///
    /// # Errors
    /// What is needed for the trial cannot be written.
    pub async fn probe(settings: &Settings, asking: Asking<'_>) -> io::Result<Self> {
        let mut layers = BTreeMap::new();
        let is_hidden = |layer| settings.sandbox_without.contains(&layer);
        let cgroups = match is_hidden(Layer::Cgroup) {
            true => hidden_layer(),
            false => Base::find(&group_name(&asking)?),
        };
        if let Ok(base) = &cgroups {
            let base = base.clone();
            tokio::task::spawn_blocking(move || base.clear()).await?;
        }
        let version = |base: &Base| format!("version {}", base.version());
        layers.insert(Layer::Cgroup, cgroups.as_ref().map(version).map_err(Clone::clone));
        let tried = [(Layer::Landlock, try_landlock()), (Layer::Seccomp, try_seccomp())];
        for (layer, tried) in tried {
            layers.insert(layer, if is_hidden(layer) { hidden_layer() } else { tried });
        }
        let etc = Etc::new(asking.data.join(ETC));
        etc.current()?;
        let is_root = getuid().is_root();
        let users = is_root.then(|| Users::new(settings.sandbox_uids, asking.instance));
        let bubblewrap = find(&settings.bwrap);
        let mut hidden_folders = Vec::new();
        for folder in [asking.data, asking.artifacts] {
            hidden_folders.push(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()));
        }
        let mut host = Self {
            layers,
            refused: BTreeMap::new(),
            cgroups: cgroups.ok(),
            bubblewrap: bubblewrap.clone().unwrap_or_default(),
            etc,
            users,
            read: settings.sandbox_read.clone(),
            faults: settings.sandbox_faults.clone(),
            hidden: hidden_folders,
        };
        let namespaces = match (is_hidden(Layer::Namespaces), bubblewrap) {
            (true, _) => hidden_layer(),
            (false, Err(reason)) => Err(reason),
            (false, Ok(program)) => {
                let tried = host.try_level(Level::Isolated, &[Layer::Seccomp], asking).await;
                tried.map(|()| program.display().to_string())
            }
        };
        host.layers.insert(Layer::Namespaces, namespaces);
        let user = match (is_hidden(Layer::User), is_root) {
            (true, _) => hidden_layer(),
            (false, false) => Ok("the executor's own".to_owned()),
            (false, true) => {
                let needed = [Layer::Landlock, Layer::Seccomp];
                let tried = host.try_level(Level::Process, &needed, asking).await;
                tried.map(|()| format!("one of {}", settings.sandbox_uids))
            }
        };
        host.layers.insert(Layer::User, user);
        if !settings.sandbox_allow_none {
            let reason = "the executor is not told to run it: NOX_SANDBOX_ALLOW_NONE";
            host.refused.insert(Level::None, reason.to_owned());
        }
        host.refuse_without(Level::Process, &[Layer::Landlock, Layer::Seccomp]);
        if is_root
            && host.cgroups.is_none()
            && let Err(user) = &host.layers[&Layer::User]
        {
            let reason = format!(
                "nothing bounds the number of root's processes without a cgroup, and there is no user \
                 for each attempt ({user}): run the executor as an ordinary user"
            );
            host.refused.entry(Level::Process).or_insert(reason);
        }
        host.refuse_without(Level::Isolated, &[Layer::Namespaces, Layer::Seccomp]);
        if !tells_children() {
            host.refuse_uncounted();
        }
        Ok(host)
    }

    /// What no group holds is found below its supervisor, and a trusted program could leave its group.
    fn refuse_uncounted(&mut self) {
        for level in Level::ALL {
            if level == Level::None || self.cgroups.is_none() {
                let reason = "the kernel does not say who is whose child (CONFIG_PROC_CHILDREN)";
                self.refused.entry(level).or_insert_with(|| reason.to_owned());
            }
        }
    }

    fn refuse_without(&mut self, level: Level, needed: &[Layer]) {
        let lacks = needed.iter().filter_map(|layer| {
            let reason = self.layers.get(layer)?.as_ref().err()?;
            Some(format!("{layer}: {reason}"))
        });
        let lacks: Vec<String> = lacks.collect();
        if !lacks.is_empty() {
            self.refused.insert(level, format!("this machine has no {}", lacks.join("; no ")));
        }
    }

    /// Whether attempts of this level can be run here, or why not.
    pub fn has(&self, level: Level) -> Result<(), String> {
        match self.refused.get(&level) {
            None => Ok(()),
            Some(reason) => Err(reason.clone()),
        }
    }

    /// What a worker says of itself: `sandbox:<level>` for each level that it has, `cgroup` where memory
    /// is counted exactly.
    pub fn labels(&self) -> Vec<String> {
        let levels = Level::ALL.into_iter().filter(|level| self.has(*level).is_ok());
        let mut labels: Vec<String> = levels.map(|level| format!("sandbox:{level}")).collect();
        labels.extend(self.cgroups.as_ref().map(|_| "sandbox:cgroup".to_owned()));
        labels
    }

    /// Each level and each layer, with what it is or why it is not there.
    pub fn findings(&self) -> impl Iterator<Item = (String, Result<String, String>)> {
        let levels = Level::ALL.into_iter().map(|level| {
            (format!("sandbox {level}"), self.has(level).map(|()| "can be run".to_owned()))
        });
        let layers = self.layers.iter().map(|(layer, found)| (layer.to_string(), found.clone()));
        levels.chain(layers)
    }

    /// How an attempt with this name is to be shut in.
    ///
    /// # Errors
    /// No user is free.
    pub fn shut_in(
        &self,
        manifest: &ManifestFile,
        program: &Path,
        attempt: &str,
    ) -> Result<ShutIn, String> {
        self.has(manifest.sandbox)?;
        let read = self.shown(manifest, program)?;
        let user = match &self.users {
            Some(users) if self.has_user(manifest.sandbox) => Some(users.take().ok_or(ALL_IN_USE)?),
            _ => None,
        };
        let confinement = Confinement {
            network: manifest.network,
            // A link leads nowhere where only its own folder is to be seen.
            read: read.into_iter().filter(|path| path.exists()).collect(),
            ..self.confinement(manifest.sandbox, attempt, user.as_ref())?
        };
        Ok(ShutIn { confinement, _user: user })
    }

    /// Whether attempts of this level have a user each, where the executor is root. With a cgroup, `process`
    /// can do without: then it is root that has no privileges.
    fn has_user(&self, level: Level) -> bool {
        match level {
            Level::None => false,
            Level::Process => {
                let has = self.layers.get(&Layer::User).is_some_and(Result::is_ok);
                has && !self.faults.contains(&Fault::User)
            }
            Level::Isolated => true,
        }
    }

    fn confinement(
        &self,
        level: Level,
        attempt: &str,
        user: Option<&User>,
    ) -> Result<Confinement, String> {
        let namespaces = || {
            let etc = self.etc.current().map_err(|error| format!("no /etc to show: {error}"))?;
            Ok::<_, String>(Namespaces { bubblewrap: self.bubblewrap.clone(), etc })
        };
        Ok(Confinement {
            level,
            network: false,
            read: Vec::new(),
            landlock: self.layers.get(&Layer::Landlock).is_some_and(Result::is_ok),
            cgroup: self.cgroups.as_ref().map(|base| base.group(attempt)),
            user: user.map(|user| user.id),
            namespaces: (level == Level::Isolated).then(namespaces).transpose()?,
            faults: self.faults.clone(),
        })
    }

    /// What an attempt may read beside the system: what manifest and operator name, the folder that it begins in,
    /// and that of a program that lies elsewhere, by its name and by where that leads.
    ///
    /// # Errors
    /// It holds the executor's own folders.
    pub fn shown(&self, manifest: &ManifestFile, program: &Path) -> Result<Vec<PathBuf>, String> {
        let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
        if self.users.is_some() && self.has_user(manifest.sandbox) && !is_open(&real) {
            return Err(format!(
                "{} cannot be run by others, and root's attempts are users of their own",
                real.display()
            ));
        }
        let is_system = |path: &Path| super::confine::SYSTEM.iter().any(|s| path.starts_with(s));
        let folders = [program, &real].map(|path| path.parent().unwrap_or(path).to_owned());
        let mut shown: Vec<_> = folders.into_iter().filter(|folder| !is_system(folder)).collect();
        shown.dedup();
        // One that is not there any more fails the attempt, and is no reason to run nothing else.
        let begin_in = begin_in(&manifest.run).unwrap_or_default().filter(|folder| {
            let is_private = [Path::new("/tmp"), Path::new("/dev/shm")].contains(&folder.as_path());
            // Of these, each isolated attempt has its own.
            let is_own = is_private && manifest.sandbox == Level::Isolated;
            !is_system(folder) && !is_own
        });
        let named = manifest.read.iter().chain(&self.read).chain(&begin_in);
        shown.extend(named.filter(|path| path.is_absolute()).cloned());
        if let Some(path) = shown.iter().find(|path| !self.may_be_shown(path)) {
            return Err(format!("{} holds the executor's own folders", path.display()));
        }
        Ok(shown)
    }

    /// Whether nothing of the executor's own is below.
    fn may_be_shown(&self, path: &Path) -> bool {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        !self.hidden.iter().any(|hidden| hidden.starts_with(&real))
    }
}

/// Whether everybody may run a program, once its folder can be reached; one that is not there is found to be
/// missing elsewhere.
fn is_open(program: &Path) -> bool {
    std::fs::metadata(program).map_or(true, |found| found.mode() & 0o001 != 0)
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(base) = &self.cgroups {
            base.remove();
        }
    }
}

/// What is said of a layer that a test takes away.
fn hidden_layer<T>() -> Result<T, String> {
    Err("switched off by NOX_SANDBOX_WITHOUT".to_owned())
}
