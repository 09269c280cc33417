//! What attempts print: both ends of a flood, no secrets, and how far they say that they are.

use nox_contract::Progress;
use nox_contract::artifact;
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::{Place, error, outputs};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_prints_more_than_is_kept_says_so_and_has_both_ends() {
    let mut place = Place::new().await;
    let script = "echo first; head -c 30000000 /dev/zero | tr '\\0' x; echo last";
    let module = place.script(script, "");
    let finished = place.run(&module).await;
    let outputs = outputs(&finished);
    let kept = 16 << 20;
    let printed = "first\n".len() + 30_000_000 + "last\n".len();
    assert_eq!(outputs["flags"], json!(["log_incomplete"]));
    assert_eq!(outputs["metrics"]["log_bytes_lost"], json!(printed - kept));
    let log = place.printed();
    assert!(log.starts_with("first\n") && log.ends_with("xlast\n"), "{} bytes", log.len());
    assert!(log.contains("[nox: 12582912 bytes were kept"));
    // One that fails says it as well; one that prints what fits does not.
    let module = place.script(&format!("{script}; exit 3"), "");
    let failed = place.run(&module).await;
    assert!(error(&failed).0.message.ends_with("bytes of its log are lost"), "{failed:?}");
    let module = place.script("head -c 16000000 /dev/zero", "");
    assert_eq!(crate::support::outputs(&place.run(&module).await).get("flags"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_program_and_nobody_who_reads_what_it_says() {
    // Whatever runs the tests sets it.
    let secret = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let mut place = Place::new().await;
    let manifest = |more: &str, script: &str| {
        let with = format!(
            "secret_env = ['CARGO_MANIFEST_DIR'], program = 'sh', args = ['-c', '''{script}''']"
        );
        format!(
            "name = 'm'\nversion = '1'\nsandbox = 'process'\ninput_schema = {{}}\n\
             resources = {{ cpu = 1, mem_mb = 64, wall_time_s = 60 }}\nrun = {{ {with} }}\n{more}"
        )
    };
    let script = "printf %s \"$CARGO_MANIFEST_DIR\" > told; printf \"a$CARGO_MANIFEST_DIR.\"; \
                  half=$(printf %.5s \"$CARGO_MANIFEST_DIR\"); printf %s \"$half\"; sleep 0.5; \
                  printf %s \"$(printf %s \"$CARGO_MANIFEST_DIR\" | cut -c6-)\" ";
    let more = "[[keep]]\npath = 'told'\n[[result]]\nname = 'x'\ntype = 'string'\nstream = 'stdout'\npattern = 'a(?<value>.*)\\.'";
    let module = crate::support::manifest(&place.folder, &manifest(more, script));
    let finished = place.run(&module).await;
    assert_eq!(outputs(&finished)["scalars"]["x"], "***");
    assert_eq!(place.printed(), "a***.***");
    // It is the program's own to keep.
    assert_eq!(place.kept(&artifact::key("told")).unwrap(), secret);
    let failing = manifest("", "echo \"no $CARGO_MANIFEST_DIR\" >&2; exit 1");
    let module = crate::support::manifest(&place.folder, &failing);
    let failed = place.run(&module).await;
    let message = &error(&failed).0.message;
    assert!(message.contains("no ***") && !message.contains(&secret), "{message}");
    // The control: a variable that is no secret is not given, and what is not secret is seen.
    let module = place.script("echo \"<$CARGO_MANIFEST_DIR>\"", "");
    place.run(&module).await;
    assert!(place.printed().ends_with("<>\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_says_how_far_it_is_by_lines_that_its_manifest_knows() {
    let mut place = Place::new().await;
    let (reporter, mut told) = mpsc::unbounded_channel();
    place.runner.progress = Some(reporter);
    let rule = "[progress]\npattern = '^(?<percent>\\d+)%(?: (?<message>.*))?$'\nstream = 'stderr'";
    let script = "echo 5%; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do printf \"${i}0%% step $i\\r\" >&2; sleep 0.1; done; sleep 1.2";
    let module = place.script(script, rule);
    let finished = place.run(&module).await;
    outputs(&finished);
    let mut all = Vec::new();
    while let Ok(one) = told.try_recv() {
        assert_eq!((one.of.job_id, one.of.attempt), (place.start.job_id, place.start.attempt));
        all.push(one.progress);
    }
    let progress = |percent, message: &str| Progress { percent, message: Some(message.to_owned()) };
    // 1.2 s of lines: the first, and the newest after a second, and what came after that.
    assert!((2..=3).contains(&all.len()), "{all:?}");
    assert_eq!(all[0], progress(Some(10), "step 1"));
    // 120 % is none; what is said of it is.
    assert_eq!(all.last().unwrap(), &progress(None, "step 12"));
}
