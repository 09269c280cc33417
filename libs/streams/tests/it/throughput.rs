//! Figures, not checks: `cargo nextest run -p nox-streams --run-ignored only --no-capture throughput`.

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesOrdered};
use nox_contract::subject;
use nox_devkit::Sync;
use nox_streams::{Broker, Guard};

use crate::support::{connect, epoch, frame, server, stopwatch};

const FRAMES: u64 = 5_000;
/// About a hundred jobs.
const FRAME_BYTES: usize = 64 * 1024;
const WINDOW: usize = 4;

async fn append(broker: &Broker, count: u64) -> f64 {
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let payload = Bytes::from(vec![b'x'; FRAME_BYTES]);
    let begun = stopwatch();
    let mut acks = FuturesOrdered::new();
    for i in 0..count {
        let guard = Guard { epoch_seq, last_seq: epoch_seq + i };
        acks.push_back(broker.append(frame(payload.clone()), guard));
        if acks.len() >= WINDOW {
            acks.next().await.unwrap().unwrap();
        }
    }
    while let Some(ack) = acks.next().await {
        ack.unwrap();
    }
    count as f64 / begun.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn throughput_of_guarded_appends_and_of_reading_them() {
    for (sync, count) in [(Sync::Relaxed, FRAMES), (Sync::Strict, FRAMES / 10)] {
        let (server, _folder) = server(sync).await;
        let broker = connect(&server, "bench").await;
        broker.declare().await.unwrap();
        println!("{sync:?}: {:.0} guarded frames a second", append(&broker, count).await);

        let begun = stopwatch();
        let mut chunks = broker.consume(subject::EVENTS, None, 1, None);
        let mut read = 0;
        while read <= count {
            read += chunks.next().await.unwrap().unwrap().len() as u64;
        }
        println!("{sync:?}: {:.0} reads a second", read as f64 / begun.elapsed().as_secs_f64());
    }
}
