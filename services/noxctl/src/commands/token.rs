//! `noxctl token`: makes a token.

use std::time::Duration;

use anyhow::{Context, Result};
use nox_contract::{TenantId, UserId};
use nox_service::{Clock, Secret};

use crate::{
    exit::Exit,
    home,
    output::{Format, Output},
    target::{DEV_USER, Target},
    token::{By, Grant},
};

#[derive(clap::Args)]
pub struct Args {
    /// Who it speaks for.
    #[arg(long, default_value = DEV_USER)]
    sub: UserId,

    /// What they are.
    #[arg(long, default_value = "user")]
    role: String,

    /// The same as --role admin.
    #[arg(long, conflicts_with = "role")]
    admin: bool,

    #[arg(long, default_value = TenantId::DEFAULT)]
    tenant: TenantId,

    /// Seconds that it is good for; a gateway takes 86400 unless told otherwise.
    #[arg(long, default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..))]
    ttl: u64,

    /// What to sign it with; the secret of the development system in the data folder, if not given.
    #[arg(long, env = "NOX_JWT_SECRET", hide_env_values = true)]
    jwt_secret: Option<Secret>,

    #[command(flatten)]
    by: By,
}

pub fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let secret = match args.jwt_secret.filter(|secret| !secret.reveal().is_empty()) {
        Some(secret) => secret.reveal().to_owned(),
        None => {
            let folder = target.folder();
            home::jwt_secret(&folder)?.with_context(|| {
                format!("no secret: set NOX_JWT_SECRET, or --data ({} has none)", folder.display())
            })?
        }
    };
    let grant = Grant {
        user: args.sub,
        tenant: args.tenant,
        role: if args.admin { "admin".to_owned() } else { args.role },
        lifetime: Duration::from_secs(args.ttl),
        by: args.by,
    };
    let now = Clock::system().wall();
    let token = grant.sign(&secret, now)?;
    match output.format {
        Format::Table => output.line(&token)?,
        Format::Json | Format::Jsonl => {
            let expires_at = now + grant.lifetime;
            output
                .json(&serde_json::json!({"token": token, "expires_at": expires_at}).to_string())?;
        }
    }
    Ok(Exit::Done)
}
