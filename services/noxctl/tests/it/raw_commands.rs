//! Raw commands and engines on a development system, with curl, as their first users ask for them.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    dev::Dev,
    program::{noxctl, run},
};

const ENDED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

struct User<'d> {
    dev: &'d Dev,
    token: &'d str,
}

impl User<'_> {
    /// The status, and the body.
    fn curl(&self, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut command = std::process::Command::new("curl");
        let token = format!("Authorization: Bearer {}", self.token);
        command.args(["-sS", "--max-time", "30", "-w", "\n%{http_code}", "-H", &token]);
        if let Some(body) = body {
            command.args(["-H", "Content-Type: application/json", "-d", &body.to_string()]);
        }
        let answer = run({
            command.arg(format!("{}{path}", self.dev.url()));
            command
        });
        let answer = answer.with(0);
        let (body, status) = answer.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    /// Has a job run: its view when it has ended.
    fn ended(&self, status: u16, body: &Value) -> Value {
        let (found, answer) = self.curl("/jobs", Some(body));
        assert_eq!(found, status, "{answer}");
        let path = format!("/jobs/{}", answer["id"].as_str().unwrap());
        let begun = Instant::now();
        loop {
            let (_, job) = self.curl(&path, None);
            if !["queued", "running"].contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            assert!(begun.elapsed() < ENDED_WITHIN, "{job}");
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// What a job printed, and its last row.
    fn rows(&self, job: &Value) -> (String, String) {
        let (_, rows) = self.curl(&format!("/jobs/{}/status", job["id"].as_str().unwrap()), None);
        let rows = rows.as_array().unwrap();
        let output = |row: &Value| row["output"].as_str().unwrap().to_owned();
        let (last, printed) = rows.split_last().unwrap();
        (printed.iter().map(output).collect(), output(last))
    }
}

/// Whether this machine can isolate; where it cannot, the system says why, and takes no commands.
fn isolates(user: &User<'_>) -> bool {
    let (status, problem) = user.curl("/jobs", Some(&json!({"command": "true"})));
    if status == 201 {
        return true;
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{problem}");
    assert_eq!((status, &problem["code"]), (422, &json!("unknown_module")), "{problem}");
    println!("skipped: {}", run(noxctl_doctor()).stdout);
    false
}

fn noxctl_doctor() -> std::process::Command {
    let mut command = noxctl();
    command.arg("doctor");
    command
}

#[test]
fn a_line_of_shell_is_run_and_its_output_and_its_end_can_be_read() {
    let data = tempfile::tempdir().unwrap();
    let scripts = tempfile::tempdir().unwrap();
    std::fs::write(scripts.path().join("own.sh"), "echo from the operator\n").unwrap();
    let folder = scripts.path().to_str().unwrap();
    let environment = [("JOB_RUNNER_CWD", folder), ("JOB_RUNNER_POLL_MS", "500")];
    let dev = Dev::start_with(data.path(), &environment);
    let user = User { dev: &dev, token: dev.token() };
    if !isolates(&user) {
        return;
    }
    let job = user.ended(201, &json!({"command": "/bin/echo hello && sleep 1 && /bin/echo done"}));
    assert_eq!((&job["status"], &job["state"]), (&json!("success"), &json!("succeeded")));
    assert_eq!(job["createdBy"], job["user_id"]);
    assert_eq!(
        user.rows(&job),
        ("hello\ndone\n".to_owned(), "Process exited with code 0".to_owned())
    );

    let job = user.ended(201, &json!({"command": "echo oh >&2; exit 7"}));
    assert_eq!((&job["status"], &job["state"]), (&json!("failure"), &json!("failed")));
    assert_eq!(user.rows(&job), ("oh\n".to_owned(), "Process exited with code 7".to_owned()));

    // It begins where the operator says, may read there, and write in its own folder.
    let job = user.ended(201, &json!({"command": "pwd; sh own.sh; touch x || touch \"$HOME/x\""}));
    assert_eq!(job["status"], "success");
    let (printed, _) = user.rows(&job);
    assert!(printed.starts_with(&format!("{folder}\nfrom the operator\n")), "{printed}");

    // Nothing of the system that runs it is within reach.
    let port = dev.url().rsplit(':').next().unwrap();
    let reach = format!(
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' && echo reached; \
         ls '{0}/nats' '{0}/artifacts' && echo seen; true",
        data.path().display()
    );
    let job = user.ended(201, &json!({ "command": reach }));
    let (printed, last) = user.rows(&job);
    assert!(!printed.contains("reached\n") && !printed.contains("seen\n"), "{printed}");
    assert_eq!(last, "Process exited with code 0");

    // Others see nothing of it, an administrator does.
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let eve = dev.run(&["token", "--sub", "eve"]).with(0);
    assert_eq!(User { dev: &dev, token: eve.trim() }.curl(&path, None).0, 404);
    let admin = User { dev: &dev, token: dev.ready["admin_token"].as_str().unwrap() };
    assert_eq!(admin.curl(&path, None).0, 200);
}

#[test]
fn commands_are_off_where_the_operator_says_so() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start_with(data.path(), &[("NOX_COMMAND_ROLES", "")]);
    let admin = dev.ready["admin_token"].as_str().unwrap();
    for token in [dev.token(), admin] {
        let user = User { dev: &dev, token };
        for body in [
            json!({"command": "true"}),
            json!({"module": "command", "inputs": {"command": "true"}}),
        ] {
            let (status, problem) = user.curl("/jobs", Some(&body));
            assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "{problem}");
        }
    }
}

#[test]
fn a_machine_that_cannot_isolate_takes_no_commands_and_says_why() {
    let data = tempfile::tempdir().unwrap();
    // As bubblewrap's program stands one that makes no namespaces.
    let dev = Dev::start_with(data.path(), &[("NOX_BWRAP", "/bin/false")]);
    let user = User { dev: &dev, token: dev.token() };
    let (status, problem) = user.curl("/jobs", Some(&json!({"command": "true"})));
    assert_eq!((status, &problem["code"]), (422, &json!("unknown_module")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("isolated"), "{problem}");
    // All else is served.
    let body = json!({"module": "noop"});
    assert_eq!(user.ended(202, &body)["status"], "succeeded");
}

#[test]
fn a_molecule_is_computed_in_the_words_of_the_first_users() {
    if nox_devkit::tools::xtb().is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "xtb is missing, and CI=true");
        println!("skipped: xtb is not installed");
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let user = User { dev: &dev, token: dev.token() };
    let xyz = "3\nwater\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n";
    let params = json!({"gfn": 2, "opt": true, "hess": false, "uhf": 0, "chrg": 0});
    let inputs = json!({"xyz": xyz, "charge": 0, "multiplicity": 1, "params": params});
    let job =
        user.ended(202, &json!({"engine": "xtb", "kind": "opt_properties", "inputs": inputs}));
    assert_eq!(
        (&job["status"], &job["state"]),
        (&json!("completed"), &json!("succeeded")),
        "{job}"
    );
    let (status, found) =
        user.curl(&format!("/jobs/{}/artifacts", job["id"].as_str().unwrap()), None);
    assert_eq!(status, 200);
    let scalars = &found["scalars"];
    assert!((scalars["E_total_hartree"].as_f64().unwrap() + 5.0705).abs() < 0.001, "{scalars}");
    assert!(scalars["gap_eV"].is_number() && scalars["dipole_D"].is_number(), "{scalars}");
    let names: Vec<_> = found["artifacts"].as_array().unwrap().iter().map(|a| &a["name"]).collect();
    assert!(names.contains(&&json!("xtbopt.xyz")), "{names:?}");
    // No path of the machine's.
    assert!(!found.to_string().contains(data.path().to_str().unwrap()), "{found}");
    // An atom has nothing to optimize, and is computed all the same.
    let job = user.ended(202, &json!({"engine": "xtb", "inputs": {"xyz": "1\n\nHe 0 0 0\n"}}));
    assert_eq!(job["status"], "completed", "{job}");
}
