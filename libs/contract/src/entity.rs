//! What facts are about.

use crate::{JobId, ModuleName, TenantId, TopicName, UserId, WorkerId};

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
    /// The log itself.
    Control,
}
