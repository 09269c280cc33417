use std::{convert::Infallible, fs, path::Path};

use super::*;

const JOB: &str = "0193a000-0000-7000-8000-000000000001";
const DAY: i64 = 86_400;

/// Rows of the log up to day 1000.
#[derive(Default)]
struct Known {
    standings: BTreeMap<JobId, Standing>,
    referred: BTreeSet<String>,
}

fn day(day: i64) -> Timestamp {
    Timestamp::from_micros(day * DAY * 1_000_000)
}

impl Rows for Known {
    type Error = Infallible;

    async fn standings(
        &self,
        ids: Vec<JobId>,
    ) -> Result<Option<Seen<BTreeMap<JobId, Standing>>>, Infallible> {
        let known = ids.iter().filter_map(|id| Some((*id, *self.standings.get(id)?)));
        Ok(Some(Seen { at: day(1_000), value: known.collect() }))
    }

    async fn referred(&self) -> Result<Option<Seen<BTreeSet<String>>>, Infallible> {
        Ok(Some(Seen { at: day(1_000), value: self.referred.clone() }))
    }
}

/// Writes a file of that day.
fn file(root: &Path, name: &str, written: i64) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "12345").unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(instant(day(written)))
        .unwrap();
}

fn job(number: u32) -> JobId {
    format!("{}{number}", &JOB[..JOB.len() - 1]).parse().unwrap()
}

fn ended(attempt: u32, succeeded: bool, at: i64) -> Standing {
    Standing { attempt: Attempt(attempt), end: Some(End { succeeded, at: day(at) }) }
}

async fn swept(root: &Path, rows: &Known, rules: Rules, dry_run: bool) -> Vec<(String, Reason)> {
    let artifacts = Artifacts::open(root.to_str().unwrap(), false).unwrap();
    let mut gone = Vec::new();
    sweep(&artifacts, rows, rules, dry_run, |one| gone.push((one.path, one.reason))).await.unwrap();
    gone.sort();
    gone
}

#[tokio::test]
async fn what_nobody_may_see_any_more_goes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut rows = Known::default();
    let mut expected = Vec::new();
    let left = Reason::LeftBehind;
    for (number, standing, attempt, written, gone) in [
        // A live job: its newest attempt, the one before, and one that the rows do not know yet.
        (1, Some(Standing { attempt: Attempt(2), end: None }), 2, 1, None),
        (1, None, 1, 998, Some(left)),
        (1, None, 3, 998, None),
        // One that has succeeded lately, and what an attempt left that was given up on before and after.
        (2, Some(ended(2, true, 950)), 2, 950, None),
        (2, None, 1, 949, Some(left)),
        (2, None, 3, 999, None),
        // Long ago.
        (3, Some(ended(1, true, 900)), 1, 900, Some(Reason::Expired)),
        // Failed and canceled ones have nothing.
        (4, Some(ended(1, false, 998)), 1, 998, Some(left)),
        (4, None, 2, 1_000, None),
        // Nobody knows of it: it has expired, or is newer than the rows.
        (5, None, 1, 900, Some(Reason::Expired)),
        (6, None, 1, 1_005, None),
        (7, None, 1, 990, None),
    ] {
        rows.standings.extend(standing.map(|standing| (job(number), standing)));
        let name = format!("acme/ada/{}/{attempt}/sub/a.txt", job(number));
        file(root, &name, written);
        expected.extend(gone.map(|reason| (name, reason)));
    }
    let [old, new, used] = ["a", "b", "c"].map(|digit| digit.repeat(64));
    for (name, written, gone) in [
        (&*old, 980, true),
        (&*new, 995, false),
        (&*used, 1, false),
        ("incoming-1", 998, true),
        ("incoming-2", 1_000, false),
    ] {
        let path = format!("=uploads/acme/ada/{name}");
        file(root, &path, written);
        let reason = if name.starts_with("in") { left } else { Reason::Expired };
        expected.extend(gone.then_some((path, reason)));
    }
    rows.referred.insert(format!("=uploads/acme/ada/{used}"));
    // What none of us wrote stays.
    file(root, "README", 1);
    file(root, "acme/ada/notes/1/a.txt", 1);
    // Of writers that were cut off.
    file(root, &format!("acme/ada/{}/2/a.txt#1", job(1)), 998);
    file(root, &format!("acme/ada/{}/2/b.txt#1", job(1)), 1_000);
    expected.push((format!("acme/ada/{}/2/a.txt#1", job(1)), left));
    expected.sort();

    let rules = Rules { artifact_days: 90, upload_days: 7 };
    assert_eq!(swept(root, &rows, rules, true).await, expected, "nothing is removed, all is told");
    assert_eq!(swept(root, &rows, rules, false).await, expected);
    assert_eq!(swept(root, &rows, rules, false).await, []);
    for (name, _) in &expected {
        assert!(!root.join(name).exists(), "{name}");
    }
    for kept in [
        "README",
        &format!("=uploads/acme/ada/{used}"),
        &format!("acme/ada/{}/2/sub/a.txt", job(1)),
    ] {
        assert!(root.join(kept).exists(), "{kept}");
    }
}

#[tokio::test]
async fn where_nothing_expires_only_what_was_left_behind_goes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut rows = Known::default();
    rows.standings.insert(job(1), ended(2, true, 1));
    file(root, &format!("acme/ada/{}/2/a", job(1)), 1);
    file(root, &format!("acme/ada/{}/1/a", job(1)), 1);
    file(root, &format!("acme/ada/{}/1/a", job(2)), 1);
    file(root, &format!("=uploads/acme/ada/{}", "a".repeat(64)), 1);
    let gone = swept(root, &rows, Rules { artifact_days: 0, upload_days: 0 }, false).await;
    assert_eq!(gone, [(format!("acme/ada/{}/1/a", job(1)), Reason::LeftBehind)]);
}
