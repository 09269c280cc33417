//! What accounts may, have and use, and workers that are out of service.

use nox_contract::{Entity, Fact, JobId, LimitsChange};
use nox_readmodel::{Filter, rows::WorkerState};

use crate::{
    log::{JobOf, Log, eventful, limits_set, period, started, tenant, user, worker},
    support::Database,
};

fn account(name: &str) -> Entity {
    Entity::Account { tenant: tenant("acme"), account: name.to_owned() }
}

fn changed(reset: bool) -> Fact {
    let change = LimitsChange { by: user("root"), reason: "a deadline".to_owned(), reset };
    match limits_set("user") {
        Fact::LimitsSet { role, limits, .. } => {
            Fact::LimitsSet { role, limits, change: Some(Box::new(change)) }
        }
        other => other,
    }
}

#[tokio::test]
async fn an_account_says_what_it_may_has_and_uses() {
    let database = Database::start().await;
    let mut log = Log::new();
    log.declare("xtb");
    log.open_tenant("acme", &["ada", "bob"]);
    log.open_tenant("zeta", &["eve"]);
    log.join("exec-1", &["xtb"]);
    let jobs: Vec<_> = (0..4).map(|number| JobOf::new("acme", "ada", "xtb", number)).collect();
    log.submit(&jobs[0]);
    log.submit_and_assign(&jobs[1], "exec-1");
    log.submit_and_assign(&jobs[2], "exec-1");
    log.start(&jobs[2], "exec-1", 1);
    log.submit_and_assign(&jobs[3], "exec-1");
    log.start_and_succeed(&jobs[3], "exec-1");
    log.entry(&account("user/ada"), [changed(false)]);
    log.entry(&account("user/bob"), [changed(false)]);
    log.entry(&account("user/bob"), [changed(true)]);
    database.filled(&log, 3).await;
    let reader = database.reader();

    let all = reader.accounts(&tenant("acme"), None, 10).await.unwrap().value;
    let names: Vec<_> = all.iter().map(|row| row.account.as_str()).collect();
    assert_eq!(names, ["tenant", "user/ada", "user/bob"]);
    let [of_tenant, ada, bob] = &all[..] else { panic!("{all:?}") };
    assert_eq!((ada.counts.queued_jobs, ada.counts.running_jobs), (3, 2));
    assert_eq!(of_tenant.counts, ada.counts);
    assert_eq!((bob.counts.queued_jobs, bob.counts.running_jobs), (0, 0));
    let change = ada.limits.change.as_ref().unwrap();
    assert_eq!((change.by.as_str(), &*change.reason, change.reset), ("root", "a deadline", false));
    assert!(bob.limits.change.as_ref().unwrap().reset);
    assert_eq!(of_tenant.limits.change, None);
    let balance = ada.balance.unwrap();
    assert_eq!((balance.period, balance.balance.used), (period(), 2));

    let page = reader.accounts(&tenant("acme"), Some("tenant"), 1).await.unwrap().value;
    assert_eq!(page, std::slice::from_ref(ada));
    let one = reader.account(&tenant("acme"), "user/ada").await.unwrap().value;
    assert_eq!(one.as_ref(), Some(ada));
    assert_eq!(reader.account(&tenant("zeta"), "user/ada").await.unwrap().value, None);
}

#[tokio::test]
async fn the_ledger_is_paged_and_each_of_its_lines_adds_up() {
    let database = Database::start().await;
    database.filled(&eventful(24), 5).await;
    let reader = database.reader();
    let mut filter = Filter { user: Some(user("ada")), ..Filter::of(tenant("acme"), 3) };
    let (mut lines, mut pages) = (Vec::new(), 0);
    loop {
        let page = reader.ledger(&filter).await.unwrap().value;
        lines.extend(page.rows);
        pages += 1;
        filter.before = page.next;
        if filter.before.is_none() {
            break;
        }
    }
    assert!(pages > 2, "{pages}");
    for line in &lines {
        assert_eq!(line.account, "user/ada");
        assert_eq!(line.reserved + line.used + line.released, line.reservation);
    }
    let ids: std::collections::BTreeSet<JobId> = lines.iter().map(|line| line.job_id).collect();
    assert_eq!(ids.len(), lines.len(), "no line comes twice");
    let all = database
        .ask("select count(*) from quota_ledger where tenant = 'acme' and account = 'user/ada'")
        .await;
    assert_eq!(all, lines.len().to_string());
}

#[tokio::test]
async fn a_drained_worker_stays_so_through_its_sessions_and_shows_what_it_runs() {
    let database = Database::start().await;
    let mut log = Log::new();
    log.declare("xtb");
    log.open_tenant("acme", &["ada", "bob"]);
    log.join("exec-1", &["xtb"]);
    let of = |user, number| JobOf::new("acme", user, "xtb", number);
    for (user, number) in [("ada", 0), ("bob", 1)] {
        log.submit_and_assign(&of(user, number), "exec-1");
        log.start(&of(user, number), "exec-1", 1);
    }
    let exec = Entity::Worker(worker("exec-1"));
    log.entry(&exec, [Fact::WorkerDrained { by: user("root") }]);
    database.filled(&log, 2).await;
    let reader = database.reader();
    let row = reader.worker(&worker("exec-1")).await.unwrap().value.unwrap();
    assert_eq!((row.state, row.drained_by), (WorkerState::Joined, Some(user("root"))));

    let running = |of: Option<&str>| {
        let (reader, of) = (reader.clone(), of.map(user));
        async move {
            let found = reader.running(&tenant("acme"), of.as_ref(), None).await.unwrap();
            found.value.into_iter().map(|row| row.user_id).collect::<Vec<_>>()
        }
    };
    assert_eq!(running(None).await, [user("bob"), user("ada")]);
    assert_eq!(running(Some("ada")).await, [user("ada")]);
    let elsewhere = reader.running(&tenant("zeta"), None, None).await.unwrap().value;
    assert_eq!(elsewhere, []);
    let counts = reader.running_counts().await.unwrap().value;
    assert_eq!(counts.get(&worker("exec-1")), Some(&2));

    let mut again = Log::new();
    again.join("exec-1", &["xtb"]);
    again.entry(&exec, [Fact::WorkerDrained { by: user("root") }]);
    again.join("exec-1", &["xtb"]);
    let joined_at = again.at;
    again.at = again.at + std::time::Duration::from_secs(60);
    let database = Database::start().await;
    let job = JobOf::new("acme", "ada", "xtb", 2);
    again.open_tenant("acme", &["ada"]);
    again.submit_and_assign(&job, "exec-1");
    again.entry(&job.entity(), [started("exec-1", 1)]);
    database.filled(&again, 1).await;
    let row = database.reader().worker(&worker("exec-1")).await.unwrap().value.unwrap();
    assert_eq!((row.drained_by, row.joined_at), (Some(user("root")), joined_at));
    assert_eq!(row.seen_at, again.at, "what it says of a job is heard of it");

    again.entry(&exec, [Fact::WorkerUndrained { by: user("root") }]);
    let database = Database::start().await;
    database.filled(&again, 100).await;
    let row = database.reader().worker(&worker("exec-1")).await.unwrap().value.unwrap();
    assert_eq!(row.drained_by, None);
}
