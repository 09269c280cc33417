//! `?as_of=`: a job as it was, by the number of a frame or by an instant.

use nox_contract::FrameNumber;
use nox_readmodel::AsOf;

use crate::problem::{ApiError, FieldError, Moved};

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
