//! What of an entry Postgres cannot store, found before it is tried.
//!
//! The gateway and the executor refuse such text, so this is the second line; and found here, it does
//! not depend on which other entries share the transaction.

use nox_contract::{Fact, JobError, Metadata, Occurrence, Refusal, json::UnstorableJson};

/// Checks everything in `fact` that becomes `text` or `jsonb`. Ids are checked by their types.
pub(crate) fn check(fact: &Fact) -> Result<(), UnstorableJson> {
    match fact {
        Fact::Submitted(submitted) | Fact::Drafted(submitted) => {
            submitted.inputs.check_storable()?;
            submitted.fingerprint.as_deref().map_or(Ok(()), text)?;
            text(&submitted.module_version)?;
            submitted.worker_labels.iter().try_for_each(|label| text(label))?;
            submitted.task.as_ref().map_or(Ok(()), |task| text(&task.room))?;
            submitted.concurrency.as_ref().map_or(Ok(()), |of| text(&of.key))?;
            submitted.metadata.as_deref().map_or(Ok(()), metadata)
        }
        Fact::Rejected(rejected) => {
            rejected.inputs.check_storable()?;
            rejected.fingerprint.as_deref().map_or(Ok(()), text)?;
            rejected.task.as_ref().map_or(Ok(()), |task| text(&task.room))?;
            rejected.metadata.as_deref().map_or(Ok(()), metadata)?;
            refusal(&rejected.refusal)
        }
        Fact::AttemptFailed { error, .. } | Fact::Failed { error } => job_error(error),
        Fact::Succeeded { outputs, .. } => outputs.check_storable(),
        Fact::LimitsSet { role, change, .. } => {
            text(role)?;
            change.as_ref().map_or(Ok(()), |change| text(&change.reason))
        }
        Fact::QuotaViolated { refusal: violated, .. } => refusal(violated),
        Fact::Progressed { progress, .. } => progress.message.as_deref().map_or(Ok(()), text),
        Fact::TopicRegistered { schema, .. } => schema.check_storable(),
        Fact::KeyCreated { key, .. } => {
            text(&key.name)?;
            text(&key.role)?;
            text(&key.hash)?;
            key.scopes.iter().try_for_each(|scope| text(scope))
        }
        Fact::ScheduleSet { spec, role, .. } => {
            for word in [&spec.name, &spec.cron, &spec.time_zone, role] {
                text(word)?;
            }
            spec.job.module_version.as_deref().map_or(Ok(()), text)?;
            spec.job.worker_labels.iter().try_for_each(|label| text(label))?;
            metadata(&spec.job.metadata())?;
            spec.job.concurrency.as_ref().map_or(Ok(()), |of| text(&of.key))?;
            spec.job.inputs.check_storable()
        }
        Fact::WebhookSet { spec, .. } => {
            text(&spec.url)?;
            text(&spec.description)?;
            let labels = spec.filter.label.iter().chain(&spec.filter.not_label);
            labels.map(ToString::to_string).try_for_each(|label| text(&label))
        }
        Fact::ScheduleOccurred { outcome: Occurrence::Refused { refusal: refused }, .. } => {
            refusal(refused)
        }
        Fact::WorkerJoined { modules, labels, .. } | Fact::WorkerOffered { modules, labels, .. } => {
            modules.iter().try_for_each(|served| text(&served.version))?;
            labels.iter().try_for_each(|label| text(label))
        }
        // The whole manifest stays in the log.
        Fact::ModuleDeclared { manifest, .. } | Fact::ModuleRegistered { manifest, .. } => {
            text(&manifest.version)?;
            text(&manifest.title)?;
            manifest.input_schema.check_storable()?;
            manifest.output_schema.check_storable()
        }
        Fact::DraftSubmitted {}
        | Fact::Canceled { .. }
        | Fact::Waiting { .. }
        | Fact::Assigned { .. }
        | Fact::RetryScheduled { .. }
        | Fact::StopRequested { .. }
        | Fact::AttemptLost { .. }
        | Fact::Started { .. }
        | Fact::Stopped { .. }
        | Fact::Reserved { .. }
        | Fact::Settled { .. }
        | Fact::Released { .. }
        | Fact::Granted { .. }
        | Fact::WorkerDraining { .. }
        | Fact::WorkerDrained { .. }
        | Fact::WorkerUndrained { .. }
        // Why stays in the log.
        | Fact::WorkerPaused { .. }
        | Fact::WorkerResumed { .. }
        | Fact::WorkerLeft { .. }
        | Fact::ModuleSwitched { .. }
        | Fact::TopicRemoved {}
        | Fact::KeyRevoked { .. }
        | Fact::SchedulePaused { .. }
        | Fact::ScheduleResumed { .. }
        | Fact::SchedulePlanned { .. }
        | Fact::ScheduleOccurred { .. }
        | Fact::ScheduleTriggered { .. }
        | Fact::ScheduleDeleted { .. }
        | Fact::WebhookRotated { .. }
        | Fact::WebhookTested { .. }
        | Fact::WebhookRedelivered { .. }
        | Fact::WebhookDisabled { .. }
        | Fact::WebhookDeleted { .. }
        | Fact::Configured { .. }
        | Fact::InputsReset { .. } => Ok(()),
    }
}

/// Text is stored as it is, and U+0000 is the one character that it may not hold.
pub(crate) fn text(text: &str) -> Result<(), UnstorableJson> {
    if text.contains('\0') { Err(UnstorableJson::Nul) } else { Ok(()) }
}

fn metadata(metadata: &Metadata) -> Result<(), UnstorableJson> {
    for (name, value) in &metadata.labels {
        text(name)?;
        text(value)?;
    }
    metadata.release_id.as_deref().map_or(Ok(()), text)
}

pub(crate) fn job_error(error: &JobError) -> Result<(), UnstorableJson> {
    text(&error.code)?;
    text(&error.message)
}

fn refusal(refusal: &Refusal) -> Result<(), UnstorableJson> {
    text(&refusal.detail)?;
    refusal.quota.as_deref().map_or(Ok(()), text)?;
    refusal.account.as_deref().map_or(Ok(()), text)
}
