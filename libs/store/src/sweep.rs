//! Removes what nobody can or may see any more: files of attempts that did not complete their job, and files
//! and uploads that were kept long enough.
//!
//! What may go is judged by the rows, and by no clock but the log's: rows of the log up to an instant have
//! every job that could have made a file a day before.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt, TryStreamExt};
use nox_contract::{Attempt, JobId, Timestamp, upload};
use object_store::ObjectMeta;

use crate::{Artifacts, Location, StoreError, uploads::INCOMING};

/// How long what nobody can see is left alone: longer than any attempt goes on that was given up on, than
/// clocks are apart, and than a submit waits to be decided.
const LEFT_FOR: Duration = Duration::from_secs(86_400);

/// Objects that are judged at a time.
const BATCH: usize = 1_000;

/// How long things are kept, in days; 0 for ever.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// After their job's end.
    pub artifact_days: u32,
    /// After they were uploaded last, and while a job that refers to them has not ended.
    pub upload_days: u32,
}

/// A job as the rows have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The newest attempt.
    pub attempt: Attempt,
    pub end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Then the files of the newest attempt are the job's.
    pub succeeded: bool,
    pub at: Timestamp,
}

/// What is read of the rows, and up to which instant of the log they were.
#[derive(Debug, Clone)]
pub struct Seen<T> {
    pub at: Timestamp,
    pub value: T,
}

/// The rows.
pub trait Rows {
    /// Why they cannot be read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// How these jobs stand; one that is not there has expired, or never was. `None` before the first frame.
    fn standings(
        &self,
        ids: Vec<JobId>,
    ) -> impl Future<Output = Result<Option<Seen<BTreeMap<JobId, Standing>>>, Self::Error>> + Send;

    /// The uploads that jobs which have not ended may refer to: their places in the store.
    fn referred(
        &self,
    ) -> impl Future<Output = Result<Option<Seen<BTreeSet<String>>>, Self::Error>> + Send;
}

/// Why something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Of an attempt that did not complete its job, or of a writer that was cut off.
    LeftBehind,
    /// It was kept long enough.
    Expired,
}

/// Something that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Its place in the store.
    pub path: String,
    /// In bytes.
    pub size: u64,
    pub reason: Reason,
}

/// Why a sweep did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum SweepError<E: std::error::Error + 'static> {
    #[error("the store: {}", .0.details())]
    Store(#[from] StoreError),
    #[error("the rows: {0}")]
    Rows(E),
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeftBehind => "left_behind",
            Self::Expired => "expired",
        }
    }
}

/// Removes what may go, and tells of each; only tells, if `dry_run`.
///
/// # Errors
/// The store or the rows do not answer; what was told of until then is gone.
pub async fn sweep<R: Rows>(
    artifacts: &Artifacts,
    rows: &R,
    rules: Rules,
    dry_run: bool,
    mut tell: impl FnMut(Gone),
) -> Result<(), SweepError<R::Error>> {
    let location = &*artifacts.location;
    let Some(store) = location.store()? else { return Ok(()) };
    let base = location.base().as_ref();
    let mut batches = store.list(Some(location.base())).try_chunks(BATCH);
    // Objects that come and go meanwhile are no reason to stop.
    while let Some(batch) = batches.next().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) if matches!(error.1, object_store::Error::NotFound { .. }) => error.0,
            Err(error) => return Err(StoreError::from(error.1).into()),
        };
        let objects: Vec<_> =
            batch.iter().filter_map(|meta| Some((Object::of(base, meta)?, meta))).collect();
        // The rows are looked at after the store: what is newer than they are is left alone.
        for (path, reason) in judge(rows, rules, &objects).await? {
            let meta = objects.iter().find(|(object, _)| object.path == path).map(|(_, meta)| meta);
            let Some(meta) = meta else { continue };
            if !dry_run {
                location.remove(&meta.location).await?;
            }
            tell(Gone { path: path.to_owned(), size: meta.size, reason });
        }
    }
    drop(batches);
    if let Some(seen) = rows.standings(Vec::new()).await.map_err(SweepError::Rows)? {
        for gone in unfinished(location, before(seen.at, LEFT_FOR), dry_run).await? {
            tell(gone);
        }
    }
    Ok(())
}

/// An object whose place says what it is.
struct Object<'o> {
    path: &'o str,
    kind: Kind<'o>,
    /// When it was written.
    at: SystemTime,
}

enum Kind<'o> {
    File { job: JobId, attempt: Attempt },
    Upload { name: &'o str },
}

impl<'o> Object<'o> {
    /// `None` of what none of us has written.
    fn of(base: &str, meta: &'o ObjectMeta) -> Option<Self> {
        let path = meta.location.as_ref().strip_prefix(base)?.trim_start_matches('/');
        let kind = match *path.split('/').collect::<Vec<_>>() {
            [upload::FOLDER, _tenant, _user, name] => Kind::Upload { name },
            [_tenant, _user, job, attempt, _, ..] => {
                Kind::File { job: job.parse().ok()?, attempt: Attempt(attempt.parse().ok()?) }
            }
            _ => return None,
        };
        Some(Self { path, kind, at: meta.last_modified.into() })
    }
}

async fn judge<'o, R: Rows>(
    rows: &R,
    rules: Rules,
    objects: &[(Object<'o>, &ObjectMeta)],
) -> Result<Vec<(&'o str, Reason)>, SweepError<R::Error>> {
    let jobs = objects.iter().filter_map(|(object, _)| match object.kind {
        Kind::File { job, .. } => Some(job),
        Kind::Upload { .. } => None,
    });
    let jobs: BTreeSet<JobId> = jobs.collect();
    let mut gone = Vec::new();
    let seen = rows.standings(jobs.into_iter().collect()).await.map_err(SweepError::Rows)?;
    let Some(Seen { at, value: standings }) = seen else { return Ok(gone) };
    let mut uploads = Vec::new();
    for (object, _) in objects {
        let reason = match object.kind {
            Kind::File { job, attempt } => {
                of_file(object.at, attempt, standings.get(&job), at, rules.artifact_days)
            }
            Kind::Upload { name, .. } if name.starts_with(INCOMING) => {
                (object.at < before(at, LEFT_FOR)).then_some(Reason::LeftBehind)
            }
            Kind::Upload { .. } => {
                // A day longer than jobs may refer to it anew: by then all of these are in the rows.
                let kept = days(rules.upload_days) + LEFT_FOR;
                if rules.upload_days > 0 && object.at < before(at, kept) {
                    uploads.push(object.path);
                }
                None
            }
        };
        gone.extend(reason.map(|reason| (object.path, reason)));
    }
    if !uploads.is_empty()
        && let Some(seen) = rows.referred().await.map_err(SweepError::Rows)?
    {
        uploads.retain(|path| !seen.value.contains(*path));
        gone.extend(uploads.into_iter().map(|path| (path, Reason::Expired)));
    }
    Ok(gone)
}

/// Why a file may go that was written at `at`, by rows of the log up to `now`.
fn of_file(
    at: SystemTime,
    attempt: Attempt,
    standing: Option<&Standing>,
    now: Timestamp,
    kept: u32,
) -> Option<Reason> {
    let is_old = at < before(now, LEFT_FOR);
    match standing {
        // Its row has expired, or it is of a log that is no more.
        None => (kept > 0 && is_old && at < before(now, days(kept))).then_some(Reason::Expired),
        Some(Standing { attempt: newest, end: Some(End { succeeded: true, at: ended }) })
            if attempt == *newest =>
        {
            let ended = instant(*ended);
            (kept > 0 && is_old && ended < before(now, days(kept))).then_some(Reason::Expired)
        }
        Some(Standing { end: Some(_), .. }) => is_old.then_some(Reason::LeftBehind),
        // The newest attempt may be at it, and one that is newer than the rows.
        Some(Standing { attempt: newest, end: None }) => {
            (is_old && attempt < *newest).then_some(Reason::LeftBehind)
        }
    }
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 86_400)
}

fn instant(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(at.as_micros()).unwrap_or(0))
}

fn before(at: Timestamp, span: Duration) -> SystemTime {
    instant(at).checked_sub(span).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Removes what writers to a folder have left that were cut off before then: no list of objects has it.
async fn unfinished(
    location: &Location,
    before: SystemTime,
    dry_run: bool,
) -> Result<Vec<Gone>, StoreError> {
    let Some((_, root)) = location.file(&location.base().clone().join("any"))? else {
        return Ok(Vec::new());
    };
    let looking = tokio::task::spawn_blocking(move || {
        let mut gone = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            // It may have gone meanwhile.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let (Ok(kind), path) = (entry.file_type(), entry.path()) else { continue };
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() && is_unfinished(&path) {
                    let Ok(metadata) = entry.metadata() else { continue };
                    let is_old = metadata.modified().is_ok_and(|modified| modified < before);
                    if is_old && (dry_run || std::fs::remove_file(&path).is_ok()) {
                        let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
                        gone.push(Gone {
                            path: name,
                            size: metadata.len(),
                            reason: Reason::LeftBehind,
                        });
                    }
                }
            }
        }
        gone
    });
    looking.await.map_err(|error| std::io::Error::other(error).into())
}

/// Whether it is what `object_store` calls a file that is being written: `name#1`.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.rsplit_once('#').is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests;
