//! `noxctl quota get`.

use anyhow::Result;
use nox_contract::Timestamp;
use serde::Deserialize;

use super::{
    Usage,
    limits::{Limits, words},
};
use crate::{
    client::{Client, encoded},
    exit::{Exit, Misused},
    output::{Format, Output},
    target::Target,
    when::{self, When},
};

#[derive(clap::Args)]
pub struct Args {
    /// A user; yourself, if not given.
    user: Option<String>,

    /// The account of the tenant of this name.
    #[arg(long, conflicts_with = "user")]
    tenant: Option<String>,

    /// As it was then: the number of a frame, or an instant such as 2026-12-01T06:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = when::instant_or_frame)]
    at: Option<String>,
}

#[derive(Deserialize)]
struct Own {
    quotas: Vec<Quota>,
}

#[derive(Deserialize)]
struct Quota {
    quota_type: String,
    limit: i64,
    period: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    account: String,
    role: String,
    limits: Limits,
    change: Option<Change>,
    /// None of the past.
    set_at: Option<Timestamp>,
    usage: Vec<Usage>,
}

#[derive(Deserialize)]
struct Change {
    by: String,
    reason: String,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let as_of = when::as_of(args.at.as_deref());
    match (args.user, args.tenant) {
        (Some(user), _) => {
            let path = format!("/quotas/{}{as_of}", encoded(&user));
            account(&path, &target.admin_client()?, output).await
        }
        (None, Some(tenant)) => {
            let path = format!("/tenants/{}/quotas{as_of}", encoded(&tenant));
            account(&path, &target.admin_client()?, output).await
        }
        (None, None) if args.at.is_some() => {
            let why = "name a user or --tenant; `noxctl quota usage --at` shows your own";
            Err(Misused(why.to_owned()).into())
        }
        (None, None) => own(&target.client()?, output).await,
    }
}

async fn own(client: &Client, output: Output) -> Result<Exit> {
    let answer = client.get("/quotas/my/quotas").await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let Own { quotas } = answer.read()?;
    let row = |quota: Quota| {
        let period = quota.period.unwrap_or_else(|| "-".to_owned());
        let limit = words(&quota.quota_type, quota.limit.into());
        vec![quota.quota_type, limit, period]
    };
    let rows: Vec<_> = quotas.into_iter().map(row).collect();
    output.table(&["quota", "limit", "period"], &rows)?;
    Ok(Exit::Done)
}

async fn account(path: &str, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.get(path).await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let account: Account = answer.read()?;
    let used = |name: &str| account.usage.iter().find(|usage| usage.quota_type == name);
    let limit = |(name, limit): (&'static str, Option<u64>)| {
        let limit = limit.map_or_else(|| "-".to_owned(), |limit| words(name, limit.into()));
        (name, used(name).map_or(limit, Usage::words))
    };
    let mut members = vec![("account", account.account.clone()), ("role", account.role.clone())];
    members.extend(account.limits.named().map(limit));
    members.push(("set", When::of(output).told_if(account.set_at)));
    if let Some(Change { by, reason }) = &account.change {
        members.extend([("changed by", by.clone()), ("reason", reason.clone())]);
    }
    output.members("quota", &members)?;
    Ok(Exit::Done)
}
