//! What all handlers share.

use std::sync::Arc;

use nox_readmodel::Reader;
use nox_service::Runtime;
use nox_store::Artifacts;
use nox_streams::Broker;

use crate::{
    admission::Admission, barrier::Barrier, bulk::Bulk, command_roles::CommandRoles,
    commands::Commands, health::JobMetrics, joblib::Joblib, jobs::status::LogPlaces, jwt::Verifier,
    log_end::LogEnd, metrics::Metrics, schemas::Modules, undecided::Undecided,
    uploads::UploadStore,
};

pub struct App {
    pub runtime: Runtime,
    pub broker: Broker,
    pub bulk: Arc<Bulk>,
    pub log_places: LogPlaces,
    pub artifacts: Artifacts,
    pub uploads: UploadStore,
    pub reader: Reader,
    pub barrier: Arc<Barrier>,
    pub commands: Commands,
    pub undecided: Undecided,
    pub log_end: LogEnd,
    pub modules: Modules,
    pub admission: Admission,
    pub command_roles: CommandRoles,
    pub verifier: Verifier,
    pub metrics: Arc<Metrics>,
    pub job_metrics: JobMetrics,
    pub joblib: Joblib,
}
