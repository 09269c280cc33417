//! What clients do while everything around them is killed.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use nox_contract::{FrameNumber, JobId};
use nox_testkit::system::{client::Client, cluster::Cluster, recorder::Heard};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use super::mark;

/// Clients that submit, cancel and read without a pause.
pub struct Load {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
    submits: Arc<AtomicU64>,
}

/// What was admitted, and by which frame.
type Known = Arc<Mutex<Vec<(JobId, Option<FrameNumber>)>>>;

impl Load {
    pub fn start(cluster: &Cluster, seed: u64) -> Self {
        let (stop, submits) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        for number in 0..4 {
            let client = cluster.client(&format!("user-{number}"));
            let known = Known::default();
            let rng = |part: u64| ChaCha8Rng::seed_from_u64(seed ^ (number << 8) ^ part);
            tasks.spawn(submit(
                client.clone(),
                known.clone(),
                stop.clone(),
                submits.clone(),
                rng(1),
            ));
            tasks.spawn(meddle(client, known, stop.clone(), rng(2)));
        }
        Self { stop, tasks, submits }
    }

    /// Submits that were answered so far.
    pub fn submits(&self) -> u64 {
        self.submits.load(Ordering::Relaxed)
    }

    /// Waits for what was asked to be answered, and says how many submits were.
    pub async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        self.submits.load(Ordering::Relaxed)
    }
}

/// Submits jobs one by one and many at once, and again with the same key when nothing was heard.
async fn submit(
    client: Client,
    known: Known,
    stop: Arc<AtomicBool>,
    submits: Arc<AtomicU64>,
    mut rng: ChaCha8Rng,
) {
    while !stop.load(Ordering::Relaxed) {
        let gateway = rng.random_range(0..2);
        let key = uuid::Uuid::new_v4().to_string();
        let heard = match rng.random_range(0..3) {
            0 => vec![client.submit(gateway, &marked(&mut rng), None).await],
            1 => {
                let body = marked(&mut rng);
                let mut heard = client.submit(gateway, &body, Some(&key)).await;
                for again in 1..4 {
                    if matches!(heard, Heard::Admitted { .. }) {
                        break;
                    }
                    heard = client.submit(gateway + again, &body, Some(&key)).await;
                }
                vec![heard]
            }
            _ => {
                let count = rng.random_range(2..20);
                let bodies: Vec<_> = (0..count).map(|_| quick(&mut rng)).collect();
                client.submit_bulk(gateway, &bodies, Some(&key)).await
            }
        };
        submits.fetch_add(heard.len() as u64, Ordering::Relaxed);
        let jobs = heard.into_iter().filter_map(|heard| match heard {
            Heard::Admitted { job, n } => Some((job, n)),
            _ => None,
        });
        known.lock().unwrap().extend(jobs);
        sleep(Duration::from_millis(rng.random_range(20..150))).await;
    }
}

/// A job that tells that it runs: some take a while, some fail once or twice, some always.
fn marked(rng: &mut ChaCha8Rng) -> Value {
    let mut body = mark(&uuid::Uuid::new_v4().to_string());
    body["inputs"]["sleep"] = json!(*pick(rng, &[0.0, 0.0, 0.1, 0.4]));
    body["inputs"]["fails"] = json!(*pick(rng, &[0, 0, 0, 1, 2, 9]));
    body
}

/// A job that is done at once, or fails until it may not be tried again.
fn quick(rng: &mut ChaCha8Rng) -> Value {
    let fail = *pick(rng, &[None, None, None, None, Some("error"), Some("crash")]);
    json!({"module": "noop", "inputs": fail.map_or(json!({}), |fail| json!({"fail": fail}))})
}

/// Cancels and reads what was admitted.
async fn meddle(client: Client, known: Known, stop: Arc<AtomicBool>, mut rng: ChaCha8Rng) {
    while !stop.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(rng.random_range(30..120))).await;
        let chosen = {
            let known = known.lock().unwrap();
            // Most of the newest, which are not over yet.
            let newest = known.len().saturating_sub(20);
            let from = if rng.random_bool(0.7) { newest } else { 0 };
            known.get(from..).filter(|k| !k.is_empty()).map(|k| *pick(&mut rng, k))
        };
        let Some((job, n)) = chosen else { continue };
        let gateway = rng.random_range(0..2);
        if rng.random_bool(0.3) {
            client.cancel(gateway, job).await;
        } else {
            client.read(gateway, job, n.filter(|_| rng.random_bool(0.5))).await;
        }
    }
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, from: &'a [T]) -> &'a T {
    &from[rng.random_range(0..from.len())]
}
