//! Connections, their places and their memory: what happens around every request, whatever it asks for.

pub mod body;
pub mod budget;
pub mod connections;
pub mod etag;
mod framing;
pub mod head;
pub mod memory;
pub mod observe;
pub mod page;
pub mod prefer;
pub mod server;
pub mod transport;
pub mod unread;
