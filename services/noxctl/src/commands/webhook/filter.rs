//! Which events, by the words of `GET /events`.

use nox_contract::{EventFilter, JobState, LabelWord, ModuleName, TypeWord, UserId};

/// Each may be given several times.
#[derive(clap::Args)]
#[command(next_help_heading = "Which events")]
pub struct FilterArgs {
    /// job, or job.succeeded.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<TypeWord>,
    #[arg(long = "not-type", value_name = "TYPE")]
    not_types: Vec<TypeWord>,
    /// The state that an event brings its job into, or says that it is in.
    #[arg(long, value_name = "STATE", value_parser = state)]
    status: Vec<JobState>,
    #[arg(long, value_name = "STATE", value_parser = state)]
    not_status: Vec<JobState>,
    #[arg(long)]
    module: Vec<ModuleName>,
    #[arg(long, value_name = "MODULE")]
    not_module: Vec<ModuleName>,
    #[arg(long, value_name = "USER")]
    user: Vec<UserId>,
    #[arg(long, value_name = "USER")]
    not_user: Vec<UserId>,
    /// NAME=VALUE, or NAME; all of them.
    #[arg(long)]
    label: Vec<LabelWord>,
    #[arg(long, value_name = "LABEL")]
    not_label: Vec<LabelWord>,
}

fn state(text: &str) -> Result<JobState, String> {
    serde_json::from_value(text.into()).map_err(|_| "must be a state of a job".to_owned())
}

impl FilterArgs {
    pub fn filter(self) -> EventFilter {
        EventFilter {
            types: self.types,
            not_types: self.not_types,
            status: self.status,
            not_status: self.not_status,
            module: self.module,
            not_module: self.not_module,
            user_id: self.user,
            not_user_id: self.not_user,
            label: self.label,
            not_label: self.not_label,
        }
    }
}
