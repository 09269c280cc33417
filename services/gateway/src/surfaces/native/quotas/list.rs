//! `GET /quotas`: the accounts that the asker may see, by name.

use std::str::FromStr;

use axum::response::Response;
use nox_contract::{UserId, subject};
use nox_readmodel::query::NoCursor;
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

/// The account that a page ended with.
struct Place(String);

impl FromStr for Place {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let user = text.strip_prefix("user/").map(str::parse::<UserId>);
        let is_account = text == subject::TENANT_ACCOUNT || matches!(user, Some(Ok(_)));
        if is_account { Ok(Self(text.to_owned())) } else { Err(NoCursor) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_an_account_and_nowhere_else() {
        for account in
            ["tenant", "user/ada", "user/a b", &subject::user_account(&"x/y".parse().unwrap())]
        {
            assert!(account.parse::<Place>().is_ok(), "{account}");
        }
        for none in ["ada", "user", "user/", "users/ada", "tenant/ada", "7"] {
            assert!(none.parse::<Place>().is_err(), "{none}");
        }
    }
}
