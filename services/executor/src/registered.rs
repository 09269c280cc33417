//! Modules that admins registered: which of them an executor takes beside those in its own folder.
//!
//! A registered module is a command that somebody else has run on this machine, so none is taken unless its operator
//! says so, and then only at the sandbox levels, and with the network, that the operator allows.

use std::{collections::BTreeMap, fmt};

use nox_contract::{ModuleName, RegisteredModule};

use crate::{
    manifest::Manifest,
    sandbox::{Level, host::Host},
};

/// Most versions of a module that are kept, the newest: as many as the log keeps.
const VERSIONS_MAX: usize = nox_protocol::session::REGISTERED_VERSIONS_MAX;

/// What an operator can set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub struct Policy {
    /// Which registered modules are run: `off`, none; else those whose manifests ask for this sandbox level or a
    /// higher one.
    #[arg(long, env = "NOX_REGISTERED_MODULES", default_value = "off")]
    pub registered_modules: Taken,

    /// Whether registered modules may use the machine's network, where they ask for it.
    #[arg(long, env = "NOX_REGISTERED_NETWORK", default_value_t = false,
          action = clap::ArgAction::Set)]
    pub registered_network: bool,
}

/// The registered modules that are taken, by the sandbox level that they ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Taken {
    /// None.
    #[default]
    Off,
    Isolated,
    /// These, and isolated ones.
    Process,
    /// All, as far as `NOX_SANDBOX_ALLOW_NONE` goes.
    None,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.least().map_or("off", Level::name))
    }
}

impl Taken {
    /// The lowest level that is taken.
    fn least(self) -> Option<Level> {
        match self {
            Self::Off => None,
            Self::Isolated => Some(Level::Isolated),
            Self::Process => Some(Level::Process),
            Self::None => Some(Level::None),
        }
    }
}

impl Policy {
    /// Whether any registered module is taken.
    pub fn takes_any(self) -> bool {
        self.registered_modules != Taken::Off
    }

    /// What is run for a registered module.
    ///
    /// # Errors
    /// Why it is not taken, for people.
    pub fn read(self, registered: &RegisteredModule) -> Result<Manifest, String> {
        let manifest = Manifest::registered(&registered.source)
            .map_err(|wrong| format!("its manifest cannot be read here: {wrong}"))?;
        if manifest.declared != registered.manifest {
            return Err(
                "its manifest means something else here than where it was registered: this \
                        executor is of another version of Nox"
                    .to_owned(),
            );
        }
        let level = manifest.file.sandbox;
        let least = self.registered_modules.least().ok_or("registered modules are not taken")?;
        if level < least {
            return Err(format!(
                "it asks for the sandbox level `{level}`, and NOX_REGISTERED_MODULES is `{least}`"
            ));
        }
        if manifest.file.network && !self.registered_network {
            return Err("it asks for the network, and NOX_REGISTERED_NETWORK is false".to_owned());
        }
        Ok(manifest)
    }
}

/// What was registered, as far as this executor was told in its present session.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(BTreeMap<ModuleName, Vec<RegisteredModule>>);

impl Catalogue {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes more in, in the order of their numbers.
    pub fn extend(&mut self, modules: Vec<RegisteredModule>) {
        for module in modules {
            let versions = self.0.entry(module.manifest.name.clone()).or_default();
            versions.retain(|known| known.manifest.version != module.manifest.version);
            versions.push(module);
            if versions.len() > VERSIONS_MAX {
                versions.remove(0);
            }
        }
    }

    /// The newest first: where not all of them can be offered, the older ones are left out.
    pub fn iter(&self) -> impl Iterator<Item = &RegisteredModule> {
        let mut all: Vec<_> = self.0.values().flatten().collect();
        all.sort_by_key(|module| std::cmp::Reverse(module.number));
        all.into_iter()
    }
}

/// Offers what was registered beside what the folder has, as far as it is taken and can be run here.
pub fn add(modules: &mut crate::modules::Modules, of: &Catalogue, policy: Policy, host: &Host) {
    for registered in of.iter() {
        let read = policy.read(registered);
        modules.add_registered(&registered.manifest, read, host);
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::RawJson;
    use serde_json::json;

    use super::*;

    fn registered(number: u64, version: &str, sandbox: &str, network: bool) -> RegisteredModule {
        let source = RawJson::of(&json!({
            "name": "m",
            "version": version,
            "sandbox": sandbox,
            "network": network,
            "input_schema": {},
            "resources": {"cpu": 1, "mem_mb": 1, "wall_time_s": 1},
            "run": {"program": "true"},
        }))
        .unwrap();
        let manifest = Manifest::registered(&source).unwrap().declared;
        RegisteredModule { number, manifest, source }
    }

    #[test]
    fn what_asks_for_less_than_the_operator_wants_is_not_taken() {
        let levels = ["none", "process", "isolated"];
        for (taken, expected) in [
            (Taken::Off, [false, false, false]),
            (Taken::Isolated, [false, false, true]),
            (Taken::Process, [false, true, true]),
            (Taken::None, [true, true, true]),
        ] {
            let policy = Policy { registered_modules: taken, registered_network: false };
            assert_eq!(policy.takes_any(), expected.contains(&true));
            for (level, expected) in levels.iter().zip(expected) {
                let plain = policy.read(&registered(1, "1", level, false));
                assert_eq!(plain.is_ok(), expected, "{taken} {level}");
                assert!(policy.read(&registered(1, "1", level, true)).is_err(), "with the network");
                let open = Policy { registered_network: true, ..policy };
                assert_eq!(open.read(&registered(1, "1", level, true)).is_ok(), expected);
            }
        }
    }

    #[test]
    fn what_reads_differently_here_is_not_taken() {
        let policy = Policy { registered_modules: Taken::None, registered_network: false };
        let mut other = registered(1, "1", "none", false);
        other.manifest.title = "another".to_owned();
        assert!(policy.read(&other).unwrap_err().contains("another version of Nox"));
    }

    #[test]
    fn the_newest_versions_are_kept_as_the_log_keeps_them() {
        let mut catalogue = Catalogue::default();
        for number in 1..=20 {
            catalogue.extend(vec![registered(number, &number.to_string(), "none", false)]);
        }
        // One that the log had forgotten and that was registered again.
        catalogue.extend(vec![registered(21, "7", "none", false)]);
        let numbers: Vec<_> = catalogue.iter().map(|module| module.number).collect();
        let expected: Vec<u64> = [21].into_iter().chain((8..=20).rev()).chain([6, 5]).collect();
        assert_eq!(numbers, expected);
    }
}
