//! How many jobs of a list there are, in all and by what they have in common.

use nox_contract::{JobState, ModuleName, UserId};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};

use super::{
    super::{At, Is, QueryError, Reader, jobs::Filter},
    Cut, Cuts, LOOKED_AT_MAX, LOOKED_AT_OF_RUN_MAX, begin, write_looked_at,
};
use crate::{load::decode, sql::count as number_of};

/// Values of a facet that are told by themselves, the most frequent ones.
const VALUES_MAX: i64 = 50;

/// What jobs may have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facet {
    Status,
    Module,
    User,
    Priority,
    /// Why they do not run now.
    Waiting,
    /// With which they failed.
    ErrorCode,
    Release,
    /// The value of a label.
    Label(String),
}

/// How many jobs a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub count: u64,
    /// Else there may be more.
    pub is_exact: bool,
    /// In the order in which they were asked for.
    pub facets: Vec<FacetCounts>,
}

/// The values of a facet among jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FacetCounts {
    /// The most frequent first.
    pub values: Vec<Counted>,
    /// Jobs that have other values.
    pub others: u64,
    /// Else there may be more values, and more jobs that have them.
    pub is_exact: bool,
}

/// How many jobs have a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// `None` of jobs that have no such thing.
    pub value: Option<String>,
    pub count: u64,
    /// Else there may be more.
    pub is_exact: bool,
}

impl Facet {
    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        match self {
            Self::Status => query.push("status"),
            Self::Module => query.push("module"),
            Self::User => query.push("user_id"),
            Self::Priority => query.push("priority::text"),
            Self::Waiting => query.push("waiting_code"),
            Self::ErrorCode => query.push("error->>'code'"),
            Self::Release => query.push("release_id"),
            Self::Label(name) => query.push("labels->>").push_bind(name.clone()).push("::text"),
        };
    }

    /// Whether a condition chooses by it.
    fn is_of(&self, is: &Is) -> bool {
        match (self, is) {
            (Self::Status, Is::Status(_))
            | (Self::Module, Is::Module(_))
            | (Self::User, Is::User(_))
            | (Self::Priority, Is::Priority(_))
            | (Self::Waiting, Is::Waiting(_))
            | (Self::ErrorCode, Is::ErrorCode(_))
            | (Self::Release, Is::Release(_)) => true,
            (Self::Label(name), Is::Labeled(of) | Is::Label(of, _)) => name == of,
            _ => false,
        }
    }

    /// The filter without what it says of this facet; `None` if it says nothing. Whose jobs may be seen is no word of
    /// the asker's, and stays.
    fn left_out_of(&self, filter: &Filter, only: Option<&UserId>) -> Option<Filter> {
        let conditions = filter.conditions.iter().filter(|of| !self.is_of(&of.is));
        let mut without = Filter { conditions: conditions.cloned().collect(), ..filter.clone() };
        match self {
            Self::Status => without.status = None,
            Self::Module => without.module = None,
            Self::User => without.user = only.cloned(),
            Self::Release => without.release = None,
            Self::Priority | Self::Waiting | Self::ErrorCode | Self::Label(_) => {}
        }
        let says = without.conditions.len() < filter.conditions.len()
            || without.status != filter.status
            || without.module != filter.module
            || without.user != filter.user
            || without.release != filter.release;
        says.then_some(without)
    }

    /// Whether there may be more jobs with a value than were counted.
    fn is_cut(&self, value: Option<&str>, cuts: &Cuts) -> bool {
        match (self, value) {
            (Self::Status, Some(value)) => {
                value.parse::<JobState>().map_or(true, |state| cuts.may_hide_state(state))
            }
            (Self::Module, Some(value)) => cuts.may_hide_module(value),
            (Self::Waiting, Some(_)) => cuts.may_hide_live(),
            (Self::ErrorCode, Some(_)) => cuts.may_hide_failed(),
            _ => !cuts.is_none(),
        }
    }

    /// Whether there may be more values than were found.
    fn is_whole(&self, cuts: &Cuts) -> bool {
        match self {
            Self::Waiting => !cuts.may_hide_live(),
            Self::ErrorCode => !cuts.may_hide_failed(),
            _ => cuts.is_none(),
        }
    }
}

impl Reader {
    /// Counts the jobs of a list, by `facets` as well. A facet is counted among the jobs that all that `filter` says of
    /// others lets through, so that it tells what another choice of it would give; `only` whose jobs may be counted at
    /// all, if not everybody's of the tenant. Its cursor and limit mean nothing.
    pub async fn job_counts(
        &self,
        filter: &Filter,
        facets: &[Facet],
        only: Option<&UserId>,
    ) -> Result<At<Counts>, QueryError> {
        let filter = &Filter { before: None, ..filter.clone() };
        let mut look = self.look().await?;
        let mark = look.mark();
        begin(look.connection()).await.map_err(|error| look.failed(error))?;
        let alone: Vec<_> = facets.iter().map(|facet| facet.left_out_of(filter, only)).collect();
        let together: Vec<_> =
            facets.iter().zip(&alone).filter(|(_, alone)| alone.is_none()).map(|of| of.0).collect();
        let told = tally(look.connection(), filter, &together, &mark).await;
        let mut told = told.map_err(|error| look.failed(error))?;
        let mut counted = std::mem::take(&mut told.facets).into_iter();
        for (facet, without) in facets.iter().zip(alone) {
            told.facets.push(match without {
                None => counted.next().unwrap_or_default(),
                Some(without) => {
                    let of_it = tally(look.connection(), &without, &[facet], &mark).await;
                    let of_it = of_it.map_err(|error| look.failed(error))?;
                    of_it.facets.into_iter().next().unwrap_or_default()
                }
            });
        }
        look.end(told).await
    }
}

/// Counts in one statement. A row of its answer is of all jobs, of a run, or of a value; `level` says of which.
async fn tally(
    connection: &mut PgConnection,
    filter: &Filter,
    facets: &[&Facet],
    mark: &str,
) -> sqlx::Result<Counts> {
    let levels = Levels(facets.len());
    let names: Vec<_> = (0..facets.len()).map(|place| format!("facet_{place}")).collect();
    let columns =
        |before: &str| names.iter().map(|name| format!("{before}{name}")).collect::<String>();
    let value = if names.is_empty() {
        "null::text".to_owned()
    } else {
        format!("coalesce({})", names.join(", "))
    };
    let sets = names.iter().map(|name| format!(", ({name})")).collect::<String>();
    let mut query = QueryBuilder::new(format!(
        "select * from (
             select level, is_live, value, looked_at, count, status, module, modules,
                    row_number() over (partition by level order by count desc, value) as place,
                    sum(count) over (partition by level)::bigint as all_of_level
             from (
                 select grouping(run{listed}) as level, is_live, {value} as value,
                        count(*) as looked_at, count(*) filter (where passes) as count,
                        min(status) as status, min(module) as module, max(module) as modules
                 from (select looked_at.*",
        listed = columns(", "),
    ));
    for (facet, name) in facets.iter().zip(&names) {
        query.push(", ");
        facet.push(&mut query);
        query.push(format!(" as {name}"));
    }
    query.push(" from (");
    write_looked_at(&mut query, filter);
    query.push(format!(
        ") as looked_at) as looked_at
                 group by grouping sets ((), (run, is_live){sets})
             ) as counted
         ) as counted
         where level = {of_run} or place <= {VALUES_MAX}
         order by level, place{mark}",
        of_run = levels.of_run(),
    ));
    let rows = query.build().fetch_all(connection).await?;
    let mut counts =
        Counts { facets: vec![FacetCounts::default(); facets.len()], ..Counts::default() };
    let cuts = cuts(&rows, levels, filter)?;
    counts.is_exact = cuts.is_none();
    for row in &rows {
        let level: i32 = row.try_get("level")?;
        let count = number_of(row.try_get("count")?);
        if level == levels.of_all() {
            counts.count = count;
        }
        let Some(place) = levels.facet(level) else { continue };
        let (facet, told) = (facets[place], &mut counts.facets[place]);
        if row.try_get::<i64, _>("place")? == 1 {
            told.others = number_of(row.try_get("all_of_level")?);
        }
        told.others = told.others.saturating_sub(count);
        if count > 0 {
            let value: Option<String> = row.try_get("value")?;
            let is_exact = !facet.is_cut(value.as_deref(), &cuts);
            told.values.push(Counted { value, count, is_exact });
        }
    }
    for (facet, told) in facets.iter().zip(&mut counts.facets) {
        told.is_exact = facet.is_whole(&cuts);
    }
    Ok(counts)
}

/// Which columns a row of the answer is grouped by, as `grouping` has it: a bit for the run and for each of so many
/// facets, set where it is not.
#[derive(Debug, Clone, Copy)]
struct Levels(usize);

impl Levels {
    fn of_all(self) -> i32 {
        (1 << (self.0 + 1)) - 1
    }

    fn of_run(self) -> i32 {
        self.of_all() & !(1 << self.0)
    }

    /// The place of the facet.
    fn facet(self, level: i32) -> Option<usize> {
        (0..self.0).find(|place| level == self.of_all() & !(1 << (self.0 - 1 - place)))
    }
}

/// Which runs have more rows than were looked at.
fn cuts(rows: &[PgRow], levels: Levels, filter: &Filter) -> sqlx::Result<Cuts> {
    let mut cuts = Cuts::default();
    for row in rows {
        let level: i32 = row.try_get("level")?;
        let looked_at: i64 = row.try_get("looked_at")?;
        if level == levels.of_all() {
            cuts.all |= looked_at > LOOKED_AT_MAX;
        } else if level == levels.of_run() && looked_at > LOOKED_AT_OF_RUN_MAX {
            let is_live: bool = row.try_get("is_live")?;
            let over = row.try_get::<&str, _>("status")?.parse().map_err(decode)?;
            let module: &str = row.try_get("module")?;
            let is_one = module == row.try_get::<&str, _>("modules")?;
            let module = is_one.then(|| ModuleName::new(module)).transpose().map_err(decode)?;
            // A release's jobs are one run, whatever their modules and ends.
            cuts.all |= filter.release.is_some();
            cuts.runs.push(Cut { over: (!is_live).then_some(over), module });
        }
    }
    Ok(cuts)
}
