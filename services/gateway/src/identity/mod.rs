//! Who asks, by whose word, and what that opens.

pub mod asking;
pub mod auth;
pub mod command_roles;
mod jwks;
pub mod jwt;
pub mod key_source;
pub mod keys;
pub mod proxies;
pub mod rate;
#[cfg(test)]
mod test_keys;
mod token_members;
pub mod token_rule;
