//! What facts are about.

use crate::{
    JobId, KeyId, ModuleName, ScheduleId, TenantId, TopicName, UserId, WebhookId, WorkerId,
};

/// What an entry is about. A job's entries also name its user and module, for readers that filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entity {
    Job {
        tenant: TenantId,
        job_id: JobId,
        user_id: UserId,
        module: ModuleName,
    },
    /// `tenant` or `user/<id>`.
    Account {
        tenant: TenantId,
        account: String,
    },
    Worker(WorkerId),
    Module(ModuleName),
    Topic {
        tenant: TenantId,
        topic: TopicName,
    },
    Key {
        tenant: TenantId,
        key_id: KeyId,
    },
    Schedule {
        tenant: TenantId,
        schedule_id: ScheduleId,
    },
    Webhook {
        tenant: TenantId,
        webhook_id: WebhookId,
    },
    /// The log itself.
    Control,
}
