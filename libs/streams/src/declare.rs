//! Makes the broker have the streams of the layout, or says why it cannot; or waits until another
//! has made them.

use std::time::Duration;

use nox_contract::subject;
use serde_json::{Map, Value, json};

use crate::{
    Broker, Error, Layout,
    api::{ID_KEY, StreamInfo},
    difference::{self, Difference, Remedy},
    error::Drift,
    repair,
};

/// Another process has just created the stream, with another id. Where several servers keep it, it is not
/// there before they have a leader for it.
const ALREADY_EXISTS: u64 = 10058;

/// How long to wait for a broker that goes away while it is told of its streams, as long as
/// connecting waits for one; and how long to pause between two tries.
const DECLARE_WAIT: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(100);
/// The longest pause of whoever waits for streams that another makes.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Why the streams are not as they should be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeclareError {
    /// The stream exists with a setting that must not be changed behind its owner's back: somebody
    /// has to look.
    #[error(transparent)]
    Drift(#[from] Drift),
    /// The broker refuses the stream, for example because its limits allow less room.
    #[error("the broker refuses stream {stream} ({code}): {description}")]
    Refused { stream: String, code: u64, description: String },
    /// Not for a minute: start the broker, or wait longer.
    #[error("cannot declare stream {stream}: {reason}")]
    Unavailable { stream: String, reason: Error },
}

impl Broker {
    /// Creates the streams of `nats/streams.toml` that are missing, updates what may change, and
    /// checks the rest. Any number of processes may do so at once, and at every start.
    ///
    /// # Errors
    /// As the variants say; all but `Unavailable` at once.
    pub async fn declare(&self) -> Result<(), DeclareError> {
        self.declare_layout(Layout::embedded()).await
    }

    /// Waits until the scheduler has made `streams`; says each time that one is not there what it is
    /// waited for. Only the scheduler may make them, so whoever is first waits.
    ///
    /// # Errors
    /// A stream is there and is not as it should be.
    pub async fn wait_for_streams(
        &self,
        streams: &[&str],
        mut waits: impl FnMut(String),
    ) -> Result<(), Drift> {
        for stream in streams {
            let mut pause = RETRY;
            while let Err(error) = self.info(stream).await {
                waits(match error {
                    Error::Drift(drift) => return Err(drift),
                    Error::Missing(_) => format!("waits for the scheduler to make {stream}"),
                    error => format!("waits for {stream}: {error}"),
                });
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
        Ok(())
    }

    /// Looks whether all streams are there and as they should be, and makes those again that were in
    /// a memory that is gone.
    ///
    /// # Errors
    /// As the variants say.
    pub async fn check_streams(&self) -> Result<(), Error> {
        for (stream, wanted) in self.layout().streams() {
            match self.info(stream).await {
                Ok(_) => {}
                Err(Error::Missing(_)) if wanted.get("storage") == Some(&json!("memory")) => {
                    let declared = self.declare_stream(stream, wanted).await;
                    declared.map_err(|error| Error::Unavailable(error.to_string()))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// As [`declare`](Self::declare), with other streams.
    pub async fn declare_layout(&self, layout: Layout) -> Result<(), DeclareError> {
        // A second layout on one connection changes nothing: the first one's streams are there.
        let _ = self.inner.layout.set(layout.clone());
        let mut last = DeclareError::Unavailable {
            stream: "any".to_owned(),
            reason: Error::Unavailable(format!("nothing heard within {DECLARE_WAIT:?}")),
        };
        let declared = async {
            for (stream, wanted) in layout.streams() {
                while let Err(error) = self.declare_stream(stream, wanted).await {
                    if !matches!(error, DeclareError::Unavailable { .. }) {
                        return Err(error);
                    }
                    tracing::warn!(stream, %error, "Cannot declare a stream yet");
                    last = error;
                    tokio::time::sleep(RETRY).await;
                }
            }
            Ok(())
        };
        let declared = tokio::time::timeout(DECLARE_WAIT, declared).await;
        declared.unwrap_or(Err(last))
    }

    /// Declares one stream again that has vanished with the memory it was in.
    pub(crate) async fn declare_again(&self, stream: &str) -> Result<(), DeclareError> {
        match self.layout().stream(stream) {
            Some(wanted) => self.declare_stream(stream, wanted).await,
            None => Ok(()),
        }
    }

    async fn declare_stream(
        &self,
        stream: &str,
        wanted: &Map<String, Value>,
    ) -> Result<(), DeclareError> {
        let error = match self.info_unchecked(stream).await {
            Ok(found) => return self.adjust(stream, wanted, found).await,
            Err(Error::Missing(_)) => match self.create(stream, wanted).await {
                // Older servers drop settings that they do not know; look at what came of it.
                Ok(created) => return self.adjust(stream, wanted, created).await,
                Err(Error::Refused { code: ALREADY_EXISTS, .. }) => {
                    Error::Unavailable("another process is making it".to_owned())
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        Err(failed(stream, error))
    }

    async fn create(&self, stream: &str, wanted: &Map<String, Value>) -> Result<StreamInfo, Error> {
        // Deleted by a repair that was cut off: an empty one in its place would forget every job.
        if stream == subject::EVENTS && self.info_unchecked(repair::BACKUP).await.is_ok() {
            let description = format!(
                "it was not made: a repair of the log was cut off ({} is there); run `noxctl log \
                 repair --apply` again",
                repair::BACKUP
            );
            return Err(Error::Refused { code: 0, description });
        }
        let mut config = wanted.clone();
        config.insert("metadata".into(), json!({ ID_KEY: self.unique() }));
        tracing::info!(stream, "Creating a stream");
        self.api(&format!("STREAM.CREATE.{stream}"), &config).await
    }

    /// Brings an existing stream to what is wanted.
    async fn adjust(
        &self,
        stream: &str,
        wanted: &Map<String, Value>,
        found: StreamInfo,
    ) -> Result<(), DeclareError> {
        if let Some(difference) = difference::foreign(wanted, &found.config) {
            return Err(difference.of(stream).into());
        }
        let differences = difference::differences(wanted, &found.config);
        let mut config = found.config;
        let mut changed = false;
        for difference in differences.into_iter().filter(|d| d.remedy == Remedy::Update) {
            let Difference { setting, wanted, found, .. } = difference;
            tracing::info!(stream, setting, %wanted, %found, "Updating a stream");
            config.insert(setting, wanted);
            changed = true;
        }
        if !changed {
            return Ok(());
        }
        let updated = self.api::<StreamInfo>(&format!("STREAM.UPDATE.{stream}"), &config).await;
        let updated = updated.map_err(|error| failed(stream, error.about(stream)))?;
        let left = difference::differences(wanted, &updated.config);
        match left.into_iter().find(|difference| difference.remedy != Remedy::Leave) {
            None => Ok(()),
            Some(difference) => Err(difference.of(stream).into()),
        }
    }

    /// Text that nobody else has: of the same source as inbox names.
    pub(crate) fn unique(&self) -> String {
        let inbox = self.inner.client.new_inbox();
        inbox.rsplit('.').next().unwrap_or(&inbox).to_owned()
    }
}

fn failed(stream: &str, error: Error) -> DeclareError {
    let stream = stream.to_owned();
    match error {
        Error::Refused { code, description } => DeclareError::Refused { stream, code, description },
        reason => DeclareError::Unavailable { stream, reason },
    }
}
