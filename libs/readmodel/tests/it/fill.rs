//! Facts become rows, and rows become answers.

use nox_contract::{
    Entity, Fact, Incarnation, JobId, JobState, Place, Position, Positions, Source, WaitingCode,
};
use nox_protocol::{ReadError, Reader, Record};
use nox_readmodel::{Progress, StoreError, audit, rows::WorkerState};

use crate::{
    log::{CPU_SECONDS, JobOf, Log, eventful, module, period, started, succeeded, tenant, user},
    support::{Database, commit_all},
};

fn job(number: u64) -> JobOf {
    let (tenant, user) = [("acme", "ada"), ("acme", "bob"), ("zeta", "ada")][number as usize % 3];
    JobOf::new(tenant, user, ["command", "xtb"][number as usize % 2], number)
}

fn position(incarnation: &str, seq: u64) -> Position {
    Position { incarnation: Incarnation(incarnation.to_owned()), seq }
}

async fn state(database: &Database, number: u64) -> nox_readmodel::JobRow {
    let job = job(number);
    database.reader().job(&job.tenant, job.id).await.unwrap().value.unwrap()
}

#[tokio::test]
async fn every_fate_of_a_job_has_its_row() {
    let database = Database::start().await;
    let log = eventful(24);
    let mut store = database.filled(&log, 5).await;

    let done = state(&database, 0).await;
    assert_eq!(done.status, JobState::Succeeded);
    assert_eq!((done.attempt.0, done.priority, done.parked), (1, 5, None));
    assert_eq!(done.inputs.unwrap().get(), r#"{"text": "hello from M9"}"#);
    assert!(done.outputs.unwrap().get().contains("sandbox://ada/1/result.txt"));
    assert_eq!(done.requested_resources, crate::log::resources());
    assert_eq!(done.reserved_resources.unwrap().cpu_seconds, 60);
    assert_eq!(done.worker_id.unwrap().as_str(), "exec-1");
    assert_eq!(done.fingerprint.as_deref(), Some("fp"));
    assert!(done.created_at < done.ended_at.unwrap());
    assert_eq!(done.ended_at.unwrap().since(done.started_at.unwrap()).as_millis(), 3);
    assert!(done.n > done.submitted_n);

    let retried = state(&database, 2).await;
    assert_eq!((retried.status, retried.attempt.0), (JobState::Succeeded, 2));
    assert_eq!(retried.error, None);
    let failed = state(&database, 3).await;
    assert_eq!(failed.status, JobState::Failed);
    assert_eq!(failed.error.unwrap().code, "exit_status");
    let canceled = state(&database, 4).await;
    assert_eq!((canceled.status, canceled.worker_id), (JobState::Canceled, None));
    assert_eq!(state(&database, 5).await.status, JobState::Canceled);
    let running = state(&database, 6).await;
    assert_eq!((running.status, running.attempt.0), (JobState::Running, 2));
    assert_eq!(running.worker_id.unwrap().as_str(), "exec-2");
    let rejected = state(&database, 7).await;
    assert_eq!(rejected.status, JobState::Failed);
    assert_eq!(rejected.error.unwrap().code, "rejected:budget_exhausted");
    assert_eq!(rejected.reserved_resources, None);

    let stranger = job(0);
    let elsewhere = database.reader().job(&tenant("zeta"), stranger.id).await.unwrap();
    assert_eq!(elsewhere.value, None);
    let nobody = database.reader().job(&stranger.tenant, JobId(uuid::Uuid::nil())).await.unwrap();
    assert_eq!(nobody.value, None);

    let checkpoint = store.checkpoint().await.unwrap();
    assert_eq!((checkpoint.n, checkpoint.chain), (log.n(), log.chain));
    assert_eq!(checkpoint.at, Some(log.at));
    assert_eq!(checkpoint.pos, log.pos);
    assert_eq!(checkpoint.commands, Incarnation("commands".to_owned()));
}

#[tokio::test]
async fn a_waiting_job_says_why_and_one_that_is_handed_out_says_so() {
    let database = Database::start().await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    let (first, second) = (job(0), JobOf::new("acme", "ada", "xtb", 1));
    log.submit(&first);
    log.submit_and_assign(&second, "exec-1");
    database.filled(&log, 100).await;
    let reader = database.reader();

    let first = reader.job(&first.tenant, first.id).await.unwrap().value.unwrap();
    assert_eq!((first.status, first.waiting_code), (JobState::Queued, Some(WaitingCode::NoWorker)));
    let second = reader.job(&second.tenant, second.id).await.unwrap().value.unwrap();
    assert_eq!(second.waiting_code, Some(WaitingCode::Dispatching));
}

#[tokio::test]
async fn every_other_table_is_filled_and_answers() {
    let database = Database::start().await;
    let log = eventful(24);
    database.filled(&log, 7).await;
    let reader = database.reader();

    let progress = reader.progress().await.unwrap();
    assert_eq!(progress.n, log.n());
    assert_eq!(progress.commands, position("commands", log.pos.commands.whole()));
    assert_eq!(progress.reports, position("reports", log.pos.reports.whole()));

    let modules = reader.modules().await.unwrap().value;
    assert_eq!(modules.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["command", "xtb"]);
    let xtb = reader.module(&module("xtb")).await.unwrap().value.unwrap();
    assert_eq!(xtb, modules[1]);
    assert!(!xtb.enabled && modules[0].enabled);
    assert_eq!((xtb.version.as_str(), xtb.versions.present.running_max), ("1.0.0", Some(100)));
    let schema: serde_json::Value = serde_json::from_str(xtb.schema.get()).unwrap();
    assert_eq!(schema, serde_json::json!({"inputs": {"type": "object"}, "outputs": true}));
    assert!(xtb.caps.get().contains("wall_time_s"));
    assert_eq!(reader.module(&module("none")).await.unwrap().value, None);

    let workers = reader.workers().await.unwrap().value;
    assert_eq!((workers[0].state, workers[1].state), (WorkerState::Lost, WorkerState::Draining));
    assert!(workers[0].left_at.is_some() && workers[1].left_at.is_none());
    assert_eq!(workers[0].modules.len(), 2);
    assert_eq!(workers[0].labels, ["zone=a"]);
    assert_eq!(workers[1].capacity.slots, 8);

    let violations = reader.violations(&tenant("acme"), None, None, 10).await.unwrap().value;
    assert_eq!(violations.len(), 2);
    assert!(violations[0].place > violations[1].place);
    let newest = reader.violations(&tenant("acme"), None, None, 1).await.unwrap().value;
    assert_eq!(newest, violations[..1]);
    let place = newest[0].place.to_string().parse().unwrap();
    let older = reader.violations(&tenant("acme"), None, Some(place), 10).await.unwrap().value;
    assert_eq!(older, violations[1..]);
    let last = Some(older[0].place);
    assert_eq!(reader.violations(&tenant("acme"), None, last, 10).await.unwrap().value, []);
    let of_ada =
        reader.violations(&tenant("acme"), Some(&user("ada")), None, 10).await.unwrap().value;
    assert_eq!(of_ada.len(), 1);
    assert_eq!((of_ada[0].code.as_str(), of_ada[0].limit), ("budget_exhausted", Some(1_000)));
    assert_eq!((of_ada[0].retry_after_s, of_ada[0].requested), (Some(3_600), Some(60)));

    let limits = reader.limits(&tenant("acme"), "user/ada").await.unwrap().value.unwrap();
    assert_eq!((limits.role.as_str(), limits.limits.running_jobs), ("user", 256));
    assert_eq!(reader.limits(&tenant("acme"), "user/nobody").await.unwrap().value, None);
}

#[tokio::test]
async fn the_ledger_balances_to_the_second() {
    let database = Database::start().await;
    let log = eventful(48);
    database.filled(&log, 11).await;
    let reader = database.reader();

    assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
    assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);
    let mut of_users = (0, 0);
    for account in ["user/ada", "user/bob", "tenant"] {
        let balances = reader.balances(&tenant("acme"), account, 10).await.unwrap().value;
        assert_eq!(balances.len(), 1);
        let balance = balances[0].balance;
        assert_eq!(balances[0].period, period());
        assert_eq!(balance.free + balance.reserved + balance.used, balance.granted);
        assert!(balance.reserved > 0 && balance.used > 0, "{account}: {balance:?}");
        if account == "tenant" {
            assert_eq!((balance.reserved, balance.used), of_users);
        } else {
            of_users = (of_users.0 + balance.reserved, of_users.1 + balance.used);
        }
    }
    let bob = reader.balances(&tenant("acme"), "user/bob", 1).await.unwrap().value[0].balance;
    assert_eq!(bob.granted, 900_000_000);

    let lines = database
        .ask("select sum(reserved), sum(used), sum(released), sum(reservation) from quota_ledger")
        .await;
    let lines: Vec<i64> = lines.split('|').map(|sum| sum.parse().unwrap()).collect();
    assert_eq!(lines[0] + lines[1] + lines[2], lines[3]);

    // The negative control: a balance that nobody's jobs explain is found.
    database.ask("update quota_balances set free = free - 1, used = used + 1").await;
    assert_eq!(audit::ledger_differences(&database.url).await.unwrap().len(), 5);
    database.ask("update quota_usage set running_jobs = running_jobs + 1").await;
    assert_eq!(audit::usage_differences(&database.url).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_worker_that_claims_to_have_run_for_ever_stops_neither_the_fold_nor_the_rows() {
    // What an attempt of one core leaves that says it ran for the longest span there is. So many
    // of them are more than an account can count.
    let used = i64::try_from(u64::MAX.div_ceil(1_000)).unwrap();
    let overrun = used - CPU_SECONDS;
    let jobs = i64::MAX / overrun + 2;
    let mut log = Log::new();
    log.declare("command");
    log.open_tenant("acme", &["ada"]);
    log.join("exec-1", &["command"]);
    for number in 0..jobs {
        let job = JobOf::new("acme", "ada", "command", number as u64);
        log.submit_and_assign(&job, "exec-1");
        let settled = Fact::Settled { period: period(), cpu_seconds: CPU_SECONDS, overrun };
        log.entry(&job.entity(), [started("exec-1", 1), succeeded(1), settled]);
    }

    let mut state = nox_core::State::default();
    let mut in_order = Reader::default();
    for message in &log.messages {
        match in_order.read(&message.subject, &message.payload).unwrap() {
            Record::Epoch(record) => state.apply_epoch(in_order.n(), &record).unwrap(),
            Record::Frame(frame) => state.apply(&frame).unwrap(),
        }
    }
    let database = Database::start().await;
    database.filled(&log, 64).await;
    let reader = database.reader();
    for (account, folded) in [
        ("tenant", state.ledger.tenant(&tenant("acme"))),
        ("user/ada", state.ledger.user(&tenant("acme"), &user("ada"))),
    ] {
        let balances = reader.balances(&tenant("acme"), account, 10).await.unwrap().value;
        assert_eq!(balances[0].balance, folded.unwrap().periods[&period()], "{account}");
        assert_eq!(balances[0].balance.overrun, i64::MAX);
    }
    assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
    assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let database = Database::start().await;
    database.filled(&eventful(24), 4).await;
    let metrics = database.reader().metrics().await.unwrap().value;

    let submitted: u64 = metrics.submitted.iter().map(|s| s.count).sum();
    // Every eighth was rejected.
    assert_eq!(submitted, 21);
    let ada = metrics.submitted.iter().filter(|s| s.user_id == user("ada")).count();
    assert_eq!(ada, 4); // in two tenants, of two modules
    // Jobs 6, 14 and 22 run, and are of `command`; the others that ran have ended.
    assert_eq!(
        metrics.running.iter().map(|(m, count)| (m.as_str(), *count)).collect::<Vec<_>>(),
        [("command", 3), ("xtb", 0)]
    );
    // Jobs 3, 11, 19 failed, 7, 15, 23 were rejected; all are of `xtb`.
    assert_eq!(
        metrics.failures.iter().map(|(m, count)| (m.as_str(), *count)).collect::<Vec<_>>(),
        [("xtb", 6)]
    );
    assert_eq!(metrics.violations, [("budget_exhausted".to_owned(), 3)]);
    assert_eq!(metrics.parked, []);

    // Three each of the fates 0 and 2 (command), 1 and 3 (xtb) ran to an end.
    for durations in &metrics.durations {
        assert_eq!(durations.count, 6, "{durations:?}");
        assert_eq!(durations.buckets[0], 6, "they took three milliseconds and a bit");
        assert!(durations.buckets.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(durations.sum_seconds > 0.018 && durations.sum_seconds < 0.1);
    }
    assert_eq!(metrics.durations.len(), 2);
}

/// How far the inputs are consumed is kept to the part, and told of whole messages alone.
#[tokio::test]
async fn a_frame_that_ends_within_an_input_says_so_and_the_input_does_not_count_as_consumed() {
    let database = Database::start().await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    log.pos =
        Positions { commands: Place { seq: 90, part: 3 }, reports: Place { seq: 55, part: 0 } };
    log.frame();
    let mut store = database.filled(&log, 100).await;
    assert_eq!(store.checkpoint().await.unwrap().pos, log.pos);
    let progress = database.reader().progress().await.unwrap();
    assert_eq!(progress.n, log.n());
    assert_eq!(progress.commands, position("commands", 89));
    assert_eq!(progress.reports, position("reports", 54));

    // The next leader goes on with the next part, and one that went back a part would be found out.
    let after = log.n();
    let checkpoint = database.store().await.checkpoint().await.unwrap();
    let mut reader = Reader::new(checkpoint.n, checkpoint.chain, checkpoint.pos);
    log.pos.commands.part = 2;
    log.frame();
    let back = &log.messages[after.0 as usize];
    let back = reader.read(&back.subject, &back.payload);
    assert!(matches!(back, Err(ReadError::PositionsGoBack { .. })), "{back:?}");

    // It begins anew where a frame says that the stream is another one.
    let anew = Incarnation("commands-2".to_owned());
    let mut log = Log::in_frames_of(2);
    log.pos.commands = Place { seq: 90, part: 3 };
    log.frame();
    let (src, by) = (Source::Commands, "root".to_owned());
    log.entry(&Entity::Control, [Fact::InputsReset { src, incarnation: anew.clone(), by }]);
    log.pos.commands = Place::default();
    log.frame();
    let database = Database::start().await;
    database.filled(&log, 100).await;
    let progress = database.reader().progress().await.unwrap();
    assert_eq!(progress.commands, Position { incarnation: anew, seq: 0 });
    assert_eq!(progress.reports.incarnation, Incarnation("reports".to_owned()));
}

#[tokio::test]
async fn the_log_s_life_is_recorded_once_and_another_is_refused() {
    let database = Database::start().await;
    let mut store = database.store().await;
    let life = Incarnation("2026-11-21T22:00:00Z/1".to_owned());
    store.follow(&life).await.unwrap();
    store.follow(&life).await.unwrap();
    assert_eq!(store.checkpoint().await.unwrap().incarnation, Some(life.clone()));

    let mut other = database.store().await;
    assert_eq!(other.checkpoint().await.unwrap().incarnation, Some(life));
    let refused = other.follow(&Incarnation("2026-11-21T23:00:00Z/2".to_owned())).await;
    assert!(matches!(refused, Err(StoreError::OtherIncarnation { .. })));
}

#[tokio::test]
async fn an_empty_read_model_answers_and_one_that_was_never_prepared_is_not_available() {
    let database = Database::start().await;
    let reader = database.reader();
    let not_yet = reader.progress().await;
    assert!(matches!(not_yet, Err(nox_readmodel::QueryError::Unavailable(_))), "{not_yet:?}");

    database.store().await;
    let progress = reader.progress().await.unwrap();
    assert_eq!(progress, Progress::default());
    assert_eq!(reader.modules().await.unwrap().value, []);
}

#[tokio::test]
async fn any_number_of_processes_may_prepare_a_database_at_the_same_time() {
    let database = Database::start().await;
    let mut preparing = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let rows = nox_readmodel::schema::Database::new(&database.url).unwrap();
        preparing.spawn(async move { rows.prepare().await });
    }
    for prepared in preparing.join_all().await {
        assert_eq!(prepared.unwrap(), 1);
    }
    database.filled(&eventful(8), 100).await;
}

/// Jobs, half of which start in one batch.
const MANY: u64 = 8_000;

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "one commit is compared with another by time")]
async fn rows_are_looked_up_by_their_key_even_where_the_table_is_thought_to_be_empty() {
    let database = Database::start().await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada", "bob"]);
    log.open_tenant("zeta", &["ada"]);
    for number in 0..MANY {
        log.submit_and_assign(&job(number), "exec-1");
    }
    log.seal();
    commit_all(&mut database.store().await, log.batches(100)).await;
    let mut start = async |numbers: std::ops::Range<u64>| {
        let before = log.n();
        for number in numbers {
            log.start(&job(number), "exec-1", 1);
        }
        log.seal();
        // How a statement is planned is settled when a connection has it for the first time.
        let mut store = database.store().await;
        let batch = log.batch_after(before);
        let begun = std::time::Instant::now();
        store.commit(&batch).await.unwrap();
        begun.elapsed()
    };
    let usual = start(0..MANY / 2).await;
    // As autovacuum leaves it when it looks between two bursts.
    let pages = "update pg_class set reltuples = 1, relpages = 1000
                 where oid = 'nox_1.jobs_live'::regclass";
    database.ask(pages).await;
    let after = start(MANY / 2..MANY).await;
    assert!(after < 8 * usual, "{usual:?} as it was, {after:?} where it is thought to be empty");
}
