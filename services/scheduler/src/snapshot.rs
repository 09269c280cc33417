//! Keeps folds of the log, so that a takeover need not begin at its first message. A snapshot is
//! believed only where the log's own chain agrees with it.

use nox_contract::{Event, EventNumber, event::Chain, subject};
use nox_core::State;
use nox_streams::Broker;

/// Of the state's serialised form; another one is not read.
const FORMAT: &str = "state1";

/// Keeps a fold. A failure costs the next takeover time and nothing else.
pub async fn keep(broker: &Broker, n: EventNumber, chain: Chain, state: Vec<u8>) {
    let name = format!("{FORMAT}-{n}-{}", chain.to_string().trim_start_matches("b3:"));
    if let Err(error) = broker.put_snapshot(&name, state).await {
        tracing::warn!(%error, "Cannot keep a snapshot");
    }
}

/// The newest fold that the log agrees with, if there is one.
pub async fn find(broker: &Broker) -> Option<(State, Chain)> {
    let (name, bytes) = match broker.latest_snapshot().await {
        Ok(found) => found?,
        Err(error) => {
            tracing::warn!(%error, "Cannot read the snapshot; folds the whole log");
            return None;
        }
    };
    let (n, chain) = parse(&name)?;
    if chain_at(broker, n).await? != chain {
        tracing::warn!(name, "The log disagrees with the snapshot; folds the whole log");
        return None;
    }
    let mut state: State = serde_json::from_slice(&bytes).ok()?;
    if state.n != n {
        return None;
    }
    state.reindex();
    Some((state, chain))
}

fn parse(name: &str) -> Option<(EventNumber, Chain)> {
    let mut parts = name.split('-');
    if parts.next()? != FORMAT {
        return None;
    }
    let n = EventNumber(parts.next()?.parse().ok()?);
    Some((n, Chain::parse(&format!("b3:{}", parts.next()?))?))
}

/// The chain after message `n`, as the log itself has it: an event names the chain before it.
async fn chain_at(broker: &Broker, n: EventNumber) -> Option<Chain> {
    let message = broker.read_one(subject::EVENTS, n.0).await.ok()??;
    let event: Event = serde_json::from_slice(&message.payload).ok()?;
    Some(Chain::parse(&event.prev)?.extend(&message.payload))
}
