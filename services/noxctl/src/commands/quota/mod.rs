//! `noxctl quota`: what users and tenants may, have and use.

mod get;
mod ledger;
mod limits;
mod list;
mod reset;
mod set;
mod usage;
mod violations;

use anyhow::Result;
use serde::Deserialize;

use crate::{client::encoded, exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Show your limits, or those of a user or tenant with what is used of them.
    Get(get::Args),
    /// List the accounts of the tenant with what they use; for administrators.
    List(list::Args),
    /// Give a user or tenant limits, whatever its role has; for administrators.
    Set(set::Args),
    /// Let a user have what the role has again, or a tenant what is configured; for administrators.
    Reset(reset::Args),
    /// Show what you use of today's budget, and how many jobs you have.
    Usage(usage::Args),
    /// List what your jobs reserved and used, newest first.
    Ledger(ledger::Args),
    /// List what you were refused, newest first.
    Violations(violations::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::Get(args) => get::run(args, target, output).await,
        Command::List(args) => list::run(args, &target.admin_client()?, output).await,
        Command::Set(args) => set::run(args, &target.admin_client()?, output).await,
        Command::Reset(args) => reset::run(args, &target.admin_client()?, output).await,
        Command::Usage(args) => usage::run(args, &target.client()?, output).await,
        Command::Ledger(args) if args.is_own() => {
            ledger::run(args, &target.client()?, output).await
        }
        Command::Ledger(args) => ledger::run(args, &target.admin_client()?, output).await,
        Command::Violations(args) => violations::run(args, &target.client()?, output).await,
    }
}

/// Whose limits are meant.
#[derive(clap::Args)]
#[group(id = "account", required = true, multiple = false)]
struct Whose {
    /// A user.
    user: Option<String>,

    /// The tenant of this name.
    #[arg(long)]
    tenant: Option<String>,
}

impl Whose {
    /// Its address and what people call it; none if neither is named.
    fn place(&self) -> Option<(String, String)> {
        match (&self.user, &self.tenant) {
            (Some(user), _) => Some((format!("/quotas/{}", encoded(user)), user.clone())),
            (None, Some(tenant)) => {
                Some((format!("/tenants/{}/quotas", encoded(tenant)), format!("tenant {tenant}")))
            }
            (None, None) => None,
        }
    }
}

/// What an account uses of one of its limits.
#[derive(Deserialize)]
struct Usage {
    quota_type: String,
    current_usage: i64,
    limit: i64,
    percentage: Option<f64>,
}

impl Usage {
    fn words(&self) -> String {
        format!("{} of {}", self.current_usage, limits::words(&self.quota_type, self.limit.into()))
    }

    fn percent(&self) -> String {
        self.percentage.map_or_else(|| "-".to_owned(), |percent| format!("{percent} %"))
    }
}
