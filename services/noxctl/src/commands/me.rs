//! `noxctl me`: who asks, as the server has it.

use anyhow::Result;
use serde::Deserialize;

use crate::{
    exit::Exit,
    output::{Format, Output},
    target::Target,
};

#[derive(Deserialize)]
struct Me {
    user_id: String,
    tenant: String,
    role: String,
}

pub async fn run(target: &Target, output: Output) -> Result<Exit> {
    let answer = target.client()?.get("/me").await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let Me { user_id, tenant, role } = answer.read()?;
    output.members("me", &[("user", user_id), ("tenant", tenant), ("role", role)])?;
    Ok(Exit::Done)
}
