//! Requests against real listeners.

mod forbidden;
