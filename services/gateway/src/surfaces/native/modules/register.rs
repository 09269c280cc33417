//! `POST /modules`: a version of a module is registered.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, Manifest, ModuleName, ProblemCode, REGISTERED_BYTES_MAX, RawJson};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    endpoint::{Access, Answer, Content, Endpoint, Header, Method},
    extract::{self, Incoming},
    object::Object,
    problem::ApiError,
    use_cases::modules,
};

/// Largest body of a registration: blanks in it count no further.
const REGISTER_BODY_BYTES_MAX: usize = 4 * REGISTERED_BYTES_MAX;

const LOCATION: Header = Header::text("Location", "The module's address.");

pub fn endpoint() -> Endpoint {
    Endpoint::new(
            Method::Post,
            "/modules",
            Access::OPERATOR,
            (
                "register_module",
                "Registers a version of a module, for executors that take such modules to run. It is the present \
                 version from then on.",
            ),
            register,
        )
        .body(Content::json::<ManifestBody>())
            .example(r#"{"name": "registered", "version": "1", "sandbox": "isolated", "input_schema": {}, "resources": {"cpu": 1, "mem_mb": 1, "wall_time_s": 1}, "run": {"program": "true"}}"#)
        .answer(Answer::json::<RegisteredView>(201, "It is registered.").headers([LOCATION]))
        .answer(Answer::json::<RegisteredView>(200, "It was registered before."))
        .answer(Answer::json::<RegisteredView>(202, "It will be decided."))
        .problems(&[
            ProblemCode::InvalidManifest,
            ProblemCode::UnstorableJson,
            ProblemCode::VersionConflict,
            ProblemCode::Parked,
            ProblemCode::TooMany,
        ])
}

/// A manifest: the members of `module.toml` as JSON, with all that would lie beside it in it. Those that are not named
/// here are as modules/README.md has them.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ModuleManifest")]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
struct ManifestBody {
    name: ModuleName,
    #[schemars(length(min = 1, max = 64))]
    version: String,
    #[serde(default)]
    title: String,
    sandbox: SandboxLevel,
    /// Whether it may use the machine's network, where executors let registered modules.
    #[serde(default)]
    network: bool,
    /// JSON Schema (2020-12).
    input_schema: BTreeMap<String, Value>,
    resources: ManifestResources,
    run: BTreeMap<String, Value>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SandboxLevel {
    None,
    Process,
    Isolated,
}

/// What a job gets that asks for nothing.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
struct ManifestResources {
    #[schemars(range(min = 1))]
    cpu: u32,
    #[schemars(range(min = 1))]
    mem_mb: u32,
    #[schemars(range(min = 1))]
    wall_time_s: u32,
    #[serde(default)]
    gpu: u32,
}

/// What became of a registration.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModuleRegistered")]
struct RegisteredView {
    name: ModuleName,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

/// For operators.
async fn register(mut incoming: Incoming) -> Result<Response, ApiError> {
    extract::no_idempotency_key(incoming.headers())?;
    let body = incoming.json(REGISTER_BODY_BYTES_MAX).await?;
    let Object(_) = Object::read(body.text())?;
    let source = RawJson::parse(body.text().to_owned())
        .map_err(|error| ApiError::new(ProblemCode::MalformedJson, error.to_string()))?;
    let (Manifest { name, version, .. }, accepted) =
        modules::register(&incoming.app, &incoming.caller, &source).await?;
    let status = match &accepted {
        Some(accepted) if accepted.repeated => StatusCode::OK,
        Some(_) => StatusCode::CREATED,
        None => StatusCode::ACCEPTED,
    };
    let location = format!("/modules/{name}");
    let (n, pending) = (accepted.as_ref().map(|accepted| accepted.n), accepted.is_none());
    let mut response = (status, Json(RegisteredView { name, version, n, pending })).into_response();
    if status == StatusCode::CREATED {
        let location = HeaderValue::try_from(location).map_err(ApiError::internal)?;
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
