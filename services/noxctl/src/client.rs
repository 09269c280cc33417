//! The HTTP client of the gateway.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::{
    Method, StatusCode,
    header::{self, HeaderValue},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::token_source::TokenSource;

/// A gateway on this machine answers in a millisecond; one far away in less than this.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Longer than the gateway lets any request take.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Longest download; each piece of it has to come within [`ANSWER_WAIT`].
const DOWNLOAD_WAIT: Duration = Duration::from_secs(7 * 86_400);

/// Longest upload.
const UPLOAD_WAIT: Duration = Duration::from_secs(86_400);

/// How much of an answer that is no problem document is quoted.
const QUOTED_CHARS_MAX: usize = 200;

/// Why there is no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Get a token.
    #[error("no token: set NOX_TOKEN, or name the data folder of a development system")]
    NoToken,
    /// Give another address.
    #[error("{0}")]
    Address(String),
    /// Give something else there: it cannot be sent, and nothing was.
    #[error("{what} has a character that no header may hold: {character:?}, as number {place}")]
    Header { what: &'static str, character: char, place: usize },
    /// Give something else there; it was read from a file with line ends of another system, say.
    #[error("{what} has a control character: {character:?}, as number {place}")]
    Control { what: &'static str, character: char, place: usize },
    /// Start a system, or name one.
    #[error("{0}")]
    NoSystem(String),
    /// Start the server, or give another address.
    #[error("{url} does not answer: {reason}")]
    Unreachable { url: String, reason: String },
    /// The server says no, and why.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The server is not the one that this client was written for.
    #[error("an unexpected answer: {0}")]
    Unreadable(String),
}

/// A problem document (RFC 9457), as far as it is shown.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The address of a page about it, relative to the server.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub title: String,
    pub status: u16,
    pub detail: Option<String>,
    pub code: Option<String>,
    pub request_id: Option<String>,
    /// Seconds after which it may go better.
    pub retry_after: Option<u64>,
    pub errors: Vec<FieldError>,
    /// What the command that was refused knows about it.
    #[serde(skip)]
    pub hint: Option<String>,
    /// The whole document.
    #[serde(skip)]
    pub document: String,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, Deserialize)]
pub struct FieldError {
    pub pointer: String,
    pub detail: String,
}

impl std::fmt::Display for Problem {
    /// One line what; one line each for what is wrong where, and for what to do.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.title)?;
        if let Some(detail) = self.detail.as_ref().filter(|detail| **detail != self.title) {
            write!(f, ": {detail}")?;
        }
        write!(f, " ({}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        f.write_str(")")?;
        for error in &self.errors {
            write!(f, "\n  {}: {}", error.pointer, error.detail)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  {hint}")?;
        }
        if let Some(seconds) = self.retry_after {
            write!(f, "\n  try again in {seconds} s")?;
        }
        if let Some(request) = self.request_id.as_ref().filter(|_| self.status >= 500) {
            write!(f, "\n  the server's log knows it as request {request}")?;
        }
        Ok(())
    }
}

/// Asks one gateway, on connections that stay open. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Without a slash at its end.
    url: String,
    /// The value of `Authorization`, the same for all clones.
    token: Arc<Mutex<Option<HeaderValue>>>,
    /// Where another one is had.
    source: Option<TokenSource>,
}

/// A body that was answered with success.
pub struct Answer {
    pub status: StatusCode,
    /// JSON, exactly as it came.
    pub body: String,
}

impl Client {
    /// A client of the gateway at `url`, which begins with `http://`.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, ClientError> {
        if !url.starts_with("http://") {
            return Err(ClientError::Address(format!(
                "{url:?} is no address that begins with http://; for TLS, put a proxy in between"
            )));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WAIT)
            .timeout(ANSWER_WAIT)
            // A proxy of the environment would be asked for addresses of this machine, too.
            .no_proxy()
            .build()
            .map_err(|error| ClientError::Address(error.to_string()))?;
        let url = url.trim_end_matches('/').to_owned();
        let read = reqwest::Url::parse(&url);
        read.map_err(|error| ClientError::Address(format!("{url:?} is no address: {error}")))?;
        let token = token.map(|token| bearer(&token)).transpose()?;
        Ok(Self { http, url, token: Arc::new(Mutex::new(token)), source: None })
    }

    /// The same with a token from `source`.
    pub fn with_source(url: &str, source: TokenSource) -> anyhow::Result<Self> {
        let token = source.fetch()?;
        Ok(Self { source: Some(source), ..Self::new(url, Some(token))? })
    }

    /// Whether `error` says that the token has ended, and another one is there now.
    ///
    /// # Errors
    /// None can be had.
    pub fn renews_token(&self, error: &ClientError) -> anyhow::Result<bool> {
        let has_ended = matches!(
            error,
            ClientError::Refused(problem) if problem.code.as_deref() == Some("token_expired")
        );
        let Some(source) = self.source.as_ref().filter(|source| has_ended && source.is_renewable())
        else {
            return Ok(false);
        };
        let token = Some(bearer(&source.fetch()?)?);
        let mut current = self.token();
        let is_another = *current != token;
        *current = token;
        Ok(is_another)
    }

    fn token(&self) -> MutexGuard<'_, Option<HeaderValue>> {
        // It is replaced as a whole.
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(self.request(Method::GET, path)?).await
    }

    /// Asks for JSON that can be read as a `T`.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.get(path).await?.read()
    }

    pub async fn post(&self, path: &str, body: Option<&Value>) -> Result<Answer, ClientError> {
        self.post_as(path, body.map(Value::to_string), None).await
    }

    /// Posts a text of JSON, under an idempotency key if there is one: the same key twice does the same
    /// thing once.
    pub async fn post_as(
        &self,
        path: &str,
        body: Option<String>,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, ClientError> {
        let mut request = self.request(Method::POST, path)?;
        if let Some(body) = body {
            request = with_json(request, body);
        }
        if let Some(key) = idempotency_key {
            request = request.header("Idempotency-Key", header("the idempotency key", key)?);
        }
        self.send(request).await
    }

    /// Puts a text of JSON in the place of what is there.
    pub async fn put(&self, path: &str, body: String) -> Result<Answer, ClientError> {
        self.send(with_json(self.request(Method::PUT, path)?, body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(self.request(Method::DELETE, path)?).await
    }

    /// Uploads bytes: what inputs can refer to.
    pub async fn upload(&self, bytes: Vec<u8>) -> Result<Answer, ClientError> {
        let request = self.request(Method::PUT, "/uploads")?.timeout(UPLOAD_WAIT);
        self.send(request.body(bytes)).await
    }

    /// Asks for bytes, and hands them on as they come.
    pub async fn download(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let request = self.request(Method::GET, path)?.timeout(DOWNLOAD_WAIT);
        let mut answer = self.in_time(request.send()).await?;
        if !answer.status().is_success() {
            let (status, body) = (answer.status(), self.in_time(answer.text()).await?);
            return Err(ClientError::Refused(Box::new(problem(status, body))).into());
        }
        while let Some(bytes) = self.in_time(answer.chunk()).await? {
            take(&bytes)?;
        }
        Ok(())
    }

    /// Asks for lines of this kind, and hands each on as it comes, until the answer ends. An empty one says that the
    /// gateway is there.
    pub async fn follow(
        &self,
        path: &str,
        kind: &str,
        mut take: impl FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let request = self.request(Method::GET, path)?.timeout(DOWNLOAD_WAIT);
        let mut answer = self.in_time(request.header(header::ACCEPT, kind).send()).await?;
        if !answer.status().is_success() {
            let (status, body) = (answer.status(), self.in_time(answer.text()).await?);
            return Err(ClientError::Refused(Box::new(problem(status, body))).into());
        }
        let mut begun = Vec::new();
        while let Some(bytes) = self.in_time(answer.chunk()).await? {
            begun.extend_from_slice(&bytes);
            let Some(end) = begun.iter().rposition(|byte| *byte == b'\n') else { continue };
            let rest = begun.split_off(end + 1);
            let lines = std::str::from_utf8(&begun[..end])
                .map_err(|error| ClientError::Unreadable(error.to_string()))?;
            lines.split('\n').try_for_each(&mut take)?;
            begun = rest;
        }
        Ok(())
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(ANSWER_WAIT, answer).await {
            Ok(answer) => answer.map_err(|error| self.unreachable(&error)),
            Err(_) => {
                let reason = "no answer in time".to_owned();
                Err(ClientError::Unreachable { url: self.url.clone(), reason })
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> Result<reqwest::RequestBuilder, ClientError> {
        let request = self.http.request(method, format!("{}{path}", self.url));
        Ok(match &*self.token() {
            Some(token) => request.header(header::AUTHORIZATION, token),
            None => request,
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, ClientError> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return Ok(Answer { status, body });
        }
        Err(ClientError::Refused(Box::new(problem(status, body))))
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        let reason =
            if error.is_timeout() { "no answer in time".into() } else { innermost.to_string() };
        ClientError::Unreachable { url: self.url.clone(), reason }
    }
}

fn bearer(token: &str) -> Result<HeaderValue, ClientError> {
    header("the token", token)?;
    let mut value = header("the token", &format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn with_json(request: reqwest::RequestBuilder, body: String) -> reqwest::RequestBuilder {
    request.header(header::CONTENT_TYPE, "application/json").body(body)
}

/// `text` as the value of a header.
fn header(what: &'static str, text: &str) -> Result<HeaderValue, ClientError> {
    let wrong = text.chars().enumerate().find(|(_, c)| !matches!(c, ' '..='~'));
    match (wrong, HeaderValue::from_str(text)) {
        (None, Ok(value)) => Ok(value),
        (wrong, _) => {
            let (before, character) = wrong.unwrap_or_default();
            Err(ClientError::Header { what, character, place: before + 1 })
        }
    }
}

impl Answer {
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_str(&self.body)
            .map_err(|error| ClientError::Unreadable(format!("{error}: {}", quoted(&self.body))))
    }
}

/// What a body says about a request that was refused; whatever else answered there is quoted.
fn problem(status: StatusCode, body: String) -> Problem {
    let known = serde_json::from_str::<Problem>(&body).ok().filter(|known| !known.title.is_empty());
    let mut problem = known.unwrap_or_else(|| Problem {
        title: status.canonical_reason().unwrap_or("An error").to_owned(),
        detail: Some(quoted(&body)).filter(|text| !text.is_empty()),
        ..Problem::default()
    });
    problem.status = status.as_u16();
    problem.document = body;
    problem
}

fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(QUOTED_CHARS_MAX).collect()
}

/// `text` as one piece of a path or value of a query.
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_where_and_what_to_do() {
        let body = r#"{"type":"/v1/problems/invalid-request","title":"Invalid request","status":422,
            "detail":"2 things are wrong","code":"invalid_request","retry_after":3,
            "errors":[{"pointer":"/cpu","detail":"must be a whole number"}]}"#;
        let shown = problem(StatusCode::UNPROCESSABLE_ENTITY, body.to_owned()).to_string();
        assert_eq!(
            shown,
            "Invalid request: 2 things are wrong (422 invalid_request)\n  \
             /cpu: must be a whole number\n  try again in 3 s"
        );
    }

    #[test]
    fn an_answer_of_something_else_is_quoted_without_its_control_characters() {
        let shown = problem(StatusCode::BAD_GATEWAY, "<html>\u{1b}[31m</html>".to_owned());
        assert_eq!(shown.to_string(), "Bad Gateway: <html>[31m</html> (502)");
    }

    #[test]
    fn text_in_a_path_stays_one_piece_of_it() {
        assert_eq!(encoded("a/b?c d"), "a%2Fb%3Fc%20d");
    }

    #[test]
    fn what_no_header_may_hold_is_told_by_its_place() {
        let told = |token: &str| {
            let client = Client::new("http://h", Some(token.to_owned()));
            client.err().map(|error| error.to_string()).unwrap_or_default()
        };
        let wrong = "the token has a character that no header may hold: '\\r', as number 4";
        assert_eq!(told("abc\r"), wrong);
        assert!(told("\u{2026}").contains("number 1"));
        assert_eq!(told("abc.def"), "");
    }

    #[test]
    fn an_address_that_this_client_cannot_use_is_refused() {
        for url in ["https://h", "http://h:99999", "http://"] {
            assert!(matches!(Client::new(url, None), Err(ClientError::Address(_))), "{url}");
        }
    }
}
