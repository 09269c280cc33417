//! The lease of the scheduler: who may try to lead.
//!
//! It fences nothing. Two holders at once are possible (a pause, a wrong clock); the epoch in the
//! log is what keeps a deposed leader out.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use nox_contract::subject;

use crate::{
    Broker, Error,
    publish::{Headers, PublishError},
};

/// The broker counts in whole seconds, and no less than one.
const TTL_MIN: Duration = Duration::from_secs(1);
/// How often a waiting scheduler looks without having been told: markers can be missed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The one lease of a shard.
const KEY: &str = "scheduler";

/// A lease that this process holds, or would like to.
pub struct Lease {
    broker: Broker,
    holder: String,
    ttl_seconds: u64,
    /// The sequence of our newest write, while we hold it.
    held: Option<u64>,
}

/// What is on the key.
enum Found {
    /// Nobody's: the sequence of the marker that says so, 0 for nothing.
    Free(u64),
    /// Somebody's: the sequence and the holder's name.
    Held(u64, Bytes),
}

impl Broker {
    /// The scheduler's lease; `holder` must be this process's own, and `ttl` is rounded up to
    /// whole seconds. A renewal every third of it leaves room for two that fail.
    pub fn lease(&self, holder: String, ttl: Duration) -> Lease {
        let ttl = ttl.max(TTL_MIN);
        let ttl_seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        Lease { broker: self.clone(), holder, ttl_seconds, held: None }
    }
}

impl Lease {
    /// Tries to take the lease; `false` while another holds it.
    ///
    /// # Errors
    /// It is not known whether it was taken. Try again: what was taken is recognized.
    pub async fn acquire(&mut self) -> Result<bool, Error> {
        let expected = match self.look().await? {
            Found::Free(seq) => seq,
            Found::Held(seq, holder) if holder == self.holder.as_bytes() => seq,
            Found::Held(..) => return Ok(false),
        };
        self.write(expected).await
    }

    /// Extends the lease by its full span from now; `false` when it is not ours any more.
    ///
    /// # Errors
    /// It is not known whether it was extended. What counts for leading on is when the last renewal
    /// that succeeded was *begun*.
    pub async fn renew(&mut self) -> Result<bool, Error> {
        match self.held {
            Some(seq) => match self.write(seq).await {
                // The write before this one may have been stored without our being told.
                Ok(false) => self.acquire_if_ours().await,
                result => result,
            },
            None => Ok(false),
        }
    }

    /// Gives the lease up, so that the next one need not wait for its end. Does nothing to
    /// another's.
    pub async fn release(&mut self) -> Result<(), Error> {
        let Some(seq) = self.held.take() else { return Ok(()) };
        let headers = vec![
            ("KV-Operation", "DEL".to_owned()),
            ("Nats-Expected-Last-Subject-Sequence", seq.to_string()),
            // The marker itself need not stay.
            ("Nats-TTL", TTL_MIN.as_secs().to_string()),
        ];
        match self.publish(headers, Bytes::new()).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_guard() => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Resolves when the lease may be free. Another may be faster.
    pub async fn wait_free(&self) {
        let stream = bucket();
        let mut changes = self.broker.consume_new(&stream, Some(self.key()));
        loop {
            match self.look().await {
                Ok(Found::Free(_)) => return,
                Ok(Found::Held(_, holder)) if holder == self.holder.as_bytes() => return,
                Ok(Found::Held(..)) => {}
                Err(error) => tracing::debug!(%error, "Cannot look at the lease"),
            }
            tokio::select! {
                _ = changes.next() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn acquire_if_ours(&mut self) -> Result<bool, Error> {
        match self.look().await? {
            Found::Held(seq, holder) if holder == self.holder.as_bytes() => self.write(seq).await,
            _ => {
                self.held = None;
                Ok(false)
            }
        }
    }

    async fn look(&self) -> Result<Found, Error> {
        let last = self.broker.read_last(&bucket(), &self.key()).await?;
        Ok(match last {
            None => Found::Free(0),
            Some((message, headers)) => {
                let marker = headers.get("KV-Operation").is_some()
                    || headers.get("Nats-Marker-Reason").is_some();
                match marker {
                    true => Found::Free(message.seq),
                    false => Found::Held(message.seq, message.payload),
                }
            }
        })
    }

    /// Writes our name over what stands at `expected`.
    async fn write(&mut self, expected: u64) -> Result<bool, Error> {
        let headers = vec![
            ("Nats-Expected-Last-Subject-Sequence", expected.to_string()),
            ("Nats-TTL", self.ttl_seconds.to_string()),
        ];
        match self.publish(headers, self.holder.clone().into()).await {
            Ok(seq) => {
                self.held = Some(seq);
                Ok(true)
            }
            Err(error) if error.is_guard() => {
                self.held = None;
                Ok(false)
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn publish(&self, headers: Headers, payload: Bytes) -> Result<u64, PublishError> {
        Ok(self.broker.publish(self.key(), Some(headers), payload).await?.seq)
    }

    fn key(&self) -> String {
        format!("$KV.{}.{KEY}", subject::LEASE)
    }
}

fn bucket() -> String {
    format!("KV_{}", subject::LEASE)
}

fn unavailable(error: PublishError) -> Error {
    Error::Unavailable(error.to_string())
}
