//! Where public keys come from, and how they change while the gateway runs: a file, or a URL on this
//! machine, behind which a proxy may fetch them from a provider.
//!
//! Nothing that a token says is asked for, only what the operator named. The keys that were read last
//! stay while the source is away or wrong.

use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use nox_service::{Clock, Runtime};
use prometheus::IntGauge;
use reqwest::{StatusCode, Url, redirect};
use tokio::{io::AsyncReadExt, sync::Mutex};

use crate::identity::jwks::{DOCUMENT_BYTES_MAX, JwksError, KeySet};

/// Longest time for one answer. Requests with an unknown key wait for it, once each [`Pace::again`].
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// How often a file is read again; a few kilobytes that the system has in memory.
const FILE_PACE: Pace = Pace { every: Duration::from_secs(1), again: Duration::from_secs(1) };

/// Soonest question after the last one, at a URL, because a token names an unknown key. Anybody can
/// write such a token; a provider that changes its key publishes the new one before it signs with it.
const URL_AGAIN: Duration = Duration::from_secs(10);

/// Where keys are read: as `NOX_JWT_JWKS` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    File(PathBuf),
    Url(Url),
}

/// This is no place for keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a file nor an address of this machine (http://127.0.0.1:PORT/…): keys from \
     elsewhere are fetched by a proxy here, which checks the other side's certificate"
)]
pub struct NoSource(String);

impl FromStr for KeySource {
    type Err = NoSource;

    fn from_str(text: &str) -> Result<Self, NoSource> {
        let refused = || NoSource(text.to_owned());
        if text.is_empty() || text.contains(char::is_control) {
            return Err(refused());
        }
        // A file's path has no scheme; whatever has one is an address or a mistake.
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let url = Url::parse(text).map_err(|_| refused())?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        // A name would be looked up, and may be anybody's.
        let is_here = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        let is_plain = url.username().is_empty() && url.password().is_none();
        if url.scheme() != "http" || !is_here || !is_plain {
            return Err(refused());
        }
        Ok(Self::Url(url))
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

/// How often a source is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Without a reason.
    pub every: Duration,
    /// Soonest after the last time, because a token names a key that is not known.
    pub again: Duration,
}

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Ask again.
    #[error("they cannot be read: {0}")]
    Away(String),
    /// Put it right.
    #[error("they are refused: {0}")]
    Refused(#[from] JwksError),
}

/// The keys that are published, as they were read last. They are read again by [`PublishedKeys::watch`].
pub struct PublishedKeys {
    source: KeySource,
    pace: Pace,
    http: reqwest::Client,
    clock: Clock,
    current: RwLock<Arc<KeySet>>,
    /// Held while the source is asked, so that one request asks and the others wait for it.
    asked: Mutex<Asked>,
    /// 1 while the source is away or wrong.
    failing: IntGauge,
}

/// What the source said last.
#[derive(Default)]
struct Asked {
    /// On the monotonic clock.
    at: Option<Duration>,
    document: Vec<u8>,
    /// Told once, not each second.
    failure: Option<String>,
}

impl PublishedKeys {
    /// Reads them for the first time. A URL that does not answer is asked again later, for the provider
    /// may start after us; until then no token is good.
    ///
    /// # Errors
    /// There is no such file, or what is there is no set of public keys.
    pub async fn open(
        source: KeySource,
        url_every: Duration,
        runtime: &Runtime,
    ) -> anyhow::Result<Self> {
        let pace = match source {
            KeySource::File(_) => FILE_PACE,
            KeySource::Url(_) => Pace { every: url_every, again: URL_AGAIN.min(url_every) },
        };
        let failing = IntGauge::new(
            "nox_gateway_jwks_failing",
            "1 while the public keys cannot be read again, so that those read last count",
        )?;
        runtime.registry.register(Box::new(failing.clone()))?;
        let keys = Self::new(source, pace, runtime.clock.clone(), failing)?;
        match keys.ask(&mut *keys.asked.lock().await).await {
            Ok(()) => {}
            Err(KeysError::Away(_)) if matches!(keys.source, KeySource::Url(_)) => {}
            Err(error) => anyhow::bail!("the public keys in {}: {error}", keys.source),
        }
        Ok(keys)
    }

    fn new(source: KeySource, pace: Pace, clock: Clock, failing: IntGauge) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(ANSWER_WAIT)
            // Neither to where a proxy of the environment or the answer itself would send us.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .build()?;
        let (current, asked) = (RwLock::default(), Mutex::default());
        Ok(Self { source, pace, http, clock, current, asked, failing })
    }

    /// Keys that do not change.
    #[cfg(test)]
    pub fn of(set: KeySet) -> Self {
        let nowhere = KeySource::File(PathBuf::new());
        let failing = IntGauge::new("failing", "for a test").unwrap();
        let keys = Self::new(nowhere, FILE_PACE, Clock::system(), failing).unwrap();
        keys.take(set);
        keys
    }

    pub fn current(&self) -> Arc<KeySet> {
        // What is in there is replaced as a whole.
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the keys again and again, until it is dropped.
    pub async fn watch(&self) {
        loop {
            tokio::time::sleep(self.pace.every).await;
            self.renew_after(self.pace.every / 2).await;
        }
    }

    /// Reads the keys again if they were not just read: somebody's token names one that is not there.
    pub async fn renew(&self) {
        self.renew_after(self.pace.again).await;
    }

    async fn renew_after(&self, pause: Duration) {
        let mut asked = self.asked.lock().await;
        let since = |at| self.clock.monotonic().saturating_sub(at);
        if asked.at.is_some_and(|at| since(at) < pause) {
            return;
        }
        // What went wrong is told and remembered in there.
        let _ = self.ask(&mut asked).await;
    }

    async fn ask(&self, asked: &mut Asked) -> Result<(), KeysError> {
        let outcome = match self.document().await {
            Ok(document) if document == asked.document && !document.is_empty() => Ok(None),
            Ok(document) => {
                KeySet::read(&document).map(|set| Some((set, document))).map_err(Into::into)
            }
            Err(error) => Err(error),
        };
        asked.at = Some(self.clock.monotonic());
        self.failing.set(i64::from(outcome.is_err()));
        match outcome {
            Ok(read) => {
                if asked.failure.take().is_some() {
                    tracing::info!(source = %self.source, "The public keys can be read again");
                }
                if let Some((set, document)) = read {
                    self.take(set);
                    asked.document = document;
                }
                Ok(())
            }
            Err(error) => {
                let failure = error.to_string();
                if asked.failure.as_ref() != Some(&failure) {
                    let kept = self.current().len();
                    tracing::warn!(source = %self.source, kept, failure, "No new public keys");
                    asked.failure = Some(failure);
                }
                Err(error)
            }
        }
    }

    fn take(&self, set: KeySet) {
        for (kid, reason) in &set.left_out {
            tracing::warn!(source = %self.source, kid, %reason, "A public key is not used");
        }
        tracing::info!(source = %self.source, keys = set.len(), "Public keys taken");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
    }

    /// What the source has, one byte more than is taken at most.
    async fn document(&self) -> Result<Vec<u8>, KeysError> {
        match &self.source {
            KeySource::File(path) => {
                let away = |error: std::io::Error| KeysError::Away(error.to_string());
                // A pipe would keep us waiting for ever.
                if !tokio::fs::metadata(path).await.map_err(away)?.is_file() {
                    return Err(KeysError::Away("it is no file".to_owned()));
                }
                let file = tokio::fs::File::open(path).await.map_err(away)?;
                let mut document = Vec::new();
                let mut file = file.take(DOCUMENT_BYTES_MAX as u64 + 1);
                file.read_to_end(&mut document).await.map_err(away)?;
                Ok(document)
            }
            KeySource::Url(url) => self.fetch(url).await,
        }
    }

    async fn fetch(&self, url: &Url) -> Result<Vec<u8>, KeysError> {
        let away = |error: reqwest::Error| KeysError::Away(error.without_url().to_string());
        let mut answer = self.http.get(url.clone()).send().await.map_err(away)?;
        if answer.status() != StatusCode::OK {
            return Err(KeysError::Away(format!("the answer is {}", answer.status())));
        }
        let mut document = Vec::new();
        while let Some(bytes) = answer.chunk().await.map_err(away)? {
            document.extend_from_slice(&bytes);
            if document.len() > DOCUMENT_BYTES_MAX {
                return Err(JwksError::TooLarge.into());
            }
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests;
