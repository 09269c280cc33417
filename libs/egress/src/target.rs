//! URLs: what is refused of them before anybody is asked.

use std::net::IpAddr;

use url::{Host, Url};

use crate::address::{Block, is_global};

/// Longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;

/// Where requests may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Blocks that are let in although they are not global.
    pub allow: Vec<Block>,
    /// `http://` as well as `https://`.
    pub plain_http: bool,
    /// The only ports; any, if there are none.
    pub ports: Vec<u16>,
    /// For tests alone: whatever address.
    pub unchecked: bool,
}

impl Rules {
    pub fn lets_in(&self, address: IpAddr) -> bool {
        self.unchecked || is_global(address) || self.allow.iter().any(|of| of.contains(address))
    }
}

/// Why an URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error(
        "must be an absolute URL of at most 2,048 bytes, without blanks, backslashes and control characters"
    )]
    Malformed,
    #[error("must begin with https://")]
    Scheme,
    #[error("must not name a user or a password")]
    Userinfo,
    #[error("must have no fragment")]
    Fragment,
    #[error("names a port that is not allowed")]
    Port,
    #[error("names an address that is not allowed: one that everybody can reach is needed")]
    Address,
}

/// An URL that may be asked, if its name is an address that may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Host<String>,
    port: u16,
}

impl Target {
    /// Reads an URL as browsers do, so that an address is one however it is written: `2130706433`, `0x7f.1` and
    /// `127.0.0.1` are the same.
    pub fn parse(text: &str, rules: &Rules) -> Result<Self, UrlError> {
        let is_wrong = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
        if text.len() > URL_BYTES_MAX || text.contains(is_wrong) {
            return Err(UrlError::Malformed);
        }
        let url = Url::parse(text).map_err(|_| UrlError::Malformed)?;
        match url.scheme() {
            "https" => {}
            "http" if rules.plain_http => {}
            _ => return Err(UrlError::Scheme),
        }
        // The browsers' reading takes `https:host` as well.
        if !text[url.scheme().len()..].starts_with("://") {
            return Err(UrlError::Malformed);
        }
        let authority = text.split(['/', '?', '#']).nth(2).unwrap_or_default();
        if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
            return Err(UrlError::Userinfo);
        }
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        let host = url.host().ok_or(UrlError::Malformed)?.to_owned();
        let port = url.port_or_known_default().ok_or(UrlError::Malformed)?;
        if port == 0 || !(rules.ports.is_empty() || rules.ports.contains(&port)) {
            return Err(UrlError::Port);
        }
        let target = Self { url, host, port };
        if target.address().is_some_and(|address| !rules.lets_in(address)) {
            return Err(UrlError::Address);
        }
        Ok(target)
    }

    /// The address, where that is what it names.
    pub fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// What may be told of it in logs: the rest may hold a secret.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The name, or the address without brackets.
    pub(crate) fn name(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// What the header `Host` says.
    pub(crate) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// What is asked for there.
    pub(crate) fn path_and_query(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_is_asked_as_it_is_written() {
        let rules = Rules::default();
        let target = Target::parse("https://hooks.example.org:8443/a/b?key=1%202", &rules).unwrap();
        assert_eq!(target.authority(), "hooks.example.org:8443");
        assert_eq!(target.path_and_query(), "/a/b?key=1%202");
        assert_eq!(
            (target.name(), target.port(), target.is_tls()),
            ("hooks.example.org".to_owned(), 8443, true)
        );
        let target = Target::parse("https://[2606:4700:4700::1111]/", &rules).unwrap();
        assert_eq!(
            (target.authority(), target.name()),
            ("[2606:4700:4700::1111]".to_owned(), "2606:4700:4700::1111".to_owned())
        );
        assert_eq!(target.host(), "[2606:4700:4700::1111]");
    }

    #[test]
    fn what_is_no_plain_url_is_refused() {
        let rules = Rules::default();
        for (url, error) in [
            ("", UrlError::Malformed),
            ("hooks.example.org", UrlError::Malformed),
            ("https:hooks.example.org", UrlError::Malformed),
            ("https://", UrlError::Malformed),
            ("https://a b/", UrlError::Malformed),
            ("https://a\\@b/", UrlError::Malformed),
            ("https://a\r\nb/", UrlError::Malformed),
            ("http://hooks.example.org/", UrlError::Scheme),
            ("ftp://hooks.example.org/", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("gopher://hooks.example.org/", UrlError::Scheme),
            ("https://ada:secret@hooks.example.org/", UrlError::Userinfo),
            ("https://ada@hooks.example.org/", UrlError::Userinfo),
            ("https://@hooks.example.org/", UrlError::Userinfo),
            ("https://hooks.example.org/#a", UrlError::Fragment),
            ("https://hooks.example.org:0/", UrlError::Port),
        ] {
            assert_eq!(Target::parse(url, &rules), Err(error), "{url}");
        }
        let long = format!("https://hooks.example.org/{}", "a".repeat(URL_BYTES_MAX));
        assert_eq!(Target::parse(&long, &rules), Err(UrlError::Malformed));
        let narrow = Rules { ports: vec![443], plain_http: true, ..Rules::default() };
        assert!(Target::parse("https://hooks.example.org/", &narrow).is_ok());
        assert_eq!(Target::parse("http://hooks.example.org/", &narrow), Err(UrlError::Port));
        assert!(
            Target::parse("http://hooks.example.org/", &Rules { ports: vec![], ..narrow }).is_ok()
        );
    }
}
