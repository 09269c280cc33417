//! What a model of a log goes by: what was asked and told, when, and how long attempts lasted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nox_contract::{
    Attempt, AttemptEnd, Cause, Command, EpochRecord, Fact, Frame, FrameNumber, Incarnation, JobId,
    Place, Report, SessionId, Source, TenantId, Timestamp, WorkerId, report::Ended,
};
use nox_core::Internal;

use super::{Inputs, Outcome, Replay, ReplayError};
use crate::{sequencer::Input, takeover::decode_input};

/// Why nothing can be modelled on a log.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecordingError {
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(
        "messages that frame {n} consumed are gone: a model needs all that was asked since the log began"
    )]
    Gone { n: FrameNumber },
    #[error("at frame {n} an input stream was lost; what became of its workers cannot be modelled")]
    Reset { n: FrameNumber },
}

/// A log that was decided again, and what a model takes from it.
#[derive(Debug, Default)]
pub struct Recording {
    replay: Replay,
    pub(super) epoch: Option<EpochRecord>,
    /// What one frame consumed is taken at its instant: its own inputs, then reports, then commands.
    pub(super) told: Vec<(Timestamp, Told)>,
    pub(super) spans: BTreeMap<(JobId, Attempt), Span>,
    /// Jobs of which an attempt ran until it was stopped: how long it would have gone on is in no record.
    pub(super) stopped: BTreeSet<JobId>,
    /// Those that said themselves what they offer; who claims its work is none of them.
    pub(super) workers: BTreeSet<WorkerId>,
    /// Left out of the model: tasks that workers claim.
    tasks: u64,
    assigned: BTreeMap<(JobId, Attempt), Timestamp>,
    outcome: Outcome,
}

/// Something that the model is told as it was.
#[derive(Debug, Clone)]
pub(super) enum Told {
    Internal(Internal),
    Reports { worker_id: WorkerId, session: SessionId, reports: Vec<Report> },
    Commands { tenant: TenantId, commands: Vec<Command> },
}

/// An attempt that ended by itself.
#[derive(Debug, Clone)]
pub(super) struct Span {
    /// From its assignment to the frame that has its end.
    pub lasted: Duration,
    pub ended: Ended,
}

impl Recording {
    /// Of a log whose leaders prove attempts with this key.
    pub fn by_key(token_key: [u8; 32]) -> Self {
        Self { replay: Replay::by_key(token_key), ..Self::default() }
    }

    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// What became of its jobs.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Tasks that workers claim; neither the record's measures nor a model have them.
    pub fn tasks(&self) -> u64 {
        self.tasks
    }

    /// Takes the beginning of a term in. The model is one term from the first one on.
    ///
    /// # Errors
    /// It does not follow.
    pub fn epoch(&mut self, n: FrameNumber, record: &EpochRecord) -> Result<(), RecordingError> {
        self.epoch.get_or_insert_with(|| record.clone());
        Ok(self.replay.epoch(n, record)?)
    }

    /// Decides the next frame again, and takes in what a model goes by.
    ///
    /// # Errors
    /// See [`RecordingError`].
    pub fn frame(&mut self, frame: &Frame, inputs: &dyn Inputs) -> Result<(), RecordingError> {
        let (n, before) = (frame.n, self.replay.state().pos);
        let resets = |fact: &Fact| matches!(fact, Fact::InputsReset { .. });
        if frame.entries.iter().flat_map(|entry| entry.known_facts()).any(resets) {
            return Err(RecordingError::Reset { n });
        }
        self.replay.frame(frame, inputs, &mut ())?;
        if self.replay.counts().gone_up_to == n {
            return Err(RecordingError::Gone { n });
        }
        for entry in &frame.entries {
            self.outcome.note(frame.at, entry);
            let Some(job) = entry.job_id else { continue };
            for fact in entry.known_facts() {
                match fact {
                    Fact::Assigned { attempt, .. } => {
                        self.assigned.insert((job, *attempt), frame.at);
                    }
                    Fact::Stopped { .. } => {
                        self.stopped.insert(job);
                    }
                    Fact::Submitted(submitted) | Fact::Drafted(submitted) => {
                        self.tasks += u64::from(submitted.task.is_some());
                    }
                    _ => {}
                }
            }
        }
        for body in &frame.inputs {
            // It was read when it was decided.
            if let Ok(internal) = serde_json::from_str::<Internal>(body.get())
                && is_kept(&internal)
            {
                self.told.push((frame.at, Told::Internal(internal)));
            }
        }
        let state = self.replay.state();
        let lives = (state.reports.clone(), state.commands.clone());
        self.stream(frame, inputs, Source::Reports, &lives.0, (before.reports, frame.pos.reports));
        self.stream(
            frame,
            inputs,
            Source::Commands,
            &lives.1,
            (before.commands, frame.pos.commands),
        );
        Ok(())
    }

    /// Takes the parts of a stream's messages in that a frame consumed.
    fn stream(
        &mut self,
        frame: &Frame,
        inputs: &dyn Inputs,
        src: Source,
        life: &Incarnation,
        (from, to): (Place, Place),
    ) {
        for seq in from.seq.max(1)..=to.seq {
            let Some((subject, payload)) = inputs.message(src, life, seq) else { continue };
            let skipped = if seq == from.seq { from.part } else { 0 };
            let up_to = if seq == to.seq { to.part } else { u32::MAX };
            let parts = skipped as usize..up_to as usize;
            match decode_input(src, seq, subject, payload) {
                Some(Input::Commands { tenant, message, .. }) => {
                    let commands = message.commands.into_iter();
                    let commands = commands.take(parts.end).skip(parts.start);
                    let commands: Vec<_> = commands.filter(|command| !of_task(command)).collect();
                    self.push(frame.at, Told::Commands { tenant, commands });
                }
                Some(Input::Reports { worker_id, message, .. }) => {
                    let mut reports = Vec::new();
                    let all = (0..).zip(message.reports).take(parts.end).skip(parts.start);
                    for (part, report) in all {
                        match report {
                            Report::Ended(ended) => {
                                self.ended(frame, Cause { src, seq, part }, *ended);
                            }
                            Report::Hello(_) => {
                                self.workers.insert(worker_id.clone());
                                reports.push(report);
                            }
                            // The model's own attempts say that.
                            Report::Started(_) | Report::Progressed(_) | Report::Stopped(_) => {}
                            other => reports.push(other),
                        }
                    }
                    let session = message.session;
                    self.push(frame.at, Told::Reports { worker_id, session, reports });
                }
                Some(Input::Internal(_)) | None => {}
            }
        }
    }

    fn push(&mut self, at: Timestamp, told: Told) {
        let is_empty = match &told {
            Told::Commands { commands, .. } => commands.is_empty(),
            Told::Reports { reports, .. } => reports.is_empty(),
            Told::Internal(_) => false,
        };
        if !is_empty {
            self.told.push((at, told));
        }
    }

    /// How long an attempt lasted, if its end was believed.
    fn ended(&mut self, frame: &Frame, by: Cause, ended: Ended) {
        let key = (ended.job_id, ended.attempt);
        let believed = frame.entries.iter().any(|entry| {
            entry.by == by
                && entry
                    .known_facts()
                    .any(|fact| matches!(fact, Fact::Succeeded { .. } | Fact::AttemptFailed { .. }))
        });
        if let (true, Some(assigned_at)) = (believed, self.assigned.get(&key)) {
            let lasted = frame.at.since(*assigned_at);
            self.spans.insert(key, Span { lasted, ended });
        }
    }

    /// What an attempt of a module lasts that is in no record: the median of those that succeeded.
    pub(super) fn medians(&self) -> BTreeMap<String, Duration> {
        let mut of_modules: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
        for ((job, _), span) in &self.spans {
            if let (Some(job), AttemptEnd::Succeeded { .. }) =
                (self.outcome.job(*job), &span.ended.end)
            {
                of_modules.entry(job.module.to_string()).or_default().push(span.lasted);
            }
        }
        let median = |(module, mut spans): (String, Vec<Duration>)| {
            spans.sort_unstable();
            (module, spans[spans.len() / 2])
        };
        of_modules.into_iter().map(median).collect()
    }
}

/// What the leader noticed of the world; what it concluded from its own state the model concludes itself.
fn is_kept(internal: &Internal) -> bool {
    match internal {
        Internal::WorkerSilent { .. }
        | Internal::Plan { .. }
        | Internal::Due { .. }
        | Internal::Configure { .. } => true,
        Internal::Timer { .. }
        | Internal::AttemptsMissing { .. }
        | Internal::Losses { .. }
        | Internal::Match { .. }
        | Internal::Reasons { .. }
        | Internal::Unqueue { .. }
        | Internal::ResetInputs { .. } => false,
    }
}

/// Workers that claim their work have a will of their own, which is in no record.
fn of_task(command: &Command) -> bool {
    matches!(command, Command::Claim(_) | Command::Undelivered(_) | Command::UpdateTask(_))
}
