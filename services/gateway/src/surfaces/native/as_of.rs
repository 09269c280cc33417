//! `?as_of=`: a job, the workers, an account as they were, by the number of a frame or by an instant.

use std::sync::Arc;

use axum::http::Uri;
use nox_contract::{FrameNumber, Timestamp};
use nox_protocol::Fold;
use nox_readmodel::AsOf;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    app::App,
    extract,
    problem::{ApiError, FieldError, Moved},
    use_cases::then,
};

/// The query of what can be asked for as it was, and in no other way.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedOf {
    /// The number of a frame, or an instant: as it was then.
    as_of: Option<String>,
}

/// The state that such a query asks for; `None` if it asks for the present.
pub async fn state(app: &App, uri: &Uri) -> Result<(Option<AsOf>, Option<Arc<Fold>>), ApiError> {
    let AskedOf { as_of } = extract::query(uri)?;
    let as_of = as_of.as_deref().map(read).transpose()?;
    let fold = match as_of {
        Some(_) => Some(then::state(app, as_of).await?),
        None => None,
    };
    Ok((as_of, fold))
}

/// The first instant of the day that is asked for.
pub fn day(as_of: Option<AsOf>, fold: &Fold) -> Timestamp {
    match as_of {
        Some(AsOf::Instant(at)) => at.start_of_day(),
        Some(AsOf::Frame(_)) | None => fold.state().at.start_of_day(),
    }
}

pub fn read(text: &str) -> Result<AsOf, ApiError> {
    text.parse().map_err(|error: nox_readmodel::past::NoAsOf| {
        ApiError::invalid(vec![FieldError::new("?as_of", error.to_string())])
    })
}

/// What is wrong with the frame that rows are to have taken in is wrong with what asked for it.
pub fn placed(error: ApiError, min_n: Option<FrameNumber>, as_of: Option<AsOf>) -> ApiError {
    const AS_OF: &[Moved] = &[Moved { to: "?n", from: "?as_of" }];
    if required(min_n, as_of) == min_n { error } else { error.placed(AS_OF) }
}

/// The frame that the rows must have taken in to tell of then.
pub fn required(min_n: Option<FrameNumber>, as_of: Option<AsOf>) -> Option<FrameNumber> {
    match as_of {
        Some(AsOf::Frame(n)) => min_n.max(Some(n)),
        Some(AsOf::Instant(_)) | None => min_n,
    }
}
