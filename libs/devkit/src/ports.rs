//! Free ports for servers.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Below those that systems give to outgoing connections, of which others open many: a server that is
/// down for a moment finds its port free again. Linux begins at 32,768, others at 49,152.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;
/// Ports looked at before giving up.
const TRIES: u16 = 100;

/// A free port of `ip`, and that this process is not given twice in a while.
///
/// # Errors
/// A hundred in a row are taken, or `ip` is none of this machine.
pub fn free_port(ip: IpAddr) -> Result<u16> {
    // From a place of this process's own, so that processes beside each other do not try the same ones.
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(RandomState::new().build_hasher().finish() as u16));
    for _ in 0..TRIES {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind(SocketAddr::new(ip, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port of {ip} among {TRIES} between {FIRST} and {}", FIRST + COUNT)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_port_that_is_taken_is_passed_over_and_no_port_comes_twice() {
        let ip = Ipv4Addr::LOCALHOST.into();
        let first = free_port(ip).unwrap();
        let next = first.wrapping_add(1);
        let _taken = TcpListener::bind((ip, next));
        let second = free_port(ip).unwrap();
        assert!(second != first && second != next, "{first}, {second}");
    }
}
