//! How people talk to Nox: each surface has its own addresses, words and shapes, and translates them into
//! use cases and back.

mod api;
mod console;
mod joblib;
pub mod native;

use crate::endpoint::Endpoint;

/// Everything that is served.
pub fn endpoints() -> Vec<Endpoint> {
    [native::endpoints(), api::endpoints(), joblib::endpoints(), console::endpoints()]
        .into_iter()
        .flatten()
        .collect()
}
