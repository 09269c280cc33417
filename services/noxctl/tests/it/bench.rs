//! The measurements measure something.

use serde_json::Value;

use crate::program::{noxctl, run};

#[test]
fn a_short_measurement_runs_each_load_and_accounts_for_each_process() {
    let mut command = noxctl();
    command.args(["bench", "--jobs", "200", "--only", "bulk", "--only", "single"]);
    command.args(["--only", "relaxed", "--json"]);
    let printed = run(command).with(0);
    let reports: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.len(), 2, "{printed}");
    for report in reports {
        println!("{report}");
        assert_eq!(report["jobs"], 200);
        assert_eq!(report["durability"], "relaxed");
        assert!(report["jobs_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{report}");
        for process in ["gateway", "scheduler", "executor", "projector", "nats-server", "postgres"]
        {
            assert!(report["cpu_us_per_job"][process].is_number(), "{process}: {report}");
        }
    }
}
