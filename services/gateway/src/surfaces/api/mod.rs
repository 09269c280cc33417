//! Jobs of releases, in the words of those who package them: `/api`.
//!
//! A translation and nothing beside it: a job's type is its module, its `config_json` are its inputs, its release
//! is a name that it bears. Who may see and cancel what is as everywhere.
//!
//! | file | address below `/api` |
//! |---|---|
//! | [`list`] | `GET /jobs`, `GET /releases/{release_id}/jobs` |
//! | [`create`] | `POST /jobs`, `POST /releases/{release_id}/actions/{job_type}` |
//! | [`draft`] | `POST /wizard/draft` |
//! | [`get`] | `GET /jobs/{id}` |
//! | [`status`] | `GET /jobs/{id}/status`, `GET /wizard/jobs/{id}/status` |
//! | [`logs`] | `GET /jobs/{id}/logs`, `GET /wizard/jobs/{id}/logs` |
//! | [`analysis`] | `GET /wizard/jobs/{id}/analysis` |
//! | [`cancel`] | `PUT /jobs/{id}/cancel` |

mod analysis;
mod cancel;
mod create;
mod draft;
mod get;
mod list;
mod logs;
mod status;
mod view;

use nox_contract::JobState;

use crate::endpoint::Endpoint;

/// Everything that is served below `/api`.
pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints =
        vec![draft::endpoint(), get::endpoint(), analysis::endpoint(), cancel::endpoint()];
    endpoints.extend(list::endpoints());
    endpoints.extend(create::endpoints());
    endpoints.extend(status::endpoints());
    endpoints.extend(logs::endpoints());
    endpoints
}

/// The surface's word for where a job stands.
fn word(state: JobState) -> &'static str {
    match state {
        JobState::Draft => "draft",
        JobState::Queued => "pending",
        JobState::Running => "running",
        JobState::Succeeded => "completed",
        JobState::Failed => "failed",
        JobState::Canceled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_understood_again_and_means_the_same() {
        for state in [
            JobState::Draft,
            JobState::Queued,
            JobState::Running,
            JobState::Succeeded,
            JobState::Failed,
            JobState::Canceled,
        ] {
            assert_eq!(word(state).parse(), Ok(state));
        }
    }
}
