//! Where the API is served.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
};

use anyhow::{Result, anyhow};
use nox_devkit::free_port;

use crate::{home::Place, system::holder};

/// The address to serve on: what was asked for, or for port 0 the port that the system had before,
/// else a free one.
///
/// # Errors
/// It is taken. Found out before anything is started.
pub fn pick(asked: SocketAddr, before: Option<&Place>) -> Result<SocketAddr> {
    if asked.port() == 0
        && let Some(port) = before.and_then(|place| port_of(&place.url))
        && let Ok(known) = bind(SocketAddr::new(asked.ip(), port))
    {
        return Ok(known);
    }
    if asked.port() == 0 {
        return Ok(SocketAddr::new(asked.ip(), free_port(asked.ip())?));
    }
    bind(asked).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            let holder = holder::of_address(asked);
            let holder = holder.map_or_else(|| "another program".to_owned(), |h| h.to_string());
            anyhow!(
                "{asked} is taken by {holder}; set NOX_HTTP_ADDR to a free address, such as {}:0 \
                 for any",
                asked.ip()
            )
        }
        _ => anyhow!("cannot listen on {asked}: {error}"),
    })
}

/// `port`, if nobody on this machine has it.
pub fn if_free(port: Option<u16>) -> Option<u16> {
    let local = |port| bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).ok();
    port.and_then(local).map(|address| address.port())
}

/// The address of `listen` for clients on this machine.
pub fn url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

pub fn port_of(url: &str) -> Option<u16> {
    url.rsplit_once(':')?.1.trim_end_matches('/').parse().ok()
}

/// Takes the address for a moment, and gives it back.
fn bind(address: SocketAddr) -> std::io::Result<SocketAddr> {
    TcpListener::bind(address)?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_named_in_one_line() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = pick(address, None).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("NOX_HTTP_ADDR"), "{error}");
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        assert_eq!(error.lines().count(), 1);
    }

    #[test]
    fn a_wildcard_is_reached_on_this_machine() {
        assert_eq!(url("0.0.0.0:81".parse().unwrap()), "http://127.0.0.1:81");
        assert_eq!(url("[::]:81".parse().unwrap()), "http://[::1]:81");
        assert_eq!(port_of("nats://nox:p@127.0.0.1:4222"), Some(4222));
    }
}
