//! What an endpoint takes and gives.

use schemars::JsonSchema;

use super::{Described, Header};

/// What a body is.
#[derive(Clone, Copy)]
pub enum Content {
    Json(Described),
    /// Of this media type.
    Other(&'static str),
}

impl Content {
    pub fn json<T: JsonSchema>() -> Self {
        Self::Json(|generator| generator.subschema_for::<T>())
    }
}

/// A way to answer well.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub description: &'static str,
    pub contents: Vec<Content>,
    pub headers: Vec<Header>,
}

impl Answer {
    pub fn json<T: JsonSchema>(status: u16, description: &'static str) -> Self {
        Self::of(status, description, vec![Content::json::<T>()])
    }

    pub fn of(status: u16, description: &'static str, contents: Vec<Content>) -> Self {
        Self { status, description, contents, headers: Vec::new() }
    }

    pub fn empty(status: u16, description: &'static str) -> Self {
        Self::of(status, description, Vec::new())
    }

    pub fn headers(mut self, headers: impl AsRef<[Header]>) -> Self {
        self.headers = headers.as_ref().to_vec();
        self
    }
}
