//! Requests to addresses that users name, and none to where they must not reach.
//!
//! Whoever may name an URL that a server asks may ask by it what only the server can reach: its own machine, its
//! network, the metadata of its cloud. So an address is looked at when it is known, at every request anew, and the
//! connection goes to that very address: a name that says something else a moment later changes nothing. No
//! redirect is followed, and no proxy is asked.
//!
//! | file | what it holds |
//! |---|---|
//! | [`address`] | which addresses anybody may be sent to |
//! | [`target`] | URLs: what is refused of them before anybody is asked |
//! | [`resolve`] | names to addresses |
//! | [`settings`] | what an operator says of it |
//! | [`request`] | one request, within a bounded time |

pub mod address;
pub mod request;
pub mod resolve;
pub mod settings;
pub mod target;

pub use address::Block;
pub use request::{Answer, Client, Failure, Request, RetryAfter};
pub use resolve::{Resolve, SystemResolver};
pub use settings::WebhookRules;
pub use target::{Rules, Target, UrlError};
