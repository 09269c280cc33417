//! The modules that test jobs run, and the ground truth of what ran.
//!
//! A job of `mark` writes its id and attempt to a file that no part of the system knows of. That, and to kill an
//! executor, is what every sandbox keeps jobs from: these modules have none.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::checker::Run;

/// Retries soon, so that a test sees several attempts.
const MARK: &str = r#"
name = "mark"
version = "1"
title = "Tells a file that it ran"
sandbox = "none"

[input_schema]
type = "object"
properties.mark = { type = "string" }
properties.sleep = { type = "number", minimum = 0, default = 0 }
properties.fails = { type = "integer", minimum = 0, default = 0 }
properties.print = { type = "string", default = "" }

[resources]
cpu = 1
mem_mb = 64
wall_time_s = 60

[retry]
attempts_max = 4
backoff_ms = 50
backoff_ms_max = 200

[run]
program = "/bin/sh"
args = ["-c", '''
echo "$NOX_JOB_ID $NOX_ATTEMPT $(date +%s%N)" >> "@TRUTH@"
if [ "$1" != 0 ]; then sleep "$1"; fi
if [ "$NOX_ATTEMPT" -le "$2" ]; then exit 7; fi
printf %b "$3" > result.txt
printf %s "$NOX_ATTEMPT" > attempt.txt
''', "mark", "{inputs.sleep}", "{inputs.fails}", "x{inputs.print}"]

[[keep]]
path = "result.txt"

# Which attempt the files are of.
[[keep]]
path = "attempt.txt"

[[result]]
name = "printed"
type = "string"
file = "result.txt"
pattern = '(?s)^x(?<value>.*)$'
"#;

/// Prints when it begins and when it ends, and says in a file which attempt it is. The first one takes a while.
const TALKER: &str = r#"
name = "talker"
version = "1"
sandbox = "none"

[input_schema]
type = "object"
properties.mark = { type = "string" }
properties.sleep = { type = "number", minimum = 0, default = 0 }

[resources]
cpu = 1
mem_mb = 64
wall_time_s = 60

[run]
program = "/bin/sh"
args = ["-c", '''
echo "$NOX_JOB_ID $NOX_ATTEMPT $(date +%s%N)" >> "@TRUTH@"
echo "attempt $NOX_ATTEMPT begins"
if [ "$NOX_ATTEMPT" = 1 ]; then sleep "$1"; fi
echo "attempt $NOX_ATTEMPT ends"
printf %s "$NOX_ATTEMPT" > attempt.txt
''', "talker", "{inputs.sleep}"]

[[keep]]
path = "attempt.txt"

[[result]]
name = "attempt"
type = "integer"
file = "attempt.txt"
pattern = '(?<value>\d+)'
"#;

const NOOP: &str = r#"
name = "noop"
version = "1"
sandbox = "process"
run.builtin = "noop"

[input_schema]
type = "object"

[resources]
cpu = 1
mem_mb = 1
wall_time_s = 60

[retry]
attempts_max = 3
backoff_ms = 50
backoff_ms_max = 200
"#;

/// Takes its executor down: the parent of its supervisor.
const KILLER: &str = r#"
name = "killer"
version = "1"
sandbox = "none"

[input_schema]
type = "object"
required = ["after_s"]
properties.after_s = { type = "number", minimum = 0 }

[resources]
cpu = 1
mem_mb = 64
wall_time_s = 60

[run]
program = "/bin/sh"
args = ["-c", '''
if [ "$1" != 0 ]; then sleep "$1"; fi
while read key value; do
  if [ "$key" = PPid: ]; then kill -9 "$value"; fi
done < "/proc/$PPID/status"
sleep 9
''', "killer", "{inputs.after_s}"]
"#;

/// As the first users' example has it: reads a text, writes a file.
const HELLO: &str = r#"
name = "xtb_hello"
version = "1"
sandbox = "process"

[input_schema]
type = "object"
required = ["text"]
properties.text = { type = "string", maxLength = 1000 }

[resources]
cpu = 1
mem_mb = 64
wall_time_s = 60

[run]
program = "/bin/sh"
args = ["-c", 'sleep 0.3; cat text.txt > result.txt', "hello"]

[[write]]
path = "text.txt"
template = "{inputs.text}"

[[keep]]
path = "result.txt"
"#;

/// Gives a number back as it came, from its command line into its results.
const DIGITS: &str = r#"
name = "digits"
version = "1"
sandbox = "process"

[input_schema]
type = "object"
required = ["number"]
properties.number = { type = "number" }

[resources]
cpu = 1
mem_mb = 64
wall_time_s = 60

[run]
program = "/bin/sh"
args = ["-c", 'printf "{{\"x\": %s}}" "$1" > out.json; echo "$1"', "digits", "{inputs.number}"]

[[result]]
name = "of_json"
type = "number"
file = "out.json"
pointer = "/x"

[[result]]
name = "of_text"
type = "number"
stream = "stdout"
pattern = '(?<value>\S+)'
"#;

/// Writes the manifests into `folder`; jobs of `mark` and `talker` will write to `truth`.
pub fn write(folder: &Path, truth: &Path) -> Result<()> {
    let truth = truth.to_str().context("the path is no text")?;
    let (mark, talker) = (MARK.replace("@TRUTH@", truth), TALKER.replace("@TRUTH@", truth));
    let modules = [
        ("mark", mark.as_str()),
        ("talker", talker.as_str()),
        ("noop", NOOP),
        ("xtb_hello", HELLO),
        ("killer", KILLER),
        ("digits", DIGITS),
    ];
    for (name, manifest) in modules {
        fs::create_dir_all(folder.join(name))?;
        fs::write(folder.join(name).join("module.toml"), manifest)?;
    }
    Ok(())
}

/// What ran, as the jobs themselves said.
pub fn runs(truth: &Path) -> Result<Vec<Run>> {
    let text = match fs::read_to_string(truth) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    text.lines().map(|line| run(line).with_context(|| format!("a run said {line:?}"))).collect()
}

fn run(line: &str) -> Option<Run> {
    let mut words = line.split(' ');
    let job = words.next()?.parse().ok()?;
    let attempt = nox_contract::Attempt(words.next()?.parse().ok()?);
    let nanos: i64 = words.next()?.parse().ok()?;
    Some(Run { job, attempt, at: nox_contract::Timestamp::from_micros(nanos / 1_000) })
}
