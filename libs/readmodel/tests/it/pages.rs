//! Lists: complete, without doubles, whatever comes in meanwhile.

use std::collections::BTreeSet;

use nox_contract::JobState;
use nox_readmodel::{Cursor, Filter, JobRow, Page};

use crate::{
    log::{JobOf, Log, eventful, eventful_in, module, tenant, user},
    support::Database,
};

#[tokio::test]
async fn every_combination_of_filters_finds_what_it_names() {
    let database = Database::start().await;
    database.filled(&eventful_in(Log::in_frames_of(5), 96), 50).await;
    let reader = database.reader();
    let all = reader.jobs(&Filter::of(tenant("acme"), 1_000)).await.unwrap().value;
    assert_eq!((all.rows.len(), all.next), (64, None));
    let place = |row: &JobRow| (row.submitted_n, row.submitted_place);
    assert!(all.rows.windows(2).all(|pair| place(&pair[0]) > place(&pair[1])));
    assert!(all.rows.windows(2).all(|pair| pair[0].created_at >= pair[1].created_at));

    use JobState::{Canceled, Draft, Failed, Queued, Running, Succeeded};
    let states = [Draft, Queued, Running, Succeeded, Failed, Canceled].map(Some);
    for status in states.into_iter().chain([None]) {
        for user in [None, Some(user("ada")), Some(user("nobody"))] {
            for module in [None, Some(module("xtb"))] {
                let expected: Vec<&JobRow> = all
                    .rows
                    .iter()
                    .filter(|row| status.is_none_or(|status| row.status == status))
                    .filter(|row| user.as_ref().is_none_or(|user| row.user_id == *user))
                    .filter(|row| module.as_ref().is_none_or(|module| row.module == *module))
                    .collect();
                let filter = Filter {
                    user: user.clone(),
                    status,
                    module: module.clone(),
                    ..Filter::of(tenant("acme"), 3)
                };
                let found = pages(&reader, filter).await;
                assert_eq!(found.iter().collect::<Vec<_>>(), expected);
            }
        }
    }
}

async fn pages(reader: &nox_readmodel::Reader, mut filter: Filter) -> Vec<JobRow> {
    let mut found = Vec::new();
    loop {
        let Page { rows, next } = reader.jobs(&filter).await.unwrap().value;
        assert!(rows.len() <= filter.limit);
        found.extend(rows);
        // A cursor travels as text.
        let Some(next) = next else { return found };
        filter.before = Some(next.to_string().parse().unwrap());
    }
}

/// Numbers of runs are hashes, so names may share one: then the names decide.
#[tokio::test]
async fn who_shares_a_run_is_not_shown_anothers_jobs() {
    let database = Database::start().await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada", "bob"]);
    log.open_tenant("umbrella", &["ada"]);
    for (number, (of, who, what)) in (0..).zip([
        ("acme", "ada", "xtb"),
        ("acme", "bob", "xtb"),
        ("umbrella", "ada", "xtb"),
        ("acme", "ada", "orca"),
    ]) {
        let [ended, queued] = [2 * number, 2 * number + 1].map(|n| JobOf::new(of, who, what, n));
        log.submit_and_assign(&ended, "exec-1");
        log.start_and_succeed(&ended, "exec-1");
        log.submit(&queued);
    }
    // In batches of one, so that rows are moved.
    database.filled(&log, 1).await;
    let reader = database.reader();
    let count = async |who: Option<&str>, what: Option<&str>| {
        let (user, module) = (who.map(user), what.map(module));
        let filter = Filter { user, module, ..Filter::of(tenant("acme"), 50) };
        reader.jobs(&filter).await.unwrap().value.rows.len()
    };
    let asked = [
        (None, None, 6),
        (Some("ada"), None, 4),
        (Some("bob"), None, 2),
        (None, Some("xtb"), 4),
        (Some("ada"), Some("xtb"), 2),
    ];
    for (who, what, expected) in asked {
        assert_eq!(count(who, what).await, expected, "{who:?} {what:?}");
    }
    // All have the runs that ada's jobs of xtb at acme have.
    for table in ["jobs_live", "jobs_ended"] {
        let same = format!(
            "update {table} set (tenant_run, user_run) =
                 (select tenant_run, user_run from {table}
                  where tenant = 'acme' and user_id = 'ada' and module = 'xtb')"
        );
        database.ask(&same).await;
    }
    let asked = [
        (None, None, 6),
        (Some("ada"), None, 4),
        (None, Some("xtb"), 4),
        (Some("ada"), Some("xtb"), 2),
    ];
    for (who, what, expected) in asked {
        assert_eq!(count(who, what).await, expected, "shared: {who:?} {what:?}");
    }
    // The control: rows are looked for where the numbers say.
    assert_eq!(count(Some("bob"), None).await, 0);
}

#[tokio::test]
async fn paging_misses_nothing_and_repeats_nothing_while_jobs_come_in() {
    let database = Database::start().await;
    // Pages end within frames, and all jobs of a frame have its number.
    let mut log = Log::in_frames_of(23);
    log.open_tenant("acme", &["ada"]);
    let job = |number| JobOf::new("acme", "ada", "xtb", number);
    for number in 0..100 {
        log.submit(&job(number));
    }
    log.seal();
    let mut store = database.filled(&log, 1_000).await;
    let before: BTreeSet<_> = (0..100).map(|number| job(number).id).collect();

    let reader = database.reader();
    let mut filter = Filter::of(tenant("acme"), 7);
    let mut seen = Vec::new();
    let mut arriving = 100;
    loop {
        let page = reader.jobs(&filter).await.unwrap().value;
        seen.extend(page.rows.iter().map(|row| row.id));
        let Some(next) = page.next else { break };
        filter.before = Some(next);
        // Between any two pages some come in, and some change.
        let after = log.n();
        for _ in 0..3 {
            log.submit_and_assign(&job(arriving), "exec-1");
            arriving += 1;
        }
        log.assign(&job(arriving - 103), "exec-1", 1);
        log.seal();
        store.commit(&log.batch_after(after)).await.unwrap();
    }
    let distinct: BTreeSet<_> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "a job was listed twice");
    assert!(before.is_subset(&distinct), "a job was missed");
}

#[tokio::test]
async fn a_limit_is_kept_within_its_bounds() {
    let database = Database::start().await;
    database.filled(&eventful(16), 1_000).await;
    let reader = database.reader();
    let one = reader.jobs(&Filter::of(tenant("acme"), 0)).await.unwrap().value;
    assert_eq!(one.rows.len(), 1);
    let last = &one.rows[0];
    let cursor = format!("{}.{}", last.submitted_n, last.submitted_place);
    assert_eq!(one.next.unwrap().to_string(), cursor);
    for text in ["", "7", "7.", ".7", "7.x", "7.1.2", "-1.0"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
    assert!(
        reader.jobs(&Filter::of(tenant("acme"), usize::MAX)).await.unwrap().value.rows.len() > 1
    );
}
