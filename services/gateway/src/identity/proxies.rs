//! Whom a request is from, where a proxy speaks for others.
//!
//! Anybody can write `X-Forwarded-For` and `Forwarded`. What a trusted proxy wrote stands at their right end: they are read
//! from there, up to the first address that is no trusted proxy's. Left of it anything may stand, and nobody looks.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};
use nox_contract::ProblemCode;
use nox_egress::Block;

use crate::problem::ApiError;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whose word is believed; nobody's, unless the operator says so.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<[Block]>);

/// What a proxy says of whom it heard.
#[derive(Debug, PartialEq, Eq)]
enum Hop {
    Address(IpAddr),
    /// It will not say (RFC 7239, 6).
    Hidden,
}

impl Proxies {
    pub fn new(trusted: Vec<Block>) -> Self {
        Self(trusted.into())
    }

    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|block| block.contains(address))
    }

    /// The address that a request from `peer` is from: the peer's own, unless that is a trusted proxy's.
    ///
    /// # Errors
    /// A trusted proxy says it in no clear way.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, ApiError> {
        if !self.trust(peer) {
            return Ok(peer);
        }
        let listed = self.last_untrusted(peer, headers, &X_FORWARDED_FOR, listed)?;
        let paired = self.last_untrusted(peer, headers, &FORWARDED, paired)?;
        match (listed, paired) {
            (None, None) => Ok(peer),
            // A proxy writes one of them and may let the other pass as it came: then somebody else wrote that.
            (Some(listed), Some(paired)) if listed != paired => {
                let detail = "X-Forwarded-For and Forwarded say that it is from two addresses";
                Err(ApiError::new(ProblemCode::AmbiguousHead, detail))
            }
            (Some(client), _) | (None, Some(client)) => Ok(client),
        }
    }

    /// From right to left, the first address that is no trusted proxy's, or else the leftmost one; `None` without the
    /// header.
    fn last_untrusted(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        name: &HeaderName,
        read: fn(&str) -> Option<Hop>,
    ) -> Result<Option<IpAddr>, ApiError> {
        let mut client = None;
        for value in headers.get_all(name).iter().rev() {
            let malformed = || {
                let detail = format!("{name} does not say from which address it is");
                ApiError::new(ProblemCode::AmbiguousHead, detail)
            };
            let text = value.to_str().map_err(|_| malformed())?;
            // A quote behind a backslash is none: to read from the right end, one would have to know where it begins.
            if text.contains('\\') {
                return Err(malformed());
            }
            for hop in from_right(text, ',') {
                match read(hop.trim()).ok_or_else(malformed)? {
                    Hop::Address(address) if self.trust(address) => client = Some(address),
                    Hop::Address(address) => return Ok(Some(address)),
                    // Nobody is known who would be farther away.
                    Hop::Hidden => return Ok(Some(client.unwrap_or(peer))),
                }
            }
        }
        Ok(client)
    }
}

/// The parts of a text between separators that are not quoted, from its right end: what stands at the left is not a
/// proxy's, and cannot make other parts of these.
fn from_right(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.rsplit(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}

/// An element of `X-Forwarded-For`.
fn listed(text: &str) -> Option<Hop> {
    if text == "unknown" { Some(Hop::Hidden) } else { address(text).map(Hop::Address) }
}

/// An element of `Forwarded`: pairs, of which `for` is wanted.
fn paired(text: &str) -> Option<Hop> {
    let pairs: Option<Vec<_>> = from_right(text, ';').map(|pair| pair.split_once('=')).collect();
    let mut named = pairs?.into_iter().filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let Some((_, value)) = named.next() else { return Some(Hop::Hidden) };
    if named.next().is_some() {
        return None;
    }
    let value = value.trim();
    let plain = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
    if plain == "unknown" || plain.starts_with('_') {
        return Some(Hop::Hidden);
    }
    address(plain).map(Hop::Address)
}

/// An address as proxies write it, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.parse::<IpAddr>().ok();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let in_brackets = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        Some(IpAddr::V6(inner.parse::<Ipv6Addr>().ok()?))
    };
    bare().or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, StatusCode};

    use super::*;

    const PROXY: &str = "10.0.0.1";
    const STRANGER: &str = "198.51.100.9";

    /// Whom a request is from, or `refused`, where `10.0.0.0/8` and `2001:db8:7::/48` are trusted.
    fn client(peer: &str, lines: &[(&str, &str)]) -> String {
        let blocks = ["10.0.0.0/8", "2001:db8:7::/48"].map(|block| block.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        match Proxies::new(blocks.to_vec()).client(peer.parse().unwrap(), &headers) {
            Ok(address) => address.to_string(),
            Err(error) => {
                assert_eq!(error.status(), StatusCode::BAD_REQUEST);
                "refused".to_owned()
            }
        }
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        for lines in [
            &[("x-forwarded-for", "203.0.113.7")][..],
            &[("x-forwarded-for", "10.0.0.1")],
            &[("x-forwarded-for", "no address")],
            &[("forwarded", "for=203.0.113.7")],
            &[("forwarded", "for=\"")],
        ] {
            assert_eq!(client(STRANGER, lines), STRANGER, "{lines:?}");
            // And nobody at all, where nobody is named.
            let headers = lines.iter().map(|(name, value)| {
                (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            });
            let proxy: IpAddr = PROXY.parse().unwrap();
            let found = Proxies::default().client(proxy, &headers.collect()).unwrap();
            assert_eq!(found, proxy);
        }
    }

    #[test]
    fn of_a_list_the_last_that_is_no_proxy_counts_whatever_stands_before_it() {
        for (list, from) in [
            ("203.0.113.7", "203.0.113.7"),
            ("127.0.0.1, 203.0.113.7", "203.0.113.7"),
            ("no address, \u{e4}\", 203.0.113.7", "refused"),
            ("no address, \", 203.0.113.7", "203.0.113.7"),
            ("203.0.113.7, 10.9.9.9 ,10.0.0.2", "203.0.113.7"),
            ("192.0.2.66,203.0.113.7, 2001:db8:7::2", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("2001:db8:1::1", "2001:db8:1::1"),
            ("[2001:db8:1::1]:4711", "2001:db8:1::1"),
            ("[2001:db8:1::1]", "2001:db8:1::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            // Within the proxies' own network.
            ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
            ("unknown", PROXY),
            ("203.0.113.7, unknown, 10.2.2.2", "10.2.2.2"),
        ] {
            assert_eq!(client(PROXY, &[("x-forwarded-for", list)]), from, "{list}");
        }
        let lines = [("x-forwarded-for", "192.0.2.66"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(client(PROXY, &lines), "203.0.113.7");
        assert_eq!(client("::ffff:10.0.0.1", &lines), "203.0.113.7");
        assert_eq!(client(PROXY, &[]), PROXY);
    }

    #[test]
    fn the_standard_header_is_read_in_the_same_way() {
        for (list, from) in [
            ("for=203.0.113.7", "203.0.113.7"),
            ("For=\"203.0.113.7:80\";proto=https;by=10.0.0.1", "203.0.113.7"),
            ("for=192.0.2.66, for=203.0.113.7;proto=http, for=10.0.0.2", "203.0.113.7"),
            ("for=\"[2001:db8:1::1]:4711\"", "2001:db8:1::1"),
            // What a client says of its host is not what a proxy says of the client.
            ("for=203.0.113.7;host=\"a, for=192.0.2.66\"", "203.0.113.7"),
            ("for=192.0.2.66;host=\", for=203.0.113.7", "203.0.113.7"),
            ("for=_hidden", PROXY),
            ("for=203.0.113.7, for=unknown, for=10.2.2.2", "10.2.2.2"),
            ("proto=https", PROXY),
        ] {
            assert_eq!(client(PROXY, &[("forwarded", list)]), from, "{list}");
        }
    }

    #[test]
    fn what_a_trusted_proxy_says_in_no_clear_way_is_refused() {
        for list in
            ["", "203.0.113.7,", "example.org", "203.0.113", "[203.0.113.7]", "a:1", "fe80::1%eth0"]
        {
            assert_eq!(client(PROXY, &[("x-forwarded-for", list)]), "refused", "{list}");
        }
        for list in [
            "",
            "for",
            "for=",
            "for=\"203.0.113.7",
            "for=203.0.113.7\\",
            // One element, whose host has quotes: not two, of which the other would be believed.
            r#"for=203.0.113.7;host="a\", for=192.0.2.66;x=\"""#,
            "for=203.0.113.7;for=192.0.2.66",
            "for=2001:db8:1::1:x",
        ] {
            assert_eq!(client(PROXY, &[("forwarded", list)]), "refused", "{list}");
        }
        let two = |paired| [("x-forwarded-for", "203.0.113.7"), ("forwarded", paired)];
        assert_eq!(client(PROXY, &two("for=192.0.2.66")), "refused");
        assert_eq!(client(PROXY, &two("for=203.0.113.7")), "203.0.113.7");
    }
}
