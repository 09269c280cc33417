//! Queue, workers and accounts as they were: what the core's state of then says.
//!
//! | file | what of it |
//! |---|---|
//! | `queue` | jobs that had not ended |
//! | `workers` | who ran jobs |
//! | `accounts` | what accounts might, had and used |
//! | `obstacle` | what was in a job's way |

pub mod accounts;
mod obstacle;
pub mod queue;
pub mod workers;

use std::{sync::Arc, time::Duration};

use nox_archive::UpTo;
use nox_contract::FrameNumber;
use nox_protocol::Fold;
use nox_readmodel::{AsOf, At};

pub use self::obstacle::obstacle;
use crate::{
    app::App,
    problem::{ApiError, FieldError},
    read::required::Required,
};

/// What was decided so long ago is in the log: no frame of an earlier instant follows.
const SETTLED: Duration = Duration::from_secs(30);

/// The state as of then; as of the last frame that the log has now, if no place is named.
///
/// # Errors
/// The log has not come to that frame, has lost its beginning, or too much of it would have to be folded.
pub async fn state(app: &App, as_of: Option<AsOf>) -> Result<Arc<Fold>, ApiError> {
    let place = app.bulk.place().await?;
    let read = || async {
        let progress = app.reader.progress().await?;
        Ok::<_, nox_readmodel::QueryError>(At { progress, value: () })
    };
    let rows = app.barrier.read(&Required::default(), read).await?.progress;
    let log = app.bulk.log(&place, rows.place().incarnation).await?;
    let end = app.bulk.end(&log).await?;
    let (up_to, lasts) = match (as_of, end) {
        (Some(AsOf::Frame(n)), Some(end)) if n > end => return Err(ahead(n, end)),
        (Some(AsOf::Frame(n)), _) => (UpTo::Message(n), true),
        (Some(AsOf::Instant(at)), _) => {
            (UpTo::Instant(at), at + SETTLED < app.runtime.clock.wall())
        }
        (None, Some(end)) => (UpTo::Message(end), true),
        (None, None) => (UpTo::Message(FrameNumber(u64::MAX)), true),
    };
    app.states.at(&app.bulk, &place, &log, (up_to, lasts)).await
}

fn ahead(n: FrameNumber, end: FrameNumber) -> ApiError {
    let detail = format!("frame {n} is not in the log yet, which ends at {end}");
    ApiError::invalid(vec![FieldError::new("?as_of", detail)])
}

/// Makes an answer of a state, which may have many jobs to look through.
pub async fn told<T: Send + 'static>(
    fold: Arc<Fold>,
    tell: impl FnOnce(&Fold) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let told = tokio::task::spawn_blocking(move || tell(&fold));
    told.await.map_err(|error| ApiError::internal(anyhow::Error::new(error)))
}
