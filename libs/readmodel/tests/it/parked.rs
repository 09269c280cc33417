//! One user's data never stops the others.

use nox_contract::{Fact, FactOrUnknown, FrameNumber, JobState};
use nox_readmodel::{Parked, Remedy, StoreError, audit, audit::content_hash};

use crate::{
    log::{
        JobOf, Log, error, json, period, released, reserved, settled, started, submitted,
        submitted_with, succeeded, succeeded_with,
    },
    support::{Database, commit_all},
};

fn begin() -> (Log, JobOf, JobOf) {
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    let job = |number| JobOf::new("acme", "ada", "xtb", number);
    (log, job(1), job(2))
}

fn unknown() -> FactOrUnknown {
    FactOrUnknown::Unknown(json(r#"{"teleported": {"to": "mars"}}"#))
}

async fn row(database: &Database, job: &JobOf) -> nox_readmodel::JobRow {
    database.reader().job(&job.tenant, job.id).await.unwrap().value.unwrap()
}

#[tokio::test]
async fn outputs_that_postgres_cannot_store_are_left_out_and_kept_aside() {
    for outputs in [r#"{"scalars": "\u0000"}"#, r#"{"scalars": "\ud800"}"#, r#"[1e999999]"#] {
        let database = Database::start().await;
        let (mut log, bad_job, good) = begin();
        log.submit_and_assign(&bad_job, "exec-1");
        log.submit_and_assign(&good, "exec-1");
        let facts = [started("exec-1", 1), succeeded_with(1, outputs), settled(2), released(58)];
        let n = log.entry(&bad_job.entity(), facts);
        log.start_and_succeed(&good, "exec-1");
        let mut store = database.store().await;
        let committed = store.commit(&log.batch_after(FrameNumber(0))).await.unwrap();

        assert_eq!(committed.parked, 1);
        let bad = row(&database, &bad_job).await;
        // All that could be told is told: the fold went on, and the ledger as well.
        assert_eq!((bad.status, bad.parked), (JobState::Succeeded, Some(Parked::Unstorable)));
        assert_eq!(bad.outputs, None);
        assert_eq!(row(&database, &good).await.parked, None);
        assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
        assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);

        let kept = database
            .ask("select n, place, reason, convert_from(payload, 'UTF8') from parked")
            .await;
        let written = log.entries_of(&bad_job).pop().unwrap().1;
        assert_eq!(kept, format!("{n}|0|unstorable|{written}"));
        // And it is told as it stands in the log.
        let told = log.history(&database.reader(), &bad_job, FrameNumber(0)).await;
        assert_eq!(told[1].entry.get(), written);
        let metrics = database.reader().metrics().await.unwrap().value;
        assert_eq!(metrics.parked, [("unstorable".to_owned(), 1)]);
    }
}

#[tokio::test]
async fn whatever_else_of_a_job_cannot_be_stored_is_left_out_too() {
    let database = Database::start().await;
    let (mut log, first, second) = begin();
    log.entry(&first.entity(), [submitted_with(r#"{"a\u0000b": 1}"#), reserved()]);
    log.submit_and_assign(&second, "exec-1");
    let mut failed = error("exit_status");
    failed.message = "NUL: \0".to_owned();
    let end = Fact::Failed { error: failed };
    let lost = Fact::AttemptLost {
        worker_id: crate::log::worker("exec-1"),
        attempt: nox_contract::Attempt(1),
        reason: nox_contract::LostReason::NotHeld,
        blame: nox_contract::Blame::Nobody,
        detail: None,
    };
    log.entry(&second.entity(), [lost, end, released(60)]);
    let parked = commit_all(&mut database.store().await, log.batches(2)).await;

    assert_eq!(parked, 2);
    let first = row(&database, &first).await;
    assert_eq!((first.inputs, first.parked), (None, Some(Parked::Unstorable)));
    let second = row(&database, &second).await;
    assert_eq!((second.status, second.error), (JobState::Failed, None));
    assert_eq!(second.parked, Some(Parked::Unstorable));
}

#[tokio::test]
async fn an_unknown_fact_freezes_its_job_and_nothing_else() {
    let database = Database::start().await;
    let (mut log, bad, good) = begin();
    log.submit_and_assign(&bad, "exec-1");
    log.start(&bad, "exec-1", 1);
    log.submit_and_assign(&good, "exec-1");
    let teleported = log.entry_with(&bad.entity(), vec![unknown()]);
    // Legal after the unknown fact for all that we know, though not without it.
    let arrived = log.entry(&bad.entity(), [started("exec-9", 4), settled(7), released(53)]);
    log.start_and_succeed(&good, "exec-1");

    for size in [1, 2, 100] {
        let database = Database::start().await;
        assert_eq!(commit_all(&mut database.store().await, log.batches(size)).await, 2);
    }
    commit_all(&mut database.store().await, log.batches(100)).await;
    let bad_row = row(&database, &bad).await;
    assert_eq!((bad_row.status, bad_row.attempt.0), (JobState::Running, 1));
    assert_eq!(bad_row.parked, Some(Parked::UnknownFact));
    assert_eq!(bad_row.n, arrived);
    assert_eq!(row(&database, &good).await.status, JobState::Succeeded);
    let kept = database.ask("select n, reason from parked order by n").await;
    assert_eq!(kept, format!("{teleported}|unknown_fact\n{arrived}|unknown_fact"));

    // What it moved in the ledger is known, and counts.
    assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
    assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);
    let balances = database.reader().balances(&bad.tenant, "tenant", 1).await.unwrap();
    assert_eq!((balances.value[0].balance.used, balances.value[0].balance.reserved), (9, 0));
    let metrics = database.reader().metrics().await.unwrap().value;
    assert_eq!(metrics.running, [(bad.module.clone(), 0)]);
    // Its history goes on.
    assert_eq!(log.history(&database.reader(), &bad, FrameNumber(0)).await.len(), 4);
}

#[tokio::test]
async fn a_job_that_begins_with_an_unknown_fact_has_a_row_and_is_not_missed() {
    let database = Database::start().await;
    let (mut log, bad, good) = begin();
    log.entry_with(&bad.entity(), vec![unknown(), submitted().into()]);
    // Its reservation was the unknown fact, so this has nothing to move; nobody stops for it.
    log.entry(&bad.entity(), [Fact::Settled { period: period(), cpu_seconds: 5, overrun: 0 }]);
    log.submit(&good);
    assert_eq!(commit_all(&mut database.store().await, log.batches(1)).await, 2);

    assert_eq!(row(&database, &bad).await.parked, Some(Parked::UnknownFact));
    assert_eq!(row(&database, &good).await.parked, None);
    assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
    assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);
}

#[tokio::test]
async fn an_unknown_fact_about_anything_else_is_kept_and_the_known_ones_count() {
    let database = Database::start().await;
    let (mut log, ..) = begin();
    log.declare("xtb");
    let entity = nox_contract::Entity::Module(crate::log::module("xtb"));
    let off = Fact::ModuleSwitched { enabled: false, by: crate::log::user("root") };
    log.entry_with(&entity, vec![unknown(), off.into()]);
    // A kind of thing that this version has no word for.
    log.entry_with(&nox_contract::Entity::Control, vec![unknown()]);
    assert_eq!(commit_all(&mut database.store().await, log.batches(3)).await, 2);

    assert!(!database.reader().modules().await.unwrap().value[0].enabled);
    assert_eq!(database.ask("select count(*) from parked where job_id is null").await, "2");
}

/// From now on rows of jobs are refused, in the words that are said of data, when `condition` holds.
pub async fn refuse(database: &Database, condition: &str) {
    let function = "create function refuse() returns trigger language plpgsql
                    as $$ begin raise exception 'no' using errcode = '22P05'; end $$";
    database.ask(function).await;
    for table in ["jobs_live", "jobs_ended"] {
        // Live rows have no outputs yet.
        let condition = match table {
            "jobs_live" => condition.replace("new.outputs", "null"),
            _ => condition.to_owned(),
        };
        let trigger = format!(
            "create trigger refuse before insert or update on {table}
             for each row when ({condition}) execute function refuse()"
        );
        database.ask(&trigger).await;
    }
}

#[tokio::test]
async fn a_refusal_that_stays_without_the_job_s_data_parks_nobody_and_is_waited_out() {
    let database = Database::start().await;
    let mut store = database.store().await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    for number in 0..20 {
        log.submit(&JobOf::new("acme", "ada", "xtb", number));
    }
    let batch = log.batch_after(FrameNumber(0));
    let rules = [
        // As if each were somebody's data.
        (
            "create function refuse() returns trigger language plpgsql
             as $$ begin raise exception 'no' using errcode = '22P05'; end $$;
             create trigger refuse before insert on metrics execute function refuse()",
            "drop function refuse cascade",
        ),
        (
            "alter table projection add constraint few check (n < 3) not valid",
            "alter table projection drop constraint few",
        ),
        (
            "alter table jobs_live add constraint never check (false) not valid",
            "alter table jobs_live drop constraint never",
        ),
    ];
    for (rule, allow) in rules {
        database.ask(rule).await;
        for _ in 0..3 {
            let refused = store.commit(&batch).await.unwrap_err();
            assert_eq!(refused.remedy(), Remedy::TryAgain, "{refused:?}");
        }
        assert_eq!(database.ask("select count(*) from parked").await, "0");
        database.ask(allow).await;
    }
    assert_eq!(store.commit(&batch).await.unwrap().parked, 0);
    assert_eq!(store.checkpoint().await.unwrap().n, log.n());
}

/// What no check foresaw, Postgres still refuses: then the batch is halved until the frame is found, and
/// that is taken in entry by entry.
#[tokio::test]
async fn an_entry_that_postgres_refuses_is_found_in_its_batch_and_parked() {
    let database = Database::start().await;
    let mut store = database.store().await;
    refuse(&database, "new.outputs::text like '%poison%'").await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    let jobs: Vec<_> = (0..40).map(|number| JobOf::new("acme", "ada", "xtb", number)).collect();
    for job in &jobs {
        log.submit_and_assign(job, "exec-1");
    }
    let mut refused = Vec::new();
    for (number, job) in jobs.iter().enumerate() {
        if number % 16 == 3 {
            let outputs = succeeded_with(1, r#"{"scalars": {"poison": 1}}"#);
            let facts = [started("exec-1", 1), outputs, settled(2), released(58)];
            refused.push(log.entry(&job.entity(), facts));
        } else {
            log.start_and_succeed(job, "exec-1");
        }
    }
    let after = log.submit(&JobOf::new("acme", "ada", "xtb", 99));

    let committed = store.commit(&log.batch_after(FrameNumber(0))).await.unwrap();
    assert_eq!(committed.parked, 3);
    assert_eq!(store.checkpoint().await.unwrap().n, after);
    for (number, job) in jobs.iter().enumerate() {
        let row = row(&database, job).await;
        if number % 16 == 3 {
            assert_eq!((row.status, row.parked), (JobState::Queued, Some(Parked::Refused)));
        } else {
            assert_eq!((row.status, row.parked), (JobState::Succeeded, None));
        }
    }
    let kept = database.ask("select string_agg(n::text, ',' order by n) from parked").await;
    assert_eq!(kept, refused.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
    assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);
    // The history is whole, and the store goes on.
    assert_eq!(log.history(&database.reader(), &jobs[3], FrameNumber(0)).await.len(), 2);
    log.start_and_succeed_later(&mut store, after).await;
}

impl Log {
    async fn start_and_succeed_later(
        &mut self,
        store: &mut nox_readmodel::Store,
        after: FrameNumber,
    ) {
        let job = JobOf::new("acme", "ada", "xtb", 99);
        self.entry(&job.entity(), [Fact::Canceled { by: job.user.clone() }, released(60)]);
        store.commit(&self.batch_after(after)).await.unwrap();
    }
}

#[tokio::test]
async fn a_job_whose_row_postgres_refuses_altogether_is_kept_as_bytes() {
    let database = Database::start().await;
    let mut store = database.store().await;
    refuse(&database, "new.module = 'poison'").await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    let bad = JobOf::new("acme", "ada", "poison", 1);
    let good = JobOf::new("acme", "ada", "xtb", 2);
    log.submit_and_assign(&bad, "exec-1");
    log.submit_and_assign(&good, "exec-1");
    let half = log.n();
    log.start_and_succeed(&bad, "exec-1");
    log.start_and_succeed(&good, "exec-1");

    assert_eq!(store.commit(&log.batch_after(FrameNumber(0))).await.unwrap().parked, 2);
    assert_eq!(row(&database, &good).await.status, JobState::Succeeded);
    assert_eq!(database.ask("select count(*) from parked").await, "2");
    assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
    assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);

    // The same when the second event comes to a store that starts anew.
    let other = Database::start().await;
    let mut store = other.store().await;
    refuse(&other, "new.module = 'poison'").await;
    store.commit(&log.batches(half.0 as usize)[0]).await.unwrap();
    let mut store = other.store().await;
    assert_eq!(store.commit(&log.batch_after(half)).await.unwrap().parked, 1);
}

/// In one frame are jobs of everybody, and what is refused of one of them costs nobody else anything.
#[tokio::test]
async fn of_a_frame_with_refused_entries_their_jobs_are_parked_and_the_rest_is_taken_in() {
    let database = Database::start().await;
    let mut store = database.store().await;
    refuse(&database, "new.module = 'poison' or new.outputs::text like '%poison%'").await;
    let mut log = Log::in_frames_of(1_000);
    log.open_tenant("acme", &["ada"]);
    log.seal();
    // Refused in the middle of its life; from its first entry on; and never.
    let late = JobOf::new("acme", "ada", "xtb", 1);
    let whole = JobOf::new("acme", "ada", "poison", 2);
    let good: Vec<_> = (10..20).map(|number| JobOf::new("acme", "ada", "xtb", number)).collect();
    for job in good.iter().chain([&late, &whole]) {
        log.submit_and_assign(job, "exec-1");
    }
    let poison = succeeded_with(1, r#"{"scalars": {"poison": 1}}"#);
    log.entry(&late.entity(), [started("exec-1", 1), poison, settled(2), released(58)]);
    for job in good.iter().chain([&whole]) {
        log.start_and_succeed(job, "exec-1");
    }
    log.seal();

    let committed = store.commit(&log.batch_after(FrameNumber(0))).await.unwrap();
    assert_eq!(committed.parked, 3);
    assert_eq!(store.checkpoint().await.unwrap().n, log.n());
    for job in &good {
        let row = row(&database, job).await;
        assert_eq!((row.status, row.parked), (JobState::Succeeded, None));
        assert_eq!((row.submitted_n, row.n), (log.n(), log.n()));
    }
    let late_row = row(&database, &late).await;
    assert_eq!((late_row.status, late_row.parked), (JobState::Queued, Some(Parked::Refused)));
    let of_whole = database.reader().job(&whole.tenant, whole.id).await.unwrap().value;
    assert_eq!(of_whole, None);

    // Each is kept byte for byte, by the place where it stands.
    let kept = database
        .ask("select n, place, convert_from(payload, 'UTF8') from parked order by place")
        .await;
    let mut expected = log.entries_of(&whole);
    expected.insert(1, log.entries_of(&late).pop().unwrap());
    let places = [11, 12, 23];
    let expected = expected.iter().zip(places);
    let expected = expected.map(|((n, entry), place)| format!("{n}|{place}|{entry}"));
    assert_eq!(kept, expected.collect::<Vec<_>>().join("\n"));

    // The ledger balances, and the store goes on.
    assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
    assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);
    let after = log.n();
    let next = JobOf::new("acme", "ada", "xtb", 99);
    log.submit(&next);
    log.entry(&late.entity(), [Fact::Canceled { by: late.user.clone() }]);
    log.seal();
    assert_eq!(store.commit(&log.batch_after(after)).await.unwrap().parked, 1);
    assert_eq!(row(&database, &next).await.status, JobState::Queued);
}

/// What cannot follow is no bad data, in whatever company it comes.
#[tokio::test]
async fn a_job_that_is_made_twice_is_not_parked_beside_a_refused_one() {
    let database = Database::start().await;
    let mut store = database.store().await;
    refuse(&database, "new.module = 'poison'").await;
    let mut log = Log::in_frames_of(1_000);
    log.open_tenant("acme", &["ada"]);
    let twice = JobOf::new("acme", "ada", "xtb", 2);
    log.submit(&twice);
    log.seal();
    store.commit(&log.batch_after(FrameNumber(0))).await.unwrap();
    let after = log.n();
    log.submit(&JobOf::new("acme", "ada", "poison", 1));
    log.submit(&twice);
    log.seal();
    let before = content_hash(&database.url, None).await.unwrap();
    // A store that does not remember the first time.
    let outcome = database.store().await.commit(&log.batch_after(after)).await;
    assert!(matches!(outcome, Err(StoreError::Illegal(_))), "{outcome:?}");
    assert_eq!(content_hash(&database.url, None).await.unwrap(), before);
}

#[tokio::test]
async fn what_is_parked_does_not_depend_on_the_batches() {
    let (mut log, bad, good) = begin();
    // An error that the next event takes back: in one batch its text never reaches a row.
    log.submit_and_assign(&bad, "exec-1");
    let mut failed = error("exit_status");
    failed.message = "\0".to_owned();
    let attempt = nox_contract::Attempt;
    let due_at = log.at;
    log.entry(
        &bad.entity(),
        [
            Fact::AttemptFailed { attempt: attempt(1), error: failed, crashed: false, wall_ms: 1 },
            Fact::RetryScheduled { attempt: attempt(2), due_at, resources: None },
        ],
    );
    log.assign(&bad, "exec-2", 2);
    log.entry(&bad.entity(), [started("exec-2", 2), succeeded(2), settled(1), released(59)]);
    log.submit(&good);
    let mut hashes = Vec::new();
    for size in [1, 3, 100] {
        let database = Database::start().await;
        assert_eq!(commit_all(&mut database.store().await, log.batches(size)).await, 1);
        hashes.push(content_hash(&database.url, None).await.unwrap());
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
}
