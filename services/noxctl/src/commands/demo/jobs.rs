//! The jobs of the demonstration, and what has to come of each.

use anyhow::{Context, Result, bail, ensure};
use nox_contract::{JobId, JobState};
use nox_streams::LogText;
use serde_json::{Value, json};

use super::{Demo, show};
use crate::{
    client::ClientError,
    facts,
    follow::{self, Follow},
    output,
    terminal::say,
    views::{Admitted, Job, Module, Modules},
};

/// The module that says hello, and the one that naps.
pub const HELLO: &str = "xtb_hello";
pub const NAP: &str = "noop";

/// One water molecule; the distance between O and H is 0.97 Å.
const WATER: &str = "\
3
water
O  0.00000  0.00000  0.11779
H  0.00000  0.75545 -0.47116
H  0.00000 -0.75545 -0.47116
";

/// The energy of water that GFN2-xTB gives, in Hartree, and how far from it a result may be.
const WATER_ENERGY: f64 = -5.0704;
const ENERGY_TOLERANCE: f64 = 0.001;

/// Longer than the demonstration would wait.
const NAP_MS: u64 = 60_000;

impl Demo {
    /// A job that writes a file.
    pub async fn hello(&self) -> Result<()> {
        say!("\n== A job that says hello ==")?;
        let body = json!({
            "module": HELLO,
            "inputs": {"text": "hello from the demonstration"},
            "requested_resources": {"cpu": 1, "mem_mb": 256, "wall_time_s": 60},
        });
        let job = self.run(&body).await?;
        let outputs = outputs(&job)?;
        let files = outputs["files"].as_array().map(Vec::len).unwrap_or_default();
        ensure!(files > 0, "the job kept no file: {outputs}");
        self.life(job.id).await
    }

    /// A calculation, if this machine can do it.
    pub async fn water(&self) -> Result<()> {
        say!("\n== A water molecule ==")?;
        let Modules { modules } = self.client.read("/modules").await?;
        let declared = modules.iter().any(|module| {
            serde_json::from_str::<Module>(module.get()).is_ok_and(|module| module.name == "xtb")
        });
        if !declared {
            let why = match nox_devkit::tools::xtb() {
                None => "this machine has no xtb; `make setup` installs it where it can",
                Some(_) => "xtb is here, but the worker does not declare the module",
            };
            say!("xtb skipped: {why}")?;
            return Ok(());
        }
        let body = json!({"module": "xtb", "inputs": {"xyz": WATER}});
        let job = self.run(&body).await?;
        let outputs = outputs(&job)?;
        let energy = energy(&outputs).with_context(|| format!("no energy in {outputs}"))?;
        self.life(job.id).await?;
        say!("energy: {energy:.6} Hartree, expected {WATER_ENERGY} ± {ENERGY_TOLERANCE}")?;
        ensure!(
            (energy - WATER_ENERGY).abs() <= ENERGY_TOLERANCE,
            "the energy of water is wrong: {energy}"
        );
        Ok(())
    }

    /// A request that is wrong, and the document that says why.
    pub async fn refused(&self) -> Result<()> {
        say!("\n== A request that is refused ==")?;
        let body = json!({"module": HELLO, "inputs": {"text": 5}});
        say!("POST /jobs {body}")?;
        match self.client.post("/jobs", Some(&body)).await {
            Err(ClientError::Refused(problem)) => {
                say!("{} {}", problem.status, output::indented(&problem.document))?;
                ensure!(problem.status == 422, "it was to be 422");
                Ok(())
            }
            Err(error) => Err(error.into()),
            Ok(answer) => bail!("it was not refused: {}", answer.body),
        }
    }

    /// A job that somebody has enough of.
    pub async fn canceled(&self) -> Result<()> {
        say!("\n== A job that is canceled while it runs ==")?;
        let body = json!({"module": NAP, "inputs": {"sleep_ms": NAP_MS}});
        let admitted: Admitted = self.client.post("/jobs", Some(&body)).await?.read()?;
        let id = admitted.job_id;
        let mut follow = Follow::admitted(&self.client, id);
        while follow.look(admitted.n).await?.is_none_or(|job| job.state != JobState::Running) {
            follow.pause().await;
        }
        let answer = self.client.post(&format!("/jobs/{id}/cancel"), None).await?;
        say!("POST /jobs/{id}/cancel\n{} {}", answer.status.as_u16(), answer.body)?;
        let job = self.until_ended(&admitted).await?;
        ensure!(job.state == JobState::Canceled, "the job is {}", job.state);
        self.until_stopped(id).await?;
        self.life(id).await
    }

    /// Submits a job and waits for its success.
    async fn run(&self, body: &Value) -> Result<Job> {
        say!("POST /jobs {body}")?;
        let begun = self.clock.monotonic();
        let answer = self.client.post("/jobs", Some(body)).await?;
        say!("{} {}", answer.status.as_u16(), answer.body)?;
        let admitted: Admitted = answer.read()?;
        let job = self.until_ended(&admitted).await?;
        let took = self.clock.monotonic().saturating_sub(begun);
        say!("{} after {} ms", job.standing(), took.as_millis())?;
        ensure!(job.state == JobState::Succeeded, "job {} is {}", job.id, job.standing());
        Ok(job)
    }

    async fn until_ended(&self, admitted: &Admitted) -> Result<Job> {
        let follow = Follow::admitted(&self.client, admitted.job_id);
        let job = follow.until_ended(admitted.n, None, async |_, _, _| Ok(())).await?;
        job.context("the job was never seen")
    }

    /// Waits until the worker has said that nothing of a canceled job runs any more.
    async fn until_stopped(&self, id: JobId) -> Result<()> {
        let mut pauses = Follow::new(&self.client, id);
        loop {
            let (events, _) = follow::events(&self.client, id, 0).await?;
            let entries = events.read()?;
            let mut names = entries.iter().flat_map(|e| e.known_facts()).map(|fact| fact.name());
            if names.any(|name| matches!(name, "stopped" | "attempt_lost")) {
                return Ok(());
            }
            pauses.pause().await;
        }
    }

    /// Prints all that happened to a job, its row, and what it printed.
    async fn life(&self, id: JobId) -> Result<()> {
        let (events, last) = follow::events(&self.client, id, 0).await?;
        let entries = events.read()?;
        ensure!(!entries.is_empty(), "job {id} has no entries in the log");
        let rows: Vec<_> = entries.iter().flat_map(facts::rows).collect();
        say!("\nThe log says, in {} entries:", entries.len())?;
        show::table(&facts::HEAD, &rows)?;

        say!("\nIts row in Postgres:")?;
        self.row(&entries[0].tenant, id, last).await?;

        let (chunks, _) = follow::logs(&self.client, id, 0).await?;
        let printed = follow::printed(&chunks, &mut LogText::new(true))?;
        let text = String::from_utf8_lossy(&printed);
        if text.is_empty() {
            say!("\nIt printed nothing.")?;
        } else {
            say!("\nIt printed:")?;
            show::excerpt(&text)?;
        }
        Ok(())
    }
}

fn outputs(job: &Job) -> Result<Value> {
    let outputs = job.outputs.as_ref().with_context(|| format!("job {} has no outputs", job.id))?;
    Ok(serde_json::from_str(outputs.get())?)
}

/// The total energy in Hartree among the numbers that the module reads from xtb's files.
fn energy(outputs: &Value) -> Option<f64> {
    outputs["scalars"]["E_total_hartree"].as_f64()
}
