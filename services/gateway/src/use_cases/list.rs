//! The jobs that somebody may see, in pages.

use std::sync::Arc;

use nox_contract::{JobState, ModuleName, UserId};
use nox_readmodel::{
    Cursor, Filter, JobRow,
    query::{Condition, Counts, Facet, FacetCounts, Page, Span, SpanPart, Stats},
};

use crate::{
    app::App,
    identity::auth::Caller,
    problem::ApiError,
    read::{figures::JobStats, required::Required},
};

/// Bytes after which a page ends early, unless it has one job alone: what jobs carry is the programs'.
const PAGE_BYTES_MAX: usize = 512 * 1024;

/// How often a page is in memory while it is made: as it came, as rows, and as text.
pub const COPIES: usize = 3;

/// Which jobs are asked for; all that the asker may see, where nothing is said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    pub status: Option<JobState>,
    pub module: Option<ModuleName>,
    pub user: Option<UserId>,
    pub release: Option<String>,
    pub conditions: Vec<Condition>,
    pub oldest_first: bool,
    /// Without inputs and outputs.
    pub brief: bool,
    pub limit: usize,
    pub before: Option<Cursor>,
}

impl Wanted {
    /// Whether it leaves any job out.
    pub fn chooses(&self) -> bool {
        self.status.is_some()
            || self.module.is_some()
            || self.user.is_some()
            || self.release.is_some()
            || !self.conditions.is_empty()
    }
}

/// A page, with the room that it takes up; `None` if nothing is to be seen, because another user's jobs are
/// asked for.
pub async fn list<R>(
    app: &App,
    caller: &Caller,
    wanted: Wanted,
    required: &Required,
    room: impl Fn(usize) -> Result<R, ApiError> + Copy,
) -> Result<Option<(Page<JobRow>, R)>, ApiError> {
    let Some(filter) = filter(caller, wanted) else {
        if let Some(n) = required.n {
            app.barrier.frame(n).await?;
        }
        return Ok(None);
    };
    let read = || app.reader.jobs_within(&filter, PAGE_BYTES_MAX, room);
    app.barrier.read(required, read).await?.value.map(Some)
}

/// How many jobs a list has, counted up to `max`, and whether these are all.
pub async fn count(
    app: &App,
    caller: &Caller,
    wanted: Wanted,
    max: usize,
    required: &Required,
) -> Result<(usize, bool), ApiError> {
    let Some(filter) = filter(caller, wanted) else { return Ok((0, true)) };
    let read = || app.reader.job_ids(&filter, max);
    let (ids, complete) = app.barrier.read(required, read).await?.value;
    Ok((ids.len(), complete))
}

/// How many jobs a list has, and by what they have in common.
pub async fn counts(
    app: &App,
    caller: &Caller,
    wanted: Wanted,
    facets: &[Facet],
    required: &Required,
) -> Result<Counts, ApiError> {
    let Some(filter) = filter(caller, wanted) else {
        let facets = vec![FacetCounts { is_exact: true, ..FacetCounts::default() }; facets.len()];
        return Ok(Counts { count: 0, is_exact: true, facets });
    };
    let only = (!caller.admin).then_some(&caller.user);
    let _turn = app.tallies.turn(caller).await?;
    let read = || app.reader.job_counts(&filter, facets, only);
    Ok(app.barrier.read(required, read).await?.value)
}

/// What became of the jobs of a list within a span; the same for some seconds to whoever may see the same and asks by
/// the same `words`.
pub async fn stats(
    app: &App,
    caller: &Caller,
    (wanted, span): (Wanted, Span),
    words: &str,
) -> Result<Arc<JobStats>, ApiError> {
    let Some(filter) = filter(caller, wanted) else {
        let parts = vec![SpanPart::default(); span.parts];
        let stats = Stats { parts, is_exact: true, ..Stats::default() };
        return Ok(Arc::new(JobStats { span, stats }));
    };
    let whose = if caller.admin { "" } else { caller.user.as_str() };
    // No name has what stands between them.
    let key = [caller.tenant.as_str(), whose, words].join("\n");
    let now = || app.runtime.clock.monotonic();
    if let Some(kept) = app.kept_stats.get(&key, now()) {
        return Ok(kept);
    }
    let _turn = app.tallies.turn(caller).await?;
    // Whoever was first may have asked for the same.
    if let Some(kept) = app.kept_stats.get(&key, now()) {
        return Ok(kept);
    }
    let read = || app.reader.job_stats(&filter, span);
    let stats = app.barrier.read(&Required::default(), read).await?.value;
    Ok(app.kept_stats.keep(key, now(), JobStats { span, stats }))
}

/// Jobs of a list from an offset on, and how many there are.
#[derive(Default)]
pub struct Numbered {
    pub rows: Vec<JobRow>,
    /// As far as they were counted.
    pub total: usize,
}

/// The jobs of a list from `offset` on, of which `max` are counted at most.
pub async fn numbered(
    app: &App,
    caller: &Caller,
    wanted: Wanted,
    offset: usize,
    max: usize,
) -> Result<Numbered, ApiError> {
    let Some(filter) = filter(caller, wanted) else { return Ok(Numbered::default()) };
    let read = || app.reader.jobs_from(&filter, offset, max);
    let (rows, total, _) = app.barrier.read(&Required::default(), read).await?.value;
    Ok(Numbered { rows, total })
}

fn filter(caller: &Caller, wanted: Wanted) -> Option<Filter> {
    let Wanted { status, module, user, release, conditions, oldest_first, brief, limit, before } =
        wanted;
    let user = match user {
        Some(user) if !caller.admin && user != caller.user => return None,
        None if !caller.admin => Some(caller.user.clone()),
        user => user,
    };
    let tenant = caller.tenant.clone();
    Some(Filter {
        tenant,
        user,
        status,
        module,
        release,
        conditions,
        oldest_first,
        brief,
        limit,
        before,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_sees_only_its_own() {
        let user = |name: &str| name.parse::<UserId>().unwrap();
        let asked = |admin: bool, of: Option<&str>| {
            let tenant = "default".parse().unwrap();
            let caller = Caller {
                tenant,
                user: user("ada"),
                admin,
                key_id: None,
                token_id: None,
                scopes: Vec::new(),
                expires_at: None,
            };
            let wanted = Wanted { user: of.map(user), ..Wanted::default() };
            filter(&caller, wanted).map(|filter| filter.user)
        };
        assert_eq!(asked(false, None), Some(Some(user("ada"))));
        assert_eq!(asked(false, Some("ada")), Some(Some(user("ada"))));
        assert_eq!(asked(false, Some("eve")), None);
        assert_eq!(asked(true, None), Some(None));
        assert_eq!(asked(true, Some("eve")), Some(Some(user("eve"))));
    }
}
