//! What is too large for a message: the folder or bucket for it, and the files of jobs and users in there.
//!
//! | file | what it holds |
//! |---|---|
//! | [`location`] | a folder or bucket, opened by its name |
//! | [`error`] | why it did not do what it was asked for |
//! | [`writer`] | an object that is written as its bytes come |
//! | [`artifacts`] | the kept files of attempts |
//! | [`uploads`] | what users have uploaded |
//! | [`references`] | how inputs refer to that |
//! | [`sweep`] | removes what nobody can see any more, or was kept long enough |
//! | [`media_type`] | what kind of file a name says |

pub mod artifacts;
pub mod error;
pub mod location;
pub mod media_type;
pub mod references;
pub mod sweep;
pub mod uploads;
pub mod writer;

pub use artifacts::Artifacts;
pub use error::{LocationError, StoreError};
pub use location::Location;
pub use uploads::Uploads;
pub use writer::{Writer, Written};
