//! Looks after the streams: those in memory vanish with it, and none may change its settings.

use std::time::Duration;

use nox_service::Runtime;
use nox_streams::{Broker, Drift, Error};

/// Between two looks: eight small questions to the broker.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The same, while the last look came to nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

const STREAMS: &str = "scheduler.streams";

/// Looks now, after every reconnect and then now and then, until a stream has a setting that is not ours.
pub(crate) async fn watch(broker: &Broker, runtime: &Runtime) -> Drift {
    let mut link = broker.link();
    loop {
        let begun = link.borrow_and_update().generation;
        let looked = broker.check_streams().await;
        runtime.readiness.set(STREAMS, looked.as_ref().copied().map_err(Error::to_string));
        let pause = match looked {
            Ok(()) => LOOK_EVERY,
            Err(Error::Drift(drift)) => return drift,
            Err(_) => LOOK_AGAIN,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = link.wait_for(|link| link.up && link.generation != begun) => {}
        }
    }
}
