//! The broker's URLs, with or without credentials.

use async_nats::ServerAddr;

use crate::options::ConnectError;

/// What a URL says about who connects: `user:password@`, or `token@`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Credentials {
    user: Option<String>,
    password: Option<String>,
}

/// The client library ignores credentials in URLs, and logs the URLs; so they are taken out.
pub(crate) fn read_urls(urls: &str) -> Result<(Vec<ServerAddr>, Credentials), ConnectError> {
    let unreadable = |e: std::io::Error| ConnectError::Denied(format!("cannot read the URL: {e}"));
    let mut servers = Vec::new();
    let mut credentials = Credentials::default();
    for url in urls.split(',') {
        let full: ServerAddr = url.trim().parse().map_err(unreadable)?;
        if credentials.user.is_none() {
            credentials.user = full.username().map(percent_decoded);
            credentials.password = full.password().map(percent_decoded);
        }
        let host = full.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let bare = format!("{}://{host}:{}", full.scheme(), full.port());
        servers.push(bare.parse().map_err(unreadable)?);
    }
    Ok((servers, credentials))
}

impl Credentials {
    /// Who the permissions are for, for people to read.
    pub(crate) fn user(&self) -> &str {
        match (&self.user, &self.password) {
            (Some(user), Some(_)) => user,
            (Some(_), None) => "of a token",
            (None, _) => "without a name",
        }
    }
}

pub(crate) fn with_credentials(credentials: Credentials) -> async_nats::ConnectOptions {
    let options = async_nats::ConnectOptions::new();
    match (credentials.user, credentials.password) {
        (Some(user), Some(password)) => options.user_and_password(user, password),
        (Some(token), None) => options.token(token),
        (None, _) => options,
    }
}

/// Whether every server of the URLs is on this machine, as far as its name says.
pub(crate) fn is_loopback(urls: &str) -> bool {
    read_urls(urls).is_ok_and(|(servers, _)| {
        servers.iter().all(|server| {
            let host = server.host();
            host == "localhost"
                || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        })
    })
}

/// `p%40ss` is how `p@ss` stands in a URL.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits =
            after.get(..2).filter(|_| first == b'%').and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// For people to read.
pub(crate) fn without_password(url: &str) -> String {
    let one = |url: &str| match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        (_, None) => url.to_owned(),
    };
    url.split(',').map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_printed() {
        let shown = |url| without_password(url);
        assert_eq!(shown("nats://u:p@h:1,tls://u:p@@h:2"), "nats://…@h:1,tls://…@h:2");
        assert_eq!(shown("u:p@h:1"), "…@h:1");
        assert_eq!(shown("nats://h:1"), "nats://h:1");
    }

    #[test]
    fn credentials_are_taken_out_of_the_urls() {
        let (servers, credentials) = read_urls("nats://ada:p%40ss%@h:1, tls://[::1]:2,h3").unwrap();
        let servers: Vec<_> = servers.iter().map(ServerAddr::as_url_str).collect();
        assert_eq!(servers, ["nats://h:1", "tls://[::1]:2", "nats://h3:4222"]);
        let expected = Credentials { user: Some("ada".into()), password: Some("p@ss%".into()) };
        assert_eq!(credentials, expected);
        assert!(matches!(read_urls("http://h"), Err(ConnectError::Denied(_))));
    }
}
