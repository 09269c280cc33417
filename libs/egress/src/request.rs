//! One request, within a bounded time.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Response,
    body::Incoming,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    resolve::Resolve,
    target::{Rules, Target, UrlError},
};

/// Longest time of a request, from the name to the head of its answer. With its body, it is ten seconds.
pub const WITHIN: Duration = Duration::from_secs(9);
/// Longest time of one connection to one of a name's addresses, so that there is time for another one.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 3;
/// Most bytes of an answer's head, and most that is read of its body, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most headers of an answer.
const HEADERS_MAX: usize = 100;
/// How long an answer's body is read, whose status is known: that who sends it is not cut off at once.
const BODY_WITHIN: Duration = Duration::from_secs(1);

const AGENT: &str = concat!("nox/", env!("CARGO_PKG_VERSION"));

/// What is sent, by POST.
#[derive(Debug, Clone)]
pub struct Request {
    pub content_type: &'static str,
    /// Names in small letters.
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<RetryAfter>,
}

/// How long somebody asks to be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    For(Duration),
    /// Seconds since 1970.
    Until(i64),
}

impl RetryAfter {
    /// Seconds, or an instant as HTTP writes it.
    fn read(value: Option<&HeaderValue>) -> Option<Self> {
        let text = value?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Self::For(Duration::from_secs(seconds)));
        }
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Self::Until(at.as_second()))
    }

    /// How long that is at `now`, in seconds since 1970.
    pub fn from(self, now: i64) -> Duration {
        match self {
            Self::For(span) => span,
            Self::Until(at) => {
                Duration::from_secs(u64::try_from(at.saturating_sub(now)).unwrap_or_default())
            }
        }
    }
}

/// Why nothing came back. Its words are for operators; users are told [`Failure::class`] alone, which does not say
/// whether a name is known, where it points to, and whether anybody listens there.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("the URL {0}")]
    Url(#[from] UrlError),
    #[error("the name cannot be resolved: {0}")]
    Name(io::Error),
    #[error("the name stands for {0}, which is not allowed")]
    Forbidden(IpAddr),
    #[error("nobody can be reached: {0}")]
    Connect(io::Error),
    #[error("TLS fails: {0}")]
    Tls(io::Error),
    #[error("no HTTP is spoken: {0}")]
    Protocol(hyper::Error),
    #[error("no answer in time")]
    Timeout,
}

impl Failure {
    /// What users are told.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Url(_) | Self::Name(_) | Self::Forbidden(_) | Self::Connect(_) => "unreachable",
            Self::Tls(_) => "tls",
            Self::Protocol(_) => "protocol",
            Self::Timeout => "timeout",
        }
    }
}

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    rules: Arc<Rules>,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Client {
    /// Believes the certificates that this machine believes (`SSL_CERT_FILE` names others).
    ///
    /// # Errors
    /// There is no certificate to believe.
    pub fn new(rules: Rules, resolver: Arc<dyn Resolve>) -> io::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (believed, _) = roots.add_parsable_certificates(found.certs);
        if believed == 0 {
            tracing::warn!("No certificate authority is known here: https:// will fail");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        Ok(Self { rules: Arc::new(rules), resolver, tls })
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Sends a request to `url`, once.
    ///
    /// # Errors
    /// It may not be sent there, or there is no answer within [`WITHIN`].
    pub async fn send(&self, url: &str, request: Request) -> Result<Answer, Failure> {
        let send = self.send_once(url, request);
        let sent = timeout(WITHIN, send).await;
        let (response, _connection) = sent.unwrap_or(Err(Failure::Timeout))?;
        let answer = Answer {
            status: response.status().as_u16(),
            retry_after: RetryAfter::read(response.headers().get(RETRY_AFTER)),
        };
        // What is said is known: how its body ends makes no difference.
        let _ = timeout(BODY_WITHIN, drain(response.into_body())).await;
        Ok(answer)
    }

    async fn send_once(&self, url: &str, request: Request) -> Result<Begun, Failure> {
        let target = Target::parse(url, &self.rules)?;
        let addresses = self.addresses(&target).await?;
        let stream = connect(&addresses, target.port()).await?;
        if !target.is_tls() {
            return exchange(stream, &target, request).await;
        }
        let name = ServerName::try_from(target.name())
            .map_err(|error| Failure::Tls(io::Error::other(error)))?;
        let stream = self.tls.connect(name, stream).await.map_err(Failure::Tls)?;
        exchange(stream, &target, request).await
    }

    /// All addresses of the target, if all of them are allowed: whose name stands for one that is not has nothing
    /// good in mind, or a network that has.
    async fn addresses(&self, target: &Target) -> Result<Vec<IpAddr>, Failure> {
        let found = match target.address() {
            Some(address) => vec![address],
            None => self.resolver.resolve(&target.name()).await.map_err(Failure::Name)?,
        };
        if found.is_empty() {
            return Err(Failure::Name(io::ErrorKind::NotFound.into()));
        }
        match found.iter().find(|address| !self.rules.lets_in(**address)) {
            Some(forbidden) => Err(Failure::Forbidden(*forbidden)),
            None => Ok(found),
        }
    }
}

/// Connects to one of the addresses that were looked at, and to no other.
async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Failure> {
    let mut failure = Failure::Timeout;
    for address in addresses.iter().take(ADDRESSES_MAX) {
        match timeout(CONNECT_WITHIN, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = Failure::Connect(error),
            Err(_) => failure = Failure::Timeout,
        }
    }
    Err(failure)
}

/// An answer whose head is there, and what brings the rest; dropped, the connection is closed.
type Begun = (Response<Incoming>, AbortOnDropHandle<hyper::Result<()>>);

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    target: &Target,
    request: Request,
) -> Result<Begun, Failure> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(ANSWER_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(Failure::Protocol)?;
    let connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = of(target, request)?;
    let response = sender.send_request(request).await.map_err(Failure::Protocol)?;
    Ok((response, connection))
}

fn of(target: &Target, request: Request) -> Result<hyper::Request<Full<Bytes>>, Failure> {
    let Request { content_type, headers, body } = request;
    let mut builder = hyper::Request::builder()
        .method(Method::POST)
        .uri(target.path_and_query())
        .header(HOST, target.authority())
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, content_type)
        .header(CONNECTION, "close");
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(body)).map_err(|_| Failure::Url(UrlError::Malformed))
}

/// Reads a body as far as is polite.
async fn drain(mut body: Incoming) {
    let mut read = 0;
    while read < ANSWER_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_be_left_alone_is_asked_for_in_seconds_or_until_an_instant() {
        let now = 1_795_867_200;
        let read = |text: &'static str| {
            RetryAfter::read(Some(&HeaderValue::from_static(text))).map(|after| after.from(now))
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sat, 28 Nov 2026 12:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(read("Sat, 28 Nov 2020 12:01:00 GMT"), Some(Duration::ZERO));
        for none in ["", "soon", "-1", "1.5"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
