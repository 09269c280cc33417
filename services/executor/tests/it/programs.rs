//! Running programs: what they get, how they end, and that nothing of them is left.

use std::{fs, os::unix::process::CommandExt, path::Path, process::Command, time::Duration};

use nox_contract::{AttemptEnd, HandBack, UserId};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    start_work::start_work,
    support::{Place, alive, error, outputs, unique_sleep, until},
};

/// Starts processes that leave the program's group, session and environment, each in another way.
fn runaways(seconds: &str) -> String {
    format!(
        "setsid sleep {seconds} & \
         (setsid sh -c 'setsid sleep {seconds} & setsid sleep {seconds} &' &) ; \
         env -i setsid sleep {seconds} & \
         sh -c 'trap \"\" TERM HUP INT; sleep {seconds}' & \
         sleep 0.2; "
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_finds_a_private_folder_a_clean_environment_and_no_input() {
    let mut place = Place::new().await;
    let module = place.script(
        "env | sort; pwd; ls -ld . | cut -c1-10; cat; ulimit -c; umask; tty; cat given.txt",
        "[[write]]\npath = 'given.txt'\ntemplate = 'for {inputs.who}'",
    );
    place.start.inputs = nox_contract::RawJson::parse(r#"{"who": "ada"}"#.to_owned()).unwrap();
    outputs(&place.run(&module).await);
    let printed = place.printed();
    let work = place.runner.data.join("attempts");
    let work = format!("{}/{}.1/work", work.display(), place.start.job_id);
    let mut lines = printed.lines();
    let names: Vec<_> = lines
        .by_ref()
        .take_while(|line| line.contains('='))
        .map(|line| line.split('=').next().unwrap())
        .collect();
    let expected =
        ["HOME", "LANG", "NOX_ATTEMPT", "NOX_JOB_ID", "NOX_WORK_DIR", "PATH", "PWD", "TMPDIR"];
    assert_eq!(names, expected, "{printed}");
    // `take_while` took the working directory's line.
    assert!(printed.contains(&format!("\n{work}\n")), "{printed}");
    assert_eq!(lines.collect::<Vec<_>>(), ["drwx------", "0", "0077", "not a tty", "for ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_program_ended_is_told_apart() {
    let mut place = Place::new().await;
    for (script, code, exit_status, crashed) in [
        ("echo oops >&2; exit 3", "exit_status", Some(3), false),
        ("kill -SEGV $$", "crashed", None, false),
        ("kill -KILL $$", "crashed", None, false),
        ("kill -XCPU $$", "cpu_time", None, false),
        ("truncate -s 5G big || kill -XFSZ $$", "file_size", None, false),
    ] {
        let module = place.script(script, "");
        let finished = place.run(&module).await;
        let (error, found) = error(&finished);
        assert_eq!(
            (&*error.code, error.exit_status, found),
            (code, exit_status, crashed),
            "{script}"
        );
    }
    let module = place.script("echo oops >&2; exit 3", "");
    let finished = place.run(&module).await;
    assert!(error(&finished).0.message.ends_with("stderr: oops"));
    let module = place.script("yes why | head -c 10000; echo reason; echo oops >&2; exit 3", "");
    let finished = place.run(&module).await;
    let message = &error(&finished).0.message;
    assert!(message.starts_with("exit status 3; the end of stdout: "), "{message}");
    assert!(message.ends_with("why\nreason; the end of stderr: oops"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_exit_codes_may_be_a_success() {
    let mut place = Place::new().await;
    let toml = "name = 'm'\nversion = '1'\nsandbox = 'process'\ninput_schema = {}\n\
                resources = { cpu = 1, mem_mb = 1, wall_time_s = 1 }\n\
                run = { program = 'sh', args = ['-c', 'exit 2'], success_exit_codes = [0, 2] }";
    let module = crate::support::manifest(&place.folder, toml);
    outputs(&place.run(&module).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_is_no_crash_and_was_never_started() {
    let place = Place::new().await;
    let module = place.script("true", "");
    let mut spawned = false;
    let run = place.runner.run(
        &place.start,
        &module,
        "/nonexistent/program".as_ref(),
        CancellationToken::new(),
        || spawned = true,
    );
    let finished = run.await;
    assert_eq!((&*error(&finished).0.code, error(&finished).1), ("spawn", false));
    assert!(!spawned);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_ends_with_its_wall_time() {
    let mut place = Place::new().await;
    let seconds = unique_sleep();
    let module = place.script(&format!("{}exec sleep {seconds}", runaways(&seconds)), "");
    place.start.resources.wall_time_s = 1;
    let finished = place.run(&module).await;
    assert_eq!(error(&finished).0.code, "wall_time");
    assert!((1_000..5_000).contains(&finished.usage.wall_ms), "{finished:?}");
    assert_eq!(alive(&seconds), [0i32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_attempt_leaves_nothing_alive_whatever_it_started() {
    let mut place = Place::new().await;
    let seconds = unique_sleep();
    let module = place.script(&format!("{}sleep {seconds}", runaways(&seconds)), "");
    let stop = CancellationToken::new();
    let stopper = tokio::spawn({
        let (stop, seconds) = (stop.clone(), seconds.to_string());
        async move {
            until("all of them run", || alive(&seconds).len() >= 6).await;
            stop.cancel();
        }
    });
    let finished = place.run_until(&module, stop, || ()).await;
    stopper.await.unwrap();
    assert_eq!(error(&finished).0.code, "killed");
    assert_eq!(alive(&seconds), [0i32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ends_by_itself_leaves_nothing_alive_either() {
    let mut place = Place::new().await;
    let seconds = unique_sleep();
    let module = place.script(&format!("{}echo done", runaways(&seconds)), "");
    let finished = place.run(&module).await;
    outputs(&finished);
    assert_eq!(alive(&seconds), [0i32; 0]);
    assert!(finished.usage.wall_ms < 5_000, "{finished:?}");
    assert_eq!(place.printed(), "done\n");
}

/// The control: with the kill that other runners use, the same program does leave processes behind.
#[tokio::test(flavor = "multi_thread")]
async fn killing_the_process_group_alone_would_leave_processes_alive() {
    let seconds = unique_sleep();
    let script = format!("{}sleep {seconds}", runaways(&seconds));
    let mut program = Command::new("sh").arg("-c").arg(script).process_group(0).spawn().unwrap();
    until("all of them run", || alive(&seconds).len() >= 6).await;
    let group = Pid::from_child(&program);
    kill_process_group(group, Signal::KILL).unwrap();
    program.wait().unwrap();
    let left = alive(&seconds);
    assert!(left.len() >= 4, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_are_never_the_same_for_long_are_ended() {
    let mut place = Place::new().await;
    // Each starts the next, in a session of its own, and ends: who is looked for is gone when found.
    let mark = unique_sleep();
    let chain = r#"setsid sh -c "$0" "$0" $1 & "#;
    let script = format!("for i in 1 2 3 4; do sh -c '{chain}' '{chain}' {mark} & done; sleep 60");
    let module = place.script(&script, "");
    // On a busy machine a look takes seconds.
    place.start.resources.wall_time_s = 60;
    let (stop, clock) = (CancellationToken::new(), place.runner.clock.clone());
    let mut seen = std::collections::BTreeSet::new();
    let stopper = async {
        let many = until("many have come and gone", || {
            seen.extend(alive(&mark));
            seen.len() > 8
        });
        many.await;
        stop.cancel();
        clock.monotonic()
    };
    let (finished, stopped_at) =
        tokio::join!(place.run_until(&module, stop.clone(), || ()), stopper);
    assert_eq!(error(&finished).0.code, "killed");
    assert_eq!(alive(&mark), [0i32; 0]);
    // A busy machine gives each of them, and who looks for them, little time.
    let took = clock.monotonic() - stopped_at;
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_to_end_is_asked_before_it_is_killed() {
    for (script, grace, printed) in [
        // It has the time to put its work away.
        ("trap 'sleep 0.3; echo away; exit 0' TERM; echo runs; sleep 60 & wait", 5, "runs\naway\n"),
        // It will not hear, or is given no time.
        ("trap '' TERM; echo runs; while :; do sleep 0.1; done", 1, "runs\n"),
        ("trap 'sleep 0.3; echo away' TERM; echo runs; sleep 60 & wait; wait", 0, "runs\n"),
    ] {
        let mut place = Place::new().await;
        let stop = CancellationToken::new();
        let module = place.script(script, &format!("stop_grace_s = {grace}"));
        let begun = stop.clone();
        let stopper = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            begun.cancel();
        };
        let (finished, ()) = tokio::join!(place.run_until(&module, stop.clone(), || ()), stopper);
        assert_eq!(error(&finished).0.code, "killed", "{script}");
        assert_eq!(place.printed(), printed, "{script}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_attempt_can_do_without_is_the_executors_lack_and_no_failure_of_the_job() {
    let mut place = Place::new().await;
    let module = place.script("exit 0", "");
    let handed_back = |finished: &nox_executor::attempt::Finished| match &finished.end {
        AttemptEnd::HandedBack(HandBack::CannotRun { reason }) => reason.clone(),
        other => panic!("{other:?}"),
    };
    place.runner.supervisor = "/nowhere/supervisor".into();
    assert!(handed_back(&place.run(&module).await).contains("no supervisor"));
    place.runner.supervisor = "/bin/false".into();
    assert!(handed_back(&place.run(&module).await).contains("does not work"));

    place.runner.supervisor = crate::support::EXECUTOR.into();
    let folder = place.runner.data.clone();
    place.runner.data = "/proc/nowhere".into();
    let stop = CancellationToken::new();
    let sh = Path::new("/bin/sh");
    let finished = place.runner.run(&place.start, &module, sh, stop, || ()).await;
    assert!(handed_back(&finished).contains("work directory"));
    place.runner.data = folder;
    outputs(&place.run(&module).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_kills_its_supervisor_ends_all_the_same() {
    let mut place = Place::trusting().await;
    let seconds = unique_sleep();
    let script = format!("{}kill -KILL $PPID; sleep {seconds}", runaways(&seconds));
    let module = place.script(&script, "");
    let finished = place.run(&module).await;
    assert_eq!((&*error(&finished).0.code, error(&finished).1), ("crashed", true));
    assert_eq!(alive(&seconds), [0i32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_stops_its_supervisor_ends_all_the_same() {
    let mut place = Place::trusting().await;
    let seconds = unique_sleep();
    let module = place.script(&format!("sleep 0.2; kill -STOP $PPID; setsid sleep {seconds}"), "");
    place.start.resources.wall_time_s = 1;
    let finished = place.run(&module).await;
    assert_eq!(error(&finished).0.code, "wall_time");
    assert_eq!(alive(&seconds), [0i32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_fit_no_argument_fail_before_anything_runs() {
    let mut place = Place::new().await;
    let toml = "name = 'm'\nversion = '1'\nsandbox = 'process'\ninput_schema = {}\n\
                resources = { cpu = 1, mem_mb = 1, wall_time_s = 1 }\n\
                run = { program = 'sh', args = ['{inputs.file}'] }";
    let module = crate::support::manifest(&place.folder, toml);
    for (inputs, message) in [
        (
            r#"{"file": "-c"}"#,
            "inputs.file must not begin with '-', for it would be taken for an option",
        ),
        ("{}", "inputs.file is missing"),
    ] {
        place.start.inputs = nox_contract::RawJson::parse(inputs.to_owned()).unwrap();
        let finished = place.run(&module).await;
        let (error, _) = error(&finished);
        assert_eq!((&*error.code, &*error.message), ("input_invalid", message));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_numbers_reach_programs_as_such_however_they_were_written() {
    let mut place = Place::new().await;
    let toml = "name = 'm'\nversion = '1'\nsandbox = 'process'\ninput_schema = {}\n\
                resources = { cpu = 1, mem_mb = 1, wall_time_s = 1 }\n\
                run = { program = 'sh', args = ['-c', 'echo $0 $1; cat in', '{inputs.a}', '{inputs.b - 1}'] }\n\
                [[write]]\npath = 'in'\ntemplate = '{inputs.c}'";
    let module = crate::support::manifest(&place.folder, toml);
    let inputs = r#"{"a": -1.0, "b": 1e2, "c": [2.0, 0.5]}"#;
    place.start.inputs = nox_contract::RawJson::parse(inputs.to_owned()).unwrap();
    outputs(&place.run(&module).await);
    assert_eq!(place.printed(), "-1 99\n[2,0.5]");
}

#[tokio::test]
async fn a_program_took_as_long_as_it_ran_however_late_that_is_heard() {
    let mut place = Place::new().await;
    let module = place.script("sleep 0.3", "");
    let stop = CancellationToken::new();
    // The executor gets round to nothing else while this takes its only thread.
    let busy = async {
        while !stop.is_cancelled() {
            std::thread::sleep(Duration::from_millis(500));
            tokio::task::yield_now().await;
        }
    };
    let run = async {
        let finished = place.run(&module).await;
        stop.cancel();
        finished
    };
    let (finished, ()) = tokio::join!(run, busy);
    let duration = outputs(&finished)["metrics"]["duration_s"].as_f64().unwrap();
    assert!(duration >= 0.3, "{duration}");
    assert!(finished.usage.wall_ms >= 300, "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_run_side_by_side() {
    let place = Place::new().await;
    let module = place.script("sleep 0.3; echo $NOX_JOB_ID > id", "[[keep]]\npath = 'id'");
    let began = place.runner.clock.monotonic();
    let runs = (0..8).map(|_| async {
        let mut start = start_work(nox_service::ids::job_id(), "{}");
        start.user_id = UserId::new("../eve/ü?#").unwrap();
        let stop = CancellationToken::new();
        let finished = place.runner.run(&start, &module, "/bin/sh".as_ref(), stop, || ()).await;
        let outputs = outputs(&finished);
        let uri = format!("sandbox://..%2Feve%2F%C3%BC%3F%23/{}/id", start.job_id);
        assert_eq!(outputs["files"], json!([uri]));
        let prefix = nox_contract::artifact::prefix(
            &start.tenant,
            &start.user_id,
            start.job_id,
            start.attempt,
        );
        let kept = place.folder.path().join("artifacts").join(prefix).join("id");
        assert_eq!(fs::read_to_string(kept).unwrap().trim(), start.job_id.to_string());
    });
    futures_util::future::join_all(runs).await;
    let took = place.runner.clock.monotonic() - began;
    assert!(took < Duration::from_secs(8), "{took:?}");
}
