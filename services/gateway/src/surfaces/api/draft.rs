//! `POST /api/wizard/draft`: a release that somebody begins.
//!
//! Its job is a draft that packs what is known of the release so far; the release's further jobs bear the same id.

use std::collections::BTreeMap;

use axum::{Json, http::StatusCode};
use nox_contract::{JobId, JobState, ProblemCode};
use nox_service::ids;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    create::{admit, request},
    word,
};
use crate::{
    endpoint::{Access, Answer, Content, Endpoint, Method, TRACEPARENT},
    extract::{self, Incoming},
    http::body::BODY_BYTES_MAX,
    object::read,
    problem::{ApiError, FieldError},
    use_cases::{job_request::JobRequest, submit_batch::Shared},
};

/// What packs a release.
const PACKAGING: &str = "packaging";

/// Longest answer to a question of the wizard, in bytes: it becomes a label.
const ANSWER_BYTES_MAX: usize = 128;

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("api_create_draft", "Begins a release, with a job that is a draft.");
    Endpoint::new(Method::Post, "/api/wizard/draft", Access::OWN, (id, summary), draft)
        .headers([TRACEPARENT])
        .body(Content::json::<Asked>())
        .example(r#"{"group": "GRP", "release_type": "Film", "rule_id": 7}"#)
        .answer(Answer::json::<Drafted>(201, "The release, and its draft."))
        .answer(Answer::json::<Drafted>(202, "It will be decided."))
        .problems(&[
            ProblemCode::UnknownModule,
            ProblemCode::DisabledModule,
            ProblemCode::Parked,
            ProblemCode::InvalidInputs,
            ProblemCode::StaleStamp,
            ProblemCode::QueueFull,
            ProblemCode::RequestTooLarge,
            ProblemCode::BudgetExhausted,
            ProblemCode::Unsatisfiable,
            ProblemCode::Refused,
            ProblemCode::StorageFull,
        ])
}

/// What the wizard asked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WizardDraftBody")]
struct Asked {
    #[schemars(length(min = 1, max = 128))]
    group: String,
    #[schemars(length(min = 1, max = 128))]
    release_type: String,
    #[serde(default)]
    rule_id: Option<Rule>,
}

/// The rules that the release is packed by, by their number or name.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Rule {
    Number(u64),
    Name(String),
}

#[derive(Serialize, JsonSchema)]
struct Drafted {
    release_id: String,
    job_id: JobId,
    id: JobId,
    status: &'static str,
    state: JobState,
}

async fn draft(mut incoming: Incoming) -> Result<(StatusCode, Json<Drafted>), ApiError> {
    extract::no_idempotency_key(incoming.headers())?;
    let body = incoming.json(BODY_BYTES_MAX).await?;
    let Asked { group, release_type, rule_id } = read(body.text())?;
    let rule = rule_id.map(|rule| match rule {
        Rule::Number(number) => number.to_string(),
        Rule::Name(name) => name,
    });
    let answers = [("group", Some(group)), ("release_type", Some(release_type)), ("rule_id", rule)];
    let mut labels = BTreeMap::new();
    for (name, answer) in answers {
        let Some(answer) = answer else { continue };
        let is_plain = (1..=ANSWER_BYTES_MAX).contains(&answer.len());
        if !is_plain || answer.contains(char::is_control) {
            let detail =
                format!("must have 1 to {ANSWER_BYTES_MAX} bytes and no control characters");
            return Err(ApiError::invalid(vec![FieldError::new(format!("/{name}"), detail)]));
        }
        labels.insert(name.to_owned(), answer);
    }
    let release_id = ids::unique().to_string();
    let told = serde_json::to_string(&labels).map_err(ApiError::internal)?;
    let config = json!({
        "release": format!("{}-{}", labels["release_type"], labels["group"]),
        "files": [{"name": "release.json", "text": told}],
    });
    let module = PACKAGING.parse().map_err(ApiError::internal)?;
    let mut request: JobRequest =
        request(module, Some(release_id.clone()), &config.to_string(), "/inputs")?;
    request.metadata.labels = labels;
    request.draft = true;
    let Incoming { app, caller, .. } = &incoming;
    let asker = Shared { app, caller, key: None, traceparent: incoming.traceparent() };
    // What is wrong with the job stands in no body of this request.
    let admitted = admit(asker, &request).await.map_err(ApiError::placeless)?;
    let (id, state) = (admitted.job_id, JobState::Draft);
    let code = if admitted.n.is_some() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let drafted = Drafted { release_id, job_id: id, id, status: word(state), state };
    Ok((code, Json(drafted)))
}
