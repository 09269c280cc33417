//! Limits: each ends what goes beyond it, with a code of its own and a word on what to ask for. Where a
//! cgroup can be had the kernel counts; the same must hold without.

use std::path::Path;

use nox_executor::{
    attempt::Finished,
    sandbox::{
        Level,
        host::{Layer, Settings},
    },
};

use crate::support::{Place, alive, error, or_skipped, outputs, unique_sleep};

/// Every way to hold an attempt to its limits that this machine has: level by level, with a cgroup and
/// without.
async fn places() -> Vec<Place> {
    let mut places = Vec::new();
    for without in [vec![], vec![Layer::Cgroup]] {
        for level in [Level::Process, Level::Isolated] {
            let settings = Settings { sandbox_without: without.clone(), ..Settings::default() };
            let mut place = Place::with(settings).await;
            place.level = level.name();
            if !without.is_empty() {
                bounds_processes(&mut place).await;
            }
            let has = place.runner.host.has(level);
            if or_skipped(&format!("{level}: {has:?}"), has.clone().ok()).is_some() {
                places.push(place);
            }
        }
    }
    places
}

/// Before a bomb is tried where no group holds it: one that is none, for it ends by itself, must be
/// bounded. Root's processes have no bound by their user, and would take the machine down.
pub async fn bounds_processes(place: &mut Place) {
    if place.runner.host.has(place.level()).is_err() {
        return;
    }
    let script = "i=0; while [ $i -lt 300 ]; do sleep 2 & i=$((i+1)); done; wait";
    let module = place.script(script, "limits = { processes_max = 40 }");
    let finished = place.run(&module).await;
    assert_eq!(error(&finished).0.code, "processes", "{finished:?}");
    place.printed();
}

/// Runs a script everywhere, which must fail everywhere with this code and a message that says this.
async fn exceeds(script: &str, more: &str, code: &str, says: &str) -> Vec<Finished> {
    let mut all = Vec::new();
    for mut place in places().await {
        let module = place.script(script, more);
        let finished = place.run(&module).await;
        let (error, crashed) = error(&finished);
        let at =
            format!("{script}\n{} {:?}: {finished:?}", place.level, place.runner.host.labels());
        assert_eq!((&*error.code, crashed), (code, false), "{at}");
        assert!(error.message.contains(says), "{at}");
        all.push(finished);
    }
    all
}

fn python() -> Option<&'static str> {
    let python = "/usr/bin/python3";
    or_skipped("python3", Some(python).filter(|python| Path::new(python).exists()))
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_one_process_is_limited() {
    let Some(python) = python() else { return };
    let script =
        format!("exec {python} -c 'x = bytearray(600 << 20); import time; time.sleep(20)'");
    for mut place in places().await {
        let module = place.script(&script, "");
        let finished = place.run(&module).await;
        let (error, _) = error(&finished);
        // What has no cgroup is refused the memory, and says so itself.
        let counted = place.runner.host.labels().contains(&"sandbox:cgroup".to_owned());
        let code = if counted { "oom" } else { "exit_status" };
        assert_eq!(error.code, code, "{finished:?}");
        assert!(error.message.contains(if counted { "`mem_mb`" } else { "MemoryError" }));
        assert!(finished.usage.wall_ms < 5_000, "{finished:?}");
        place.start.resources.mem_mb = 1_000;
        let module = place.script(&script.replace("20)'", "0)'"), "");
        outputs(&place.run(&module).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_all_processes_together_is_limited() {
    // None of them exceeds its own limit, and each `tail` must hold all of it to the end.
    let one = "(head -c 90M /dev/zero; sleep 20) | tail > /dev/null &";
    let script = format!("{one} {one} {one} {one} {one} wait");
    for finished in exceeds(&script, "", "oom", "64 MiB of memory").await {
        assert!(finished.usage.wall_ms < 10_000, "{finished:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_memory_is_limited() {
    let Some(python) = python() else { return };
    let code = "import mmap,time\nm = mmap.mmap(-1, 500 << 20)\n\
                for i in range(0, 500 << 20, 4096): m[i] = 1\ntime.sleep(20)";
    exceeds(&format!("exec {python} -c '{code}'"), "", "oom", "shared memory").await;
}

/// What belongs to no process: files in memory, with a name and without.
#[tokio::test(flavor = "multi_thread")]
async fn files_in_memory_are_limited_and_gone_with_the_attempt() {
    let Some(python) = python() else { return };
    let memfd = "import os,time\n\
                 try: f = os.memfd_create(\"x\")\n\
                 except OSError: os._exit(7)\n\
                 for i in range(700): os.write(f, bytes(1 << 20))\n\
                 time.sleep(20)";
    let mark = unique_sleep();
    let files = format!("head -c 500M /dev/zero > /dev/shm/{mark}; exit 8");
    for mut place in places().await {
        let counted = place.runner.host.labels().contains(&"sandbox:cgroup".to_owned());
        let module = place.script(&format!("exec {python} -c '{memfd}'"), "");
        let finished = place.run(&module).await;
        let found = error(&finished).0;
        // Where nobody would count it, it cannot be had.
        let expected = if counted { ("oom", None) } else { ("exit_status", Some(7)) };
        assert_eq!((&*found.code, found.exit_status), expected, "{finished:?}");

        let module = place.script(&files, "[limits]\nshm_mb = 400");
        let finished = place.run(&module).await;
        let found = error(&finished).0;
        let expected = match (place.level, counted) {
            ("isolated", true) => ("oom", None),
            // There is no more than that, or none at all.
            _ => ("exit_status", Some(8)),
        };
        assert_eq!((&*found.code, found.exit_status), expected, "{finished:?}");
        assert!(!Path::new("/dev/shm").join(&*mark).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_processes_is_limited() {
    let seconds = unique_sleep();
    let script = format!(
        "i=0; while [ $i -lt 1000 ]; do sleep {seconds} & i=$((i+1)); done; sleep {seconds}"
    );
    exceeds(&script, "limits = { processes_max = 40 }", "processes", "more than 40 processes")
        .await;
    let bomb = format!("f() {{ f {seconds} | f {seconds} & }}; f; sleep {seconds}");
    for mut place in places().await {
        place.start.resources.wall_time_s = 3;
        // So many shells take more than 64 MiB.
        place.start.resources.mem_mb = 256;
        let module = place.script(&bomb, "limits = { processes_max = 40 }");
        let finished = place.run(&module).await;
        // Where only the kernel refuses them, those that are refused are soon gone.
        let code = &*error(&finished).0.code;
        let counted = place.runner.host.labels().contains(&"sandbox:cgroup".to_owned());
        assert!(code == "processes" || (!counted && code == "wall_time"), "{finished:?}");
    }
    assert_eq!(alive(&seconds), [0i32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_files_of_a_folder_together_are_limited() {
    // No file exceeds what one may have.
    let script = "for i in 1 2 3 4; do head -c 30M /dev/zero > $i; done; sleep 20";
    for finished in exceeds(script, "limits = { disk_mb = 64 }", "disk", "`limits.disk_mb`").await {
        assert!(finished.usage.wall_ms < 10_000, "{finished:?}");
    }
    let deep = "mkdir -p a/b; chmod 0 a/b; head -c 30M /dev/zero > a/x; chmod 700 a/b; \
                for i in 1 2 3; do head -c 30M /dev/zero > a/b/$i; done; chmod 0 a/b a; sleep 20";
    exceeds(deep, "limits = { disk_mb = 64 }", "disk", "64 MiB together").await;
    let held =
        "exec 5>x 6>y; rm x y; head -c 40M /dev/zero >&5; head -c 40M /dev/zero >&6; sleep 20";
    exceeds(held, "limits = { disk_mb = 64 }", "disk", "64 MiB together").await;
    let many = "i=0; while [ $i -lt 300 ]; do : > $i; i=$((i+1)); done; sleep 20";
    exceeds(many, "limits = { files_max = 200 }", "files", "`limits.files_max`").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_is_limited() {
    let script = "head -c 30M /dev/zero > x; exit 3";
    exceeds(script, "limits = { file_mb = 10 }", "file_size", "`limits.file_mb`").await;
    let Some(python) = python() else { return };
    // It takes the signal for an error, and says so.
    let script = format!("exec {python} -c 'open(\"x\", \"wb\").write(bytes(30 << 20))'");
    exceeds(&script, "limits = { file_mb = 10 }", "file_size", "10 MiB").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_files_are_limited() {
    let Some(python) = python() else { return };
    let script = format!("exec {python} -c 'x = [open(\"/dev/null\") for i in range(100)]'");
    exceeds(&script, "limits = { open_files_max = 64 }", "open_files", "`limits.open_files_max`")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_is_limited() {
    exceeds("yes", "limits = { output_mb = 20 }", "output_limit", "`limits.output_mb`").await;
    // One that has ended by the time that is noticed, and one line of it.
    let script = "head -c 30M /dev/zero";
    exceeds(script, "limits = { output_mb = 20 }", "output_limit", "more than 20 MiB").await;
    exceeds("yes >&2 & yes", "limits = { output_mb = 20 }", "output_limit", "20 MiB").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wall_time_is_limited_and_says_what_to_ask_for() {
    for mut place in places().await {
        place.start.resources.wall_time_s = 1;
        let module = place.script("sleep 20", "");
        let finished = place.run(&module).await;
        let (error, _) = error(&finished);
        assert_eq!(error.code, "wall_time");
        assert!(error.message.contains("`wall_time_s`"), "{error:?}");
        assert!((1_000..4_000).contains(&finished.usage.wall_ms), "{finished:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_as_large_as_the_machine_gives_and_a_small_one_is_named() {
    let deep = "set -e; ulimit -s";
    for mut place in places().await {
        let module = place.script(deep, "");
        outputs(&place.run(&module).await);
        let hard = rustix::process::getrlimit(rustix::process::Resource::Stack).maximum;
        let hard = hard.map_or("unlimited".to_owned(), |bytes| (bytes >> 10).to_string());
        assert_eq!(place.printed().trim(), hard);
        let module = place.script("kill -SEGV $$", "limits = { stack_mb = 7 }");
        let finished = place.run(&module).await;
        let message = &error(&finished).0.message;
        assert!(message.contains("signal 11 (invalid memory access)"), "{message}");
        assert!(message.contains("stack of 7 MiB") && message.contains("`limits.stack_mb`"));
    }
}

/// The control: without limits the same programs take what they like.
#[tokio::test(flavor = "multi_thread")]
async fn without_their_limits_the_same_programs_end_well() {
    for mut place in places().await {
        place.start.resources.mem_mb = 1_500;
        let module = place.script(
            "for i in 1 2 3 4; do head -c 30M /dev/zero > $i; done; \
             i=0; while [ $i -lt 300 ]; do : > f$i; i=$((i+1)); done; \
             i=0; while [ $i -lt 60 ]; do sleep 1 & i=$((i+1)); done; wait; head -c 30M /dev/zero",
            "",
        );
        outputs(&place.run(&module).await);
    }
}
