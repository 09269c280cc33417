//! A request as its handler takes it: who asks, what for, and the body while nobody has read it.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, Uri, request::Parts},
};
use nox_contract::FrameNumber;
use serde::de::DeserializeOwned;

use crate::{
    app::App,
    http::{
        body::{JsonBody, read_json, read_json_or_nothing, read_nothing},
        memory::Account,
    },
    identity::auth::Caller,
    problem::ApiError,
};

/// See the head of this file.
pub struct Incoming {
    pub app: Arc<App>,
    pub caller: Caller,
    head: Parts,
    body: Body,
    account: Account,
}

impl FromRequest<Arc<App>> for Incoming {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let (mut head, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut head, app).await?;
        let account = head.extensions.get::<Account>().cloned();
        let account = account.ok_or_else(|| {
            ApiError::internal(anyhow::anyhow!("a request whose memory nobody counts"))
        })?;
        Ok(Self { app: app.clone(), caller, head, body, account })
    }
}

impl Incoming {
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    pub fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// See [`super::idempotency_key`].
    pub fn key(&self) -> Result<Option<&str>, ApiError> {
        super::idempotency_key(self.headers())
    }

    pub fn traceparent(&self) -> Option<&str> {
        super::traceparent(self.headers())
    }

    /// The frame that it wants to see; its query can ask for nothing else.
    pub fn only_min_n(&self) -> Result<Option<FrameNumber>, ApiError> {
        super::only_min_n(self.uri(), self.headers())
    }

    /// Its query; what nobody heeds is refused.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        super::query(&self.head.uri)
    }

    /// Its body, of at most `limit` bytes; it can have no query. What is wrong with its key is told before that
    /// is read.
    pub async fn json(&mut self, limit: usize) -> Result<JsonBody, ApiError> {
        super::nothing(&self.head.uri)?;
        self.json_beside_query(limit).await
    }

    /// The same of a request whose query is read beside it.
    pub async fn json_beside_query(&mut self, limit: usize) -> Result<JsonBody, ApiError> {
        self.key()?;
        let body = std::mem::take(&mut self.body);
        read_json(&self.account, &self.head.headers, body, limit).await
    }

    /// Its body, of at most `limit` bytes, if it has one. What its query says is read beside it.
    pub async fn json_or_nothing(&mut self, limit: usize) -> Result<Option<JsonBody>, ApiError> {
        let body = std::mem::take(&mut self.body);
        read_json_or_nothing(&self.account, &self.head.headers, body, limit).await
    }

    /// Checks that it says nothing beyond its path.
    pub async fn nothing(&mut self) -> Result<(), ApiError> {
        super::nothing(&self.head.uri)?;
        self.no_body().await
    }

    /// Checks that its body says nothing.
    pub async fn no_body(&mut self) -> Result<(), ApiError> {
        let body = std::mem::take(&mut self.body);
        read_nothing(&self.account, &self.head.headers, body).await
    }
}
