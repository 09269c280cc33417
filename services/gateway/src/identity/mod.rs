//! Who asks, by whose word, and what that opens.

pub mod auth;
pub mod command_roles;
pub mod jwt;
