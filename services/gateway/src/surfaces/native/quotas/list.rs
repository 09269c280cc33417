//! `GET /quotas`: the accounts that the asker may see, by name.

use std::{convert::Infallible, str::FromStr};

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::account::AccountView;
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, AskedPage, Paging, Reading},
    http::page::{self, Next},
    problem::ApiError,
    use_cases::quotas,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) =
        ("list_quotas", "The accounts that the asker may see: for admins, all of the tenant.");
    Endpoint::new(Method::Get, "/quotas", Access::OWNER_OR_ADMIN, (id, summary), list)
        .query::<AskedPage>()
        .page::<Listed>("A page, by name.")
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QuotaAccounts")]
struct Listed {
    accounts: Vec<AccountView>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

/// The account that a page ended with: any name will do.
struct Place(String);

impl FromStr for Place {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

async fn list(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let paging: Paging<Place> = extract::paging(&uri)?;
    let after = paging.after.as_ref().map(|Place(name)| name.as_str());
    let mut rows = quotas::list(&app, &caller, after, paging.wanted()).await?;
    let next = paging.cut(&mut rows, |row| row.account.clone());
    let today = app.runtime.clock.wall().start_of_day();
    let view = |row| AccountView::new(caller.tenant.clone(), row, today);
    let listed = Listed { accounts: rows.into_iter().map(view).collect(), next: next.clone() };
    page::answer(&uri, &headers, &listed, &Next::page(next))
}
