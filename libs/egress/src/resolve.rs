//! Names to addresses.

use std::{io, net::IpAddr};

use futures_util::future::BoxFuture;

/// Says what a name stands for now.
pub trait Resolve: Send + Sync {
    /// # Errors
    /// Nobody knows the name, or nobody can say so now.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// As this machine is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            // The port is nobody's here: the request knows it.
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
