//! What all handlers share.

use std::sync::Arc;

use nox_readmodel::Reader;
use nox_service::Runtime;
use nox_store::Artifacts;
use nox_streams::Broker;

use crate::{
    commands::{Commands, admission::Admission, beats::Beaten, undecided::Undecided},
    identity::{
        command_roles::CommandRoles, jwt::Verifier, keys::Keys, proxies::Proxies, rate::RateLimits,
    },
    instance::InstanceSettings,
    joblib_settings::JoblibSettings,
    metrics::{Metrics, jobs::JobMetrics},
    read::{
        barrier::Barrier,
        bulk::Bulk,
        ends::Ends,
        figures::{JobStats, SystemState},
        hub::Hub,
        kept::Kept,
        log_end::LogEnd,
        log_news::LogNews,
        log_places::LogPlaces,
        modules::Modules,
        named_jobs::NamedJobs,
        states::States,
        tallies::Tallies,
    },
    uploads::UploadStore,
    webhook_settings::WebhookSettings,
};

pub struct App {
    pub runtime: Runtime,
    pub broker: Broker,
    pub bulk: Arc<Bulk>,
    pub hub: Hub,
    pub log_places: LogPlaces,
    pub log_news: LogNews,
    pub states: States,
    pub tallies: Tallies,
    /// What was told of spans and of the system lately.
    pub kept_stats: Kept<JobStats>,
    pub kept_system: Kept<SystemState>,
    pub artifacts: Artifacts,
    pub uploads: UploadStore,
    pub reader: Reader,
    pub barrier: Arc<Barrier>,
    pub named_jobs: NamedJobs,
    pub commands: Commands,
    pub undecided: Undecided,
    pub log_end: LogEnd,
    pub modules: Modules,
    pub admission: Admission,
    pub command_roles: CommandRoles,
    pub verifier: Verifier,
    /// None, if there are to be none.
    pub rates: Option<RateLimits>,
    pub keys: Keys,
    pub proxies: Proxies,
    pub webhooks: WebhookSettings,
    pub instance: InstanceSettings,
    pub metrics: Arc<Metrics>,
    pub job_metrics: JobMetrics,
    pub joblib: JoblibSettings,
    /// Of jobs that somebody waits for.
    pub ends: Ends,
    pub beaten: Beaten,
}

impl App {
    /// What proves who asks.
    pub fn identities(&self) -> (&Verifier, Option<&Keys>) {
        (&self.verifier, Some(&self.keys))
    }
}
