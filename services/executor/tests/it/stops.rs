//! Cancels and time-outs of process trees that do not want to end: nobody is left.

use std::{sync::Arc, time::Duration};

use nox_executor::sandbox::{
    Level,
    host::{Layer, Settings},
};
use tokio_util::sync::CancellationToken;

use crate::limits::bounds_processes;
use crate::support::{Place, UniqueSleep, alive, error, unique_sleep, until};

/// Attempts of `make test`; `make escapes` asks for 300.
const ATTEMPTS: usize = 24;

/// Within so long after its end, nobody of an attempt may be found.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// Process trees, each a script that goes on for long; `S` is a time to sleep that nobody else has.
const TREES: [(&str, &str); 8] = [
    ("a session of its own", "setsid sleep S & setsid setsid sleep S & sleep S"),
    ("a double fork", "(setsid sh -c 'setsid sleep S & setsid sleep S &' &); sleep S"),
    ("no environment", "env -i setsid sleep S & env -i sh -c 'env -i setsid sleep S &'; sleep S"),
    ("deaf", "trap '' TERM HUP INT QUIT; (trap '' TERM; sleep S) & while :; do sleep S; done"),
    ("stopped", "sleep S & kill -STOP $!; setsid sleep S & kill -STOP $!; sleep S & wait"),
    ("a storm of forks", "f() { setsid sleep S & f; f & }; sleep S & f; sleep S"),
    ("nobody for long", "c='setsid sh -c \"$0\" \"$0\" $1 &'; sh -c \"$c\" \"$c\" S & sleep S"),
    ("an end of its supervisor", "setsid sleep S & kill -KILL $PPID; kill -STOP $PPID; sleep S"),
];

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_left_of_trees_that_do_not_want_to_end() {
    let attempts = std::env::var("NOX_TEST_STOPS").ok().and_then(|count| count.parse().ok());
    let attempts: usize = attempts.unwrap_or(ATTEMPTS);
    let mut places = Vec::new();
    for without in [vec![], vec![Layer::Cgroup]] {
        for level in [Level::Process, Level::Isolated] {
            let settings = Settings { sandbox_without: without.clone(), ..Settings::default() };
            let mut place = Place::with(settings).await;
            place.level = level.name();
            if place.runner.host.has(level).is_ok() {
                if !without.is_empty() {
                    bounds_processes(&mut place).await;
                }
                places.push(place);
            }
        }
    }
    assert!(!places.is_empty(), "this machine shuts nobody in");
    let count = places.len();
    for n in 0..attempts {
        let (name, script) = TREES[n % TREES.len()];
        let place = &mut places[(n / TREES.len()) % count];
        let mark: Arc<UniqueSleep> = Arc::new(unique_sleep());
        let script = script.replace(" S", &format!(" {}", &**mark));
        let module = place.script(&script, "stop_grace_s = 0\nlimits = { processes_max = 60 }");
        let (stop, times_out) = (CancellationToken::new(), n % 3 == 2);
        place.start.resources.wall_time_s = if times_out { 1 } else { 20 };
        let stopper = {
            let (stop, mark) = (stop.clone(), mark.clone());
            async move {
                if !times_out {
                    let begun = until("it runs", || !alive(&mark).is_empty());
                    let _ = tokio::time::timeout(Duration::from_secs(2), begun).await;
                    stop.cancel();
                }
            }
        };
        let (finished, ()) = tokio::join!(place.run_until(&module, stop, || ()), stopper);
        let code = &*error(&finished).0.code;
        // The storm may have gone beyond another limit by then.
        let expected = ["killed", "wall_time", "processes", "oom"];
        assert!(expected.contains(&code), "{name}: {finished:?}");
        let gone = until("it is gone", || alive(&mark).is_empty());
        let gone = tokio::time::timeout(GONE_WITHIN, gone).await;
        assert!(gone.is_ok(), "{name} at {}: {:?} are left", place.level, alive(&mark));
    }
    println!("{attempts} attempts were ended at {count} kinds of sandbox, and nobody was left");
}
