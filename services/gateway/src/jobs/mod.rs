//! Jobs: one file for each thing that can be asked of them.

mod admit;
pub mod artifacts;
pub mod bulk;
pub mod cancel;
mod concurrently;
pub mod download;
pub mod events;
mod find;
pub mod get;
mod kind;
pub mod list;
pub mod logs;
mod request;
pub mod status;
pub mod submit;
mod view;

pub use admit::decide;
pub use find::only_min_n;
pub use request::{engine::Moved, inputs};
pub use submit::traceparent;
