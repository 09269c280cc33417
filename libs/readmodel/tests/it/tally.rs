//! Counts and figures of lists: those of the rows that a list shows, as far as they say that they are all.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{JobId, JobState, Timestamp};
use nox_readmodel::{
    Filter, JobRow, Reader,
    query::{Condition, Counts, Facet, Is, Span},
};

use crate::{
    log::{BEGIN, Log, eventful_in, module, tenant, user},
    support::Database,
};

const FACETS: [Facet; 7] = [
    Facet::Status,
    Facet::Module,
    Facet::User,
    Facet::Priority,
    Facet::Waiting,
    Facet::ErrorCode,
    Facet::Release,
];

fn value(facet: &Facet, row: &JobRow) -> Option<String> {
    match facet {
        Facet::Status => Some(row.status.to_string()),
        Facet::Module => Some(row.module.to_string()),
        Facet::User => Some(row.user_id.to_string()),
        Facet::Priority => Some(row.priority.to_string()),
        Facet::Waiting => row.waiting_code.map(|code| code.as_str().to_owned()),
        Facet::ErrorCode => row.error.as_ref().map(|error| error.code.clone()),
        Facet::Release => row.metadata.release_id.clone(),
        Facet::Label(name) => row.metadata.labels.get(name).cloned(),
    }
}

async fn listed(reader: &Reader, filter: &Filter) -> Vec<JobRow> {
    let all = Filter { limit: 1_000, ..filter.clone() };
    reader.jobs(&all).await.unwrap().value.rows
}

async fn counted(reader: &Reader, filter: &Filter, facets: &[Facet]) -> Counts {
    reader.job_counts(filter, facets, None).await.unwrap().value
}

/// As sets of values with their counts.
fn told(counts: &Counts) -> Vec<BTreeMap<Option<String>, u64>> {
    let values = |of: &nox_readmodel::query::FacetCounts| {
        assert!(of.is_exact && of.others == 0 && of.values.iter().all(|of| of.is_exact));
        assert!(of.values.windows(2).all(|pair| pair[0].count >= pair[1].count));
        of.values.iter().map(|of| (of.value.clone(), of.count)).collect()
    };
    counts.facets.iter().map(values).collect()
}

#[tokio::test]
async fn counts_are_those_of_the_rows_that_the_list_shows() {
    let database = Database::start().await;
    database.filled(&eventful_in(Log::in_frames_of(5), 96), 50).await;
    let labels =
        "update jobs_ended set labels = jsonb_build_object('team', module), release_id = 'r1'
                  where status = 'failed'";
    database.ask(labels).await;
    let reader = database.reader();
    // The control: there are jobs of another tenant.
    assert_eq!(listed(&reader, &Filter::of(tenant("zeta"), 1)).await.len(), 32);

    let condition = |is, negated| vec![Condition { is, negated }];
    let of_acme = Filter::of(tenant("acme"), 1);
    let mut filters = vec![of_acme.clone()];
    use JobState::{Canceled, Draft, Failed, Queued, Running, Succeeded};
    for status in [Draft, Queued, Running, Succeeded, Failed, Canceled] {
        filters.push(Filter { status: Some(status), ..of_acme.clone() });
    }
    filters.push(Filter { user: Some(user("ada")), ..of_acme.clone() });
    filters.push(Filter { module: Some(module("xtb")), ..of_acme.clone() });
    filters.push(Filter { release: Some("r1".to_owned()), ..of_acme.clone() });
    for (is, negated) in [
        (Is::Status(vec![Failed, Canceled]), false),
        (Is::Status(vec![Failed]), true),
        (Is::ErrorCode(vec!["exit_status".to_owned()]), false),
        (Is::Label("team".to_owned(), "xtb".to_owned()), false),
        (Is::Labeled("team".to_owned()), true),
        (Is::Priority(vec![5]), false),
        (Is::Priority(vec![5]), true),
        (Is::RetryOf(vec![JobId(uuid::Uuid::from_u128(1))]), false),
    ] {
        filters.push(Filter { conditions: condition(is, negated), ..of_acme.clone() });
    }
    for filter in filters {
        let rows = listed(&reader, &filter).await;
        let counts = counted(&reader, &filter, &[]).await;
        assert_eq!((counts.count, counts.is_exact), (rows.len() as u64, true), "{filter:?}");
        // What the filter says of a facet is left out where that is counted.
        for facet in FACETS.into_iter().chain([Facet::Label("team".to_owned())]) {
            let mut others = filter.clone();
            match facet {
                Facet::Status => {
                    others.status = None;
                    others.conditions.retain(|of| !matches!(of.is, Is::Status(_)));
                }
                Facet::Module => others.module = None,
                Facet::User => others.user = None,
                Facet::Release => others.release = None,
                Facet::ErrorCode => {
                    others.conditions.retain(|of| !matches!(of.is, Is::ErrorCode(_)));
                }
                Facet::Priority => others.conditions.retain(|of| !matches!(of.is, Is::Priority(_))),
                Facet::Label(_) => {
                    others.conditions.retain(|of| !matches!(of.is, Is::Label(..) | Is::Labeled(_)))
                }
                Facet::Waiting => {}
            }
            let mut expected = BTreeMap::new();
            for row in listed(&reader, &others).await {
                *expected.entry(value(&facet, &row)).or_default() += 1;
            }
            let counts = counted(&reader, &filter, std::slice::from_ref(&facet)).await;
            assert_eq!(told(&counts), [expected], "{facet:?} of {filter:?}");
            assert_eq!(counts.count, rows.len() as u64);
        }
    }
    // All at once is what each is by itself.
    let all = counted(&reader, &of_acme, &FACETS).await;
    for (place, facet) in FACETS.iter().enumerate() {
        let alone = counted(&reader, &of_acme, std::slice::from_ref(facet)).await;
        assert_eq!(told(&alone)[0], told(&all)[place], "{facet:?}");
    }
}

/// Without its owner's word, a facet of owners would tell of everybody's jobs.
#[tokio::test]
async fn whoever_may_see_its_own_jobs_alone_is_told_of_no_others() {
    let database = Database::start().await;
    database.filled(&eventful_in(Log::in_frames_of(5), 96), 50).await;
    let reader = database.reader();
    let ada = user("ada");
    let filter = Filter { user: Some(ada.clone()), ..Filter::of(tenant("acme"), 1) };
    let facets = [Facet::User, Facet::Module];
    let own = reader.job_counts(&filter, &facets, Some(&ada)).await.unwrap().value;
    let names = |counts: &Counts| {
        counts.facets[0].values.iter().filter_map(|of| of.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&own), ["ada"]);
    // The control: who may see all is.
    assert_eq!(names(&counted(&reader, &filter, &facets).await).len(), 2);
}

#[tokio::test]
async fn what_is_cut_says_so_and_what_is_not_stays_exact() {
    let database = Database::start().await;
    database.filled(&eventful_in(Log::in_frames_of(5), 96), 50).await;
    let reader = database.reader();
    let filter = Filter::of(tenant("acme"), 1);
    let facets = [Facet::Status, Facet::Module, Facet::ErrorCode, Facet::User];
    let before = counted(&reader, &filter, &facets).await;
    // More successes of one module than are looked at.
    let more = "insert into jobs_ended
                select (json_populate_record(jobs_ended, json_build_object(
                            'id', gen_random_uuid(), 'submitted', submitted + (i::bigint << 20),
                            'n', n + i))).*
                from (select jobs_ended from jobs_ended
                      where status = 'succeeded' and tenant = 'acme' and module = 'xtb' limit 1)
                         as one (jobs_ended),
                     lateral (select (one.jobs_ended).submitted, (one.jobs_ended).n) as of_one,
                     generate_series(1, 20000) as i";
    database.ask(more).await;
    let counts = counted(&reader, &filter, &facets).await;
    assert!(before.is_exact && !counts.is_exact);
    assert!(counts.count > 20_000 && counts.count <= before.count + 20_000);
    let exact = |place: usize, value: &str| {
        let of = counts.facets[place].values.iter().find(|of| of.value.as_deref() == Some(value));
        of.unwrap().is_exact
    };
    assert!(!exact(0, "succeeded") && exact(0, "failed") && exact(0, "running"));
    assert!(!exact(1, "xtb") && exact(1, "command"));
    assert!(exact(2, "exit_status") && counts.facets[2].is_exact);
    assert!(!exact(3, "ada") && !counts.facets[3].is_exact);
    // What was exact is what it was.
    let of = |counts: &Counts, value: &str| {
        let values = counts.facets[0].values.iter();
        values.filter(|of| of.value.as_deref() == Some(value)).map(|of| of.count).sum::<u64>()
    };
    assert_eq!(of(&counts, "failed"), of(&before, "failed"));
    // A choice of the others is exact.
    let failed = Filter { status: Some(JobState::Failed), ..filter };
    assert!(counted(&reader, &failed, &[]).await.is_exact);
    // Of a release, which has jobs of all ends, nothing is.
    database.ask("update jobs_ended set release_id = 'r1'").await;
    let release = Filter { status: None, release: Some("r1".to_owned()), ..failed };
    let counts = counted(&reader, &release, &facets).await;
    let values = counts.facets.iter().flat_map(|facet| &facet.values);
    assert!(!counts.is_exact && values.into_iter().all(|of| !of.is_exact), "{counts:?}");
}

#[tokio::test]
async fn figures_of_a_span_are_those_of_its_jobs() {
    let database = Database::start().await;
    let log = eventful_in(Log::in_frames_of(5), 96);
    database.filled(&log, 50).await;
    let reader = database.reader();
    let filter = Filter::of(tenant("acme"), 1);
    let rows = listed(&reader, &filter).await;
    let middle = BEGIN + log.at.since(BEGIN) / 2;
    for (from, to) in [(BEGIN, log.at + Duration::from_secs(1)), (middle, log.at), (BEGIN, middle)]
    {
        let within = |at: Option<Timestamp>| at.is_some_and(|at| at >= from && at < to);
        let span = Span { from, to, parts: 7 };
        let stats = reader.job_stats(&filter, span).await.unwrap().value;
        assert!(stats.is_exact && stats.parts.len() == 7);
        let sum = |of: fn(&nox_readmodel::query::SpanPart) -> u64| {
            stats.parts.iter().map(of).sum::<u64>()
        };
        let ended = |state| {
            rows.iter().filter(|row| row.status == state && within(row.ended_at)).count() as u64
        };
        assert_eq!(sum(|part| part.succeeded), ended(JobState::Succeeded));
        assert_eq!(sum(|part| part.failed), ended(JobState::Failed));
        assert_eq!(sum(|part| part.canceled), ended(JobState::Canceled));
        let came = rows.iter().filter(|row| within(Some(row.created_at))).count() as u64;
        assert_eq!(sum(|part| part.submitted), came);
        let mut ran: Vec<f64> = rows
            .iter()
            .filter(|row| matches!(row.status, JobState::Succeeded | JobState::Failed))
            .filter(|row| within(row.ended_at))
            .filter_map(|row| Some(row.ended_at?.since(row.started_at?).as_secs_f64()))
            .collect();
        ran.sort_by(f64::total_cmp);
        assert_eq!(stats.runs.count, ran.len() as u64);
        assert_eq!(stats.runs.max.is_some(), !ran.is_empty());
        if let (Some(max), Some(last)) = (stats.runs.max, ran.last()) {
            assert!((max - last).abs() < 1e-5, "{max} {last}");
            let middle = stats.runs.p50.unwrap();
            assert!(
                ran[(ran.len() - 1) / 2] <= middle + 1e-5 && middle <= ran[ran.len() / 2] + 1e-5
            );
        }
    }
    // The control: nothing happened before.
    let span =
        Span { from: BEGIN + Duration::ZERO, to: BEGIN + Duration::from_micros(1), parts: 1 };
    let nothing = reader.job_stats(&filter, span).await.unwrap().value;
    assert_eq!((nothing.runs.count, nothing.runs.p50, nothing.parts[0].submitted), (0, None, 0));
}
