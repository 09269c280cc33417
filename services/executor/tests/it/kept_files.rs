//! The files that attempts leave: kept under a name that says which they are, and nothing from outside.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use nox_executor::{artifacts, manifest::Keep};
use serde_json::json;

use crate::support::{Place, error, outputs};

#[tokio::test(flavor = "multi_thread")]
async fn kept_files_are_copied_and_described() {
    let mut place = Place::new().await;
    let module = place.script(
        "printf hello > result.txt; mkdir sub; printf x > sub/b.log; : > sub/a.log; touch no.txt",
        "[[keep]]\npath = 'result.txt'\n[[keep]]\npath = 'sub/*.log'\n\
         [[keep]]\npath = 'absent'\nrequired = false",
    );
    let finished = place.run(&module).await;
    let job = place.start.job_id;
    let outputs = outputs(&finished);
    let uri = |name: &str| format!("sandbox://ada/{job}/{name}");
    assert_eq!(outputs["files"], json!([uri("result.txt"), uri("sub/a.log"), uri("sub/b.log")]));
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(
        outputs["artifacts"][0],
        json!({"name": "result.txt", "mime": "text/plain", "size": 5, "sha256": sha256})
    );
    assert_eq!(outputs["artifacts"][1]["size"], 0);
    assert!(outputs["metrics"]["duration_s"].as_f64().unwrap() > 0.0);
    assert_eq!(outputs["scalars"], json!({}));
    assert_eq!(outputs.get("flags"), None);
    assert_eq!(place.kept("result.txt").unwrap(), "hello");
    assert_eq!(place.kept("sub/a.log").unwrap(), "");
    assert_eq!(place.kept("no.txt"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_from_outside_is_kept() {
    let mut place = Place::new().await;
    for (script, keep, code) in [
        ("ln -s /etc/passwd out", "out", "output_invalid"),
        ("ln -s sub/.. dir; mkdir sub; ln -s /etc sub/etc", "sub/etc/passwd", "output_invalid"),
        ("ln -s /proc/self/root out", "out/etc/passwd", "output_invalid"),
        ("cp /etc/passwd a; ln a out", "out", "output_invalid"),
        ("mkfifo out", "out", "output_invalid"),
        ("mkdir out", "out", "output_invalid"),
        ("ln -s /dev/zero out", "out", "output_invalid"),
        ("truncate -s 2M out", "out", "output_invalid"),
        ("true", "out", "output_missing"),
        // What a pattern matches by chance is left out, so nothing is there to keep.
        ("ln -s /etc/passwd a.txt; mkfifo b.txt; mkdir c.txt", "*.txt", "output_missing"),
        ("ln -s /etc sub", "sub/pass*", "output_missing"),
        ("ln -s .. sub", "sub/*/*", "output_missing"),
    ] {
        let module =
            place.script(script, &format!("[[keep]]\npath = '{keep}'\nbytes_max = 1000000"));
        let finished = place.run(&module).await;
        assert_eq!(error(&finished).0.code, code, "{script}: {finished:?}");
    }
    assert!(!place.folder.path().join("artifacts/acme").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_any_name_are_kept_once_under_a_name_that_says_which() {
    let mut place = Place::new().await;
    let (long, longer) = ("x".repeat(255), "y".repeat(255));
    let names: Vec<Vec<u8>> = vec![
        b"a#1".to_vec(),
        b"a b".to_vec(),
        b"100%".to_vec(),
        b"%41".to_vec(),
        b"a\nb".to_vec(),
        b"\x1b[31m".to_vec(),
        b"\x7f".to_vec(),
        b"\xff\xfe".to_vec(),
        b"\xc3".to_vec(),
        b"\xed\xa0\x80".to_vec(),
        "gr\u{fc}n".as_bytes().to_vec(),
        "gru\u{308}n".as_bytes().to_vec(),
        b"A".to_vec(),
        b"a".to_vec(),
        b"...".to_vec(),
        b"..a".to_vec(),
        b"-rf".to_vec(),
        b"~".to_vec(),
        b"a.".to_vec(),
        b"a\\b".to_vec(),
        b"=0".to_vec(),
        b"\"'$(x)`".to_vec(),
        long.into_bytes(),
        [&longer.as_bytes()[..254], b"\xff"].concat(),
        b"sub/a#1".to_vec(),
    ];
    // Written by the job itself; a shell's own quoting would be one more thing to get right.
    let octal = |name: &Vec<u8>| name.iter().map(|b| format!("\\{b:03o}")).collect::<String>();
    let script: String = names
        .iter()
        .map(|name| {
            let text = octal(name);
            format!("n=$(printf '{text}.'); n=${{n%.}}; printf '%s' '{text}' > \"./$n\"\n")
        })
        .collect();
    let script = format!("mkdir sub\n{script}");
    let module = place
        .script(&script, "[[keep]]\npath = '*'\n[[keep]]\npath = '*/*'\n[[keep]]\npath = '?*'");
    let outputs = outputs(&place.run(&module).await);
    let kept: Vec<&str> = outputs["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|artifact| artifact["name"].as_str().unwrap())
        .collect();
    assert_eq!(kept.len(), names.len(), "{kept:?}");
    for name in &names {
        let shown = nox_contract::artifact::name(name);
        assert_eq!(kept.iter().filter(|other| **other == shown).count(), 1, "{shown}");
        assert_eq!(nox_contract::artifact::bytes(&shown).as_ref(), Some(name));
        let content = place.kept(&nox_contract::artifact::key(&shown)).unwrap();
        assert_eq!(content, octal(name), "{shown}");
    }
    assert_eq!(outputs.get("flags"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pattern_stands_for_and_is_not_kept_is_flagged() {
    let mut place = Place::new().await;
    for (script, keep, flagged) in [
        (": > a; ln -s a b", "*", true),
        (": > a; ln -s /etc/passwd b", "*", true),
        (": > a; : > b; ln b c", "*", true),
        (": > a; mkfifo b", "*", true),
        (": > a; d=$(printf '%0250d' 0); mkdir $d $d/$d; : > $d/$d/$d", "*/*/*", true),
        (": > a; mkdir b", "*", false),
        (": > a; ln -s a .b", "a*", false),
    ] {
        let module = place.script(script, &format!("[[keep]]\npath = '{keep}'\nrequired = false"));
        let outputs = outputs(&place.run(&module).await);
        let flags = if flagged { json!(["files_skipped"]) } else { json!(null) };
        assert_eq!(outputs["flags"], flags, "{script}");
        let kept = outputs["artifacts"].as_array().unwrap();
        assert!(kept.iter().all(|artifact| artifact["name"] == "a"), "{script}: {kept:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_machine_is_kept_however_a_job_points_at_it() {
    let mut place = Place::new().await;
    let outside = place.folder.path().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("deep/canary"), CANARY).unwrap();
    let to = outside.to_str().unwrap();
    let mut tried = 0;
    let tricks = [
        "ln -s {to}/deep/canary out",
        "ln -s {to}/deep dir; ln -s dir/canary out",
        "ln -s {to} a; ln -s a b; ln -s b/deep/canary out",
        "ln {to}/deep/canary out || ln -s {to}/deep/canary out",
        "ln -s /proc/self/root{to}/deep/canary out",
        "ln -s /proc/self/cwd/../../../../outside/deep/canary out",
        "ln -s /proc/$$/root{to}/deep/canary out",
        "ln -s /dev/fd/0 out",
        "ln -s /dev/stdin out",
        "ln -s /dev/zero out",
        "mkfifo out",
        "mknod out c 1 5 || mkfifo out",
        "mknod out b 7 0 || mkfifo out",
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"out\")' || mkfifo out",
        "truncate -s 1T out || truncate -s 3G out",
        "ln -s out out",
        "ln -s /nonexistent out",
        "mkdir out",
        "ln -s . out",
    ];
    let keeps = ["out", "o*", "???", "*"];
    let deep = [
        ("ln -s {to}/deep sub", "sub/canary"),
        ("ln -s {to} sub", "sub/deep/canary"),
        ("ln -s {to} sub", "*/*/*"),
        ("ln -s {to}/deep sub", "*/can*"),
        ("mkdir sub; ln -s {to}/deep sub/x", "sub/*/canary"),
        ("mkdir sub; ln -s ../../../../outside sub/x", "sub/x/deep/canary"),
        ("ln -s / sub", "sub/etc/passwd"),
        ("ln -s /etc sub", "s*/pass*"),
        ("ln -s /proc/self/root sub", "sub/etc/passwd"),
        ("ln -s .. sub", "sub/*/*"),
        ("ln -s ../.. sub", "sub/*/*/*"),
    ];
    let all = tricks.iter().flat_map(|trick| keeps.map(|keep| (*trick, keep))).chain(deep);
    for (script, keep) in all {
        let script = script.replace("{to}", to);
        let rule = format!("[[keep]]\npath = '{keep}'\nrequired = false\nbytes_max = 1000000");
        let module = place.script(&format!("{{ {script}; }} 2>/dev/null; true"), &rule);
        let finished = place.run(&module).await;
        let text = format!("{finished:?}");
        assert!(!text.contains(to), "{script} tells of the machine: {text}");
        if let nox_contract::AttemptEnd::Succeeded { .. } = &finished.end {
            assert_eq!(outputs(&finished)["artifacts"], json!([]), "{script} {keep}");
        } else {
            let code = &error(&finished).0.code;
            assert!(
                ["output_invalid", "output_missing"].contains(&&**code),
                "{script}: {finished:?}"
            );
        }
        tried += 1;
    }
    assert!(tried >= 80, "{tried}");
    assert!(!place.folder.path().join("artifacts/acme").exists());
    assert_eq!(fs::read_to_string(outside.join("deep/canary")).unwrap(), CANARY);
    // The control: the same name, as a file of the job's own, is kept.
    let module = place.script("printf x > out", "[[keep]]\npath = 'o*'");
    assert_eq!(outputs(&place.run(&module).await)["artifacts"][0]["name"], "out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (work, outside) = (folder.path().join("work"), folder.path().join("outside"));
    for (place, text) in [(work.join("sub"), "own"), (outside.clone(), CANARY)] {
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("out"), text).unwrap();
    }
    std::os::unix::fs::symlink(&outside, work.join("link")).unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (work, ended) = (work.clone(), ended.clone());
        move || {
            let swap = |a: &str, b: &str| {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let cwd = rustix::fs::CWD;
                rustix::fs::renameat_with(cwd, work.join(a), cwd, work.join(b), flags).unwrap();
            };
            while !ended.load(Ordering::Relaxed) {
                swap("sub", "link");
            }
        }
    });
    let store = folder.path().join("artifacts");
    let artifacts = nox_store::Artifacts::create(store.to_str().unwrap(), false).unwrap();
    let start = Place::new().await.start;
    let keep: Keep = toml::from_str("path = 's*/o*'\nrequired = false").unwrap();
    let descriptor = fs::File::open(&work).unwrap().into();
    let (mut kept, mut tricked) = (0, 0);
    let clock = nox_service::Clock::system();
    let began = clock.monotonic();
    while clock.monotonic() - began < std::time::Duration::from_secs(3) {
        let found = artifacts::find(std::slice::from_ref(&keep), &descriptor).unwrap();
        for file in found.files {
            let artifact = artifacts::keep(&artifacts, &start, file).await.unwrap();
            assert_eq!(artifact.size, 3, "a file from outside was kept");
            kept += 1;
        }
        // The control: whoever goes by the path meets the canary.
        let named = fs::read_to_string(work.join("sub/out"));
        tricked += usize::from(named.is_ok_and(|text| text == CANARY));
    }
    ended.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert!(kept > 0 && tricked > 0, "{kept} times the folder was there, {tricked} times the link");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_fails_the_job_by_its_own_code_and_keeps_nothing_of_it() {
    let mut place = Place::new().await;
    let store = place.folder.path().join("artifacts");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1M", "tmpfs"])
        .arg(&store)
        .output();
    if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
        let is_root = rustix::process::geteuid().is_root();
        let must = is_root && std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!must, "CI must be able to mount a disk: {mounted:?}");
        println!("skipped: no disk can be mounted here");
        return;
    }
    let _unmount = Unmount(store.clone());
    let rule = "[[keep]]\npath = 'a'\n[[keep]]\npath = 'b'";
    let module =
        place.script("head -c 400000 /dev/zero | tee a > b; head -c 900000 /dev/zero >> b", rule);
    let finished = place.run(&module).await;
    let message = &error(&finished).0.message;
    assert_eq!(error(&finished).0.code, "artifact_store", "{finished:?}");
    assert!(message.contains("cannot keep b: No space left on device"), "{message}");
    assert!(!message.contains(store.to_str().unwrap()), "{message}");
    assert!(matches!(finished.end, nox_contract::AttemptEnd::Failed { retryable: true, .. }));
    let left: Vec<_> = files(&store);
    assert_eq!(left, Vec::<std::path::PathBuf>::new(), "left behind");
    // With room, all of it is there.
    let module = place.script("head -c 400000 /dev/zero | tee a > b", rule);
    assert_eq!(outputs(&place.run(&module).await)["artifacts"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_that_a_pattern_means_are_counted() {
    let mut place = Place::new().await;
    let script =
        "mkdir tmp; i=0; while [ $i -lt 10100 ]; do : > f$i; i=$((i+1)); done; echo > out1";
    let module = place.script(script, "[[keep]]\npath = 'out*'");
    let outputs = outputs(&place.run(&module).await);
    assert_eq!(outputs["artifacts"][0]["name"], "out1");
    let module = place.script(script, "[[keep]]\npath = 'f*'\nrequired = false");
    let finished = place.run(&module).await;
    assert_eq!(error(&finished).0.code, "output_invalid");
}

const CANARY: &str = "the-canary-sings";

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// All files beneath a folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}
