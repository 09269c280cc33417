use nox_contract::{
    FrameNumber,
    audit::{self, Object, Outcome},
};

use super::{
    super::{Line, verify},
    *,
};

/// Few bytes, so that a test has several files.
const BYTES: u64 = 4_000;

/// So many frames of one to three acts each.
fn frames(count: u64) -> Vec<Vec<Act>> {
    let act = |n: u64, entry| Act {
        id: FactPlace { n: FrameNumber(n), entry, fact: 0 },
        n: FrameNumber(n),
        at: "2026-11-21T22:00:00Z".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        user_id: Some("ada".parse().unwrap()),
        role: Some("user".to_owned()),
        token_id: Some("t\",\"prev\":\"b3:".to_owned()),
        key_id: None,
        from: Some("192.0.2.7".to_owned()),
        request_id: Some(format!("r{n}")),
        verb: "job.cancel".to_owned(),
        object: Object { kind: "job".to_owned(), id: format!("{n}-{entry}") },
        reason: Some("a \"deadline\"\u{2028}".to_owned()),
        outcome: Outcome::Done,
        code: None,
    };
    (1..=count)
        .map(|n| (0..=u32::try_from(n % 3).unwrap()).map(|at| act(n, at)).collect())
        .collect()
}

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let files = files(folder).unwrap();
    files.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

fn written(folder: &Path, frames: &[Vec<Act>]) {
    let mut open = Folder::open(folder, BYTES).unwrap();
    for acts in frames {
        open.add(acts).unwrap();
    }
}

fn fault(folder: &Path) -> Option<(String, u64, String)> {
    let fault = verify::walk(folder, false).unwrap().find_map(Result::err)?;
    let name = fault.file.file_name().unwrap().to_str().unwrap().to_owned();
    Some((name, fault.line, fault.what))
}

#[test]
fn whoever_is_killed_anywhere_writes_the_same_files() {
    let all = frames(60);
    let whole = tempfile::tempdir().unwrap();
    written(whole.path(), &all);
    let expected = contents(whole.path());
    assert!(expected.len() > 3, "{} files", expected.len());
    assert!(expected.iter().all(|(_, text)| text.len() < 2 * BYTES as usize));
    assert_eq!(fault(whole.path()), None);

    let bytes: usize = expected.iter().map(|(_, text)| text.len()).sum();
    // A killed process leaves some first bytes of what it wrote.
    for cut in (0..bytes).step_by(97) {
        let folder = tempfile::tempdir().unwrap();
        let mut left = cut;
        for (name, text) in &expected {
            let kept = left.min(text.len());
            fs::write(folder.path().join(name), &text[..kept]).unwrap();
            left -= kept;
            if left == 0 {
                break;
            }
        }
        let mut open = Folder::open(folder.path(), BYTES).unwrap();
        let from = open.last().map_or(0, |last| last.n.0.saturating_sub(1));
        // Several frames at a time, or one: it is the same.
        let rest: Vec<Act> = all[from as usize..].concat();
        for acts in rest.chunks(1 + cut % 7) {
            open.add(acts).unwrap();
        }
        drop(open);
        assert_eq!(contents(folder.path()), expected, "cut at {cut}");
    }
}

#[test]
fn the_folder_is_one_process_s() {
    let folder = tempfile::tempdir().unwrap();
    let first = Folder::open(folder.path(), BYTES).unwrap();
    assert!(matches!(Folder::open(folder.path(), BYTES), Err(Error::Taken(_))));
    drop(first);
    Folder::open(folder.path(), BYTES).unwrap();
}

#[test]
fn nothing_is_added_behind_a_line_that_is_not_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), &frames(3));
    let path = files(folder.path()).unwrap().pop().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let at = text.rfind("job.cancel").unwrap();
    fs::write(&path, format!("{}job.submit{}", &text[..at], &text[at + 10..])).unwrap();
    assert!(matches!(Folder::open(folder.path(), BYTES), Err(Error::Broken { .. })));
}

#[test]
fn whatever_is_done_to_the_files_is_found_where_it_was_done() {
    let doctor = |change: &dyn Fn(&Path, &[PathBuf])| {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), &frames(60));
        let paths = files(folder.path()).unwrap();
        change(folder.path(), &paths);
        let names: Vec<_> = paths
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        (names, fault(folder.path()))
    };
    let lines = |path: &Path| -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    };
    let put = |path: &Path, lines: &[String]| {
        fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    };
    let found = |(names, fault): (Vec<String>, Option<(String, u64, String)>)| {
        let (file, line, what) = fault.expect("a fault");
        (names.iter().position(|name| *name == file).unwrap(), line, what)
    };

    // The negative control: nothing is done.
    assert_eq!(doctor(&|_, _| {}).1, None);
    // A line says something else.
    let (file, line, what) = found(doctor(&|_, paths| {
        let mut of = lines(&paths[1]);
        of[2] = of[2].replace("192.0.2.7", "192.0.2.8");
        put(&paths[1], &of);
    }));
    assert_eq!((file, line), (1, 3), "{what}");
    // Somebody who knows how hashes are made doctors a line and its hash: the next one does not follow.
    let (file, line, what) = found(doctor(&|_, paths| {
        let mut of = lines(&paths[1]);
        let Line { mut act, prev, .. } = line::read(&of[2]).unwrap();
        act.verb = "job.submit".to_owned();
        of[2] = line::write(&act, prev).unwrap().0.trim_end().to_owned();
        put(&paths[1], &of);
    }));
    assert_eq!((file, line), (1, 4), "{what}");
    // Two lines have changed places; one is gone; one stands there twice.
    type Change = dyn Fn(&mut Vec<String>);
    let changes: [(&Change, u64); 3] = [
        (&|of| of.swap(2, 3), 3),
        (&|of| drop(of.remove(2)), 3),
        (&|of| of.insert(2, of[1].clone()), 3),
    ];
    for (change, place) in changes {
        let (file, line, what) = found(doctor(&|_, paths| {
            let mut of = lines(&paths[1]);
            change(&mut of);
            put(&paths[1], &of);
        }));
        assert_eq!((file, line), (1, place), "{what}");
    }
    // A file is cut within a line, and at the end of one.
    let (file, line, what) = found(doctor(&|_, paths| {
        let text = fs::read(&paths[1]).unwrap();
        fs::write(&paths[1], &text[..text.len() - 5]).unwrap();
    }));
    assert_eq!(file, 1, "{line}: {what}");
    assert!(what.contains("written to its end"), "{what}");
    let (file, line, what) = found(doctor(&|_, paths| {
        let mut of = lines(&paths[1]);
        of.pop();
        put(&paths[1], &of);
    }));
    assert_eq!((file, line), (2, 1), "{what}");
    // A file is gone, between and at the beginning.
    for (gone, named) in [(1, 2), (0, 1)] {
        let (file, line, what) = found(doctor(&|_, paths| fs::remove_file(&paths[gone]).unwrap()));
        assert_eq!((file, line), (named, 1), "{what}");
    }
    // A file has another's name.
    let (_, fault) = doctor(&|folder, paths| {
        fs::rename(&paths[1], folder.join("audit-00000000000000000002.jsonl")).unwrap();
    });
    assert_eq!(fault.unwrap().1, 1);
}

#[test]
fn what_a_term_is_told_of_is_an_act() {
    let record = serde_json::from_str(
        r#"{"epoch":1,"leader":"l1","at":"2026-11-21T22:00:00Z","commands":"c","reports":"r"}"#,
    );
    let act = audit::term(FrameNumber(1), &record.unwrap());
    assert_eq!((act.verb.as_str(), act.object.id.as_str()), ("system.lead", "l1"));
}
