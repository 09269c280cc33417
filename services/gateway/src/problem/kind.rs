//! What each problem code means over HTTP: the one table.

use axum::http::StatusCode;
use nox_contract::ProblemCode;

/// What a code means.
pub struct ProblemType {
    pub status: StatusCode,
    pub title: &'static str,
    /// For the code's page: what happened and what to do about it.
    pub text: &'static str,
    /// Seconds after which to try again, where the refusal itself doesn't know better; 0 where
    /// waiting doesn't help.
    pub retry_after_s: u32,
}

/// The table.
pub fn problem_type(code: ProblemCode) -> ProblemType {
    let (status, retry_after_s, title, text) = match code {
        ProblemCode::MalformedJson => (
            400,
            0,
            "Malformed JSON",
            "The body is not one JSON value in UTF-8. Send the same data as valid JSON.",
        ),
        ProblemCode::InvalidRequest => (
            422,
            0,
            "Invalid request",
            "A member, parameter or header is missing, unknown or of the wrong kind. `errors` names \
             each with a JSON pointer into the body, or as `?name` for a query parameter.",
        ),
        ProblemCode::InvalidInputs => (
            422,
            0,
            "Inputs do not fit the module",
            "The module's input schema (`GET /modules/{name}`) refuses the inputs. `errors` says \
             where and why.",
        ),
        ProblemCode::InvalidCommand => (
            400,
            0,
            "Not a command",
            "`command` is empty, longer than 2,000 bytes, or holds what no store keeps.",
        ),
        ProblemCode::UnstorableJson => (
            422,
            0,
            "JSON that cannot be stored",
            "The inputs hold something that no store keeps: the character U+0000, half of a \
             surrogate pair, a number out of all bounds, or more than 64 levels.",
        ),
        ProblemCode::InvalidId => {
            (400, 0, "Malformed id", "The id in the path is not one. Job ids are UUIDs.")
        }
        ProblemCode::AmbiguousHead => (
            400,
            0,
            "Ambiguous head",
            "The request names no host or several ones, or a trusted proxy says in no clear way whom it is from: \
             two servers could read it in two ways. Send one `Host`; have the proxy write one address.",
        ),
        ProblemCode::HeadTooLarge => (
            431,
            0,
            "Head too large",
            "The request's line and headers are longer, or the headers are more, than `detail` says \
             may be.",
        ),
        ProblemCode::BodyTooLarge => (
            413,
            0,
            "Too large",
            "The body, or the inputs in it, are larger than the limit that `detail` names.",
        ),
        ProblemCode::BodyTimeout => (
            408,
            0,
            "Body too slow",
            "The body did not arrive in time. Send it without pauses; it was not looked at.",
        ),
        ProblemCode::UnsupportedMediaType => (
            415,
            0,
            "Unsupported media type",
            "Send `Content-Type: application/json`, without a content encoding.",
        ),
        ProblemCode::MethodNotAllowed => {
            (405, 0, "Method not allowed", "The `Allow` header says what this address can do.")
        }
        ProblemCode::RouteNotFound => (404, 0, "No such address", "Nothing is served here."),
        ProblemCode::RangeNotSatisfiable => (
            416,
            0,
            "Range not satisfiable",
            "`Range` asks for what is behind the end of the file, whose size is in `Content-Range`.",
        ),
        ProblemCode::PlaceGone => (
            410,
            0,
            "The log has that no more",
            "Events are asked for from a place on that neither the log's stream nor its archive has. \
             Begin anew: read what you follow, and follow it from now on.",
        ),
        ProblemCode::Unauthenticated => (
            401,
            0,
            "Not authenticated",
            "Send one `Authorization: Bearer <token>` header with a JWT that is signed with HS256, \
             names `sub` and `exp`, and lives no longer than this server allows. All refused \
             tokens are answered alike; the server's log has the reason.",
        ),
        ProblemCode::TokenExpired => (401, 0, "Token expired", "Get a new token."),
        ProblemCode::Forbidden => (
            403,
            0,
            "Not allowed",
            "The token is valid, but its roles or scopes do not allow this.",
        ),
        ProblemCode::UnknownModule => (
            422,
            0,
            "Unknown module",
            "No worker ever declared this module, and nobody registered it. `GET /modules` lists what there is.",
        ),
        ProblemCode::ModuleNotFound => {
            (404, 0, "No such module", "`GET /modules` lists what there is.")
        }
        ProblemCode::InvalidManifest => (
            422,
            0,
            "Not a manifest",
            "What is to be registered is no manifest of a module, or one that needs what only a module in an \
             executor's own folder has. `errors` says where and why.",
        ),
        ProblemCode::VersionConflict => (
            409,
            0,
            "Version taken",
            "There is a version of this name with another manifest, and a version stays what it is. Give the \
             new one a `version` of its own.",
        ),
        ProblemCode::DisabledModule => {
            (409, 0, "Module disabled", "An administrator switched the module off.")
        }
        ProblemCode::JobNotFound => {
            (404, 0, "Not Found", "There is no such job among those that you may see.")
        }
        ProblemCode::TaskNotFound => {
            (404, 0, "Not Found", "There is no such task among those that you may see.")
        }
        ProblemCode::WorkerNotFound => (
            404,
            0,
            "Not Found",
            "There is no such worker of yours: it never registered a job, was removed, or was given up \
             because it sent no heartbeat in time. Register its jobs again.",
        ),
        ProblemCode::AccountNotFound => (
            404,
            0,
            "Not Found",
            "There is no such account among those that you may see: nothing was ever submitted for it, and no \
             admin has set its limits.",
        ),
        ProblemCode::KeyNotFound => {
            (404, 0, "Not Found", "There is no such API key among those that you may see.")
        }
        ProblemCode::ScheduleNotFound => {
            (404, 0, "Not Found", "There is no such schedule among those that you may see.")
        }
        ProblemCode::WebhookNotFound => {
            (404, 0, "Not Found", "There is no such webhook among those that you may see.")
        }
        ProblemCode::DeliveryNotFound => (
            404,
            0,
            "Not Found",
            "There is no such delivery of this webhook, or it is kept no longer.",
        ),
        ProblemCode::WebhookDisabled => (
            409,
            0,
            "Switched off",
            "The webhook is switched off and sends nothing: switch it on first.",
        ),
        ProblemCode::TooMany => (
            409,
            0,
            "As many as there may be",
            "There are as many of these as one user, or one tenant, may have: delete one that is not needed \
             any more.",
        ),
        ProblemCode::AtMostExceeded => (
            409,
            0,
            "More than expected",
            "There are more jobs than the request says that there may be (`at_most`), and nothing was done. Look \
             at them again.",
        ),
        ProblemCode::InvalidTaskTransition => (
            409,
            0,
            "Conflict",
            "A task goes from pending to claimed (by a claim), from there to running, and then to \
             completed or failed; as long as it has not ended, it can be cancelled. `detail` says what was \
             asked for.",
        ),
        ProblemCode::SchemaConflict => (
            409,
            0,
            "Conflict",
            "The job is registered in this room with another schema. Choose another name, or have its \
             workers go first.",
        ),
        ProblemCode::InvalidCategory => {
            (400, 0, "Bad Request", "Jobs are registered under the categories that `detail` lists.")
        }
        ProblemCode::InvalidRoomId => (
            400,
            0,
            "Bad Request",
            "A room is called by text without `@`, `:`, `/` and control characters; `@global` stands for \
             all rooms.",
        ),
        ProblemCode::ArtifactNotFound => (
            404,
            0,
            "No such artifact",
            "The job is there, and has nothing of this kind to give: `detail` says whether it has not \
             ended yet, did not succeed, never had such a file, or had one that has expired.",
        ),
        ProblemCode::NotEnded => {
            (409, 0, "Job not ended", "Only a job that has ended is repeated.")
        }
        ProblemCode::Parked => (
            409,
            0,
            "Parked",
            "A newer version of the scheduler led, and the one that leads now does not know what became of this. Nothing \
             is done with it until the newer version leads again; then it goes on.",
        ),
        ProblemCode::AlreadyEnded => (409, 0, "Job already ended", "An ended job stays as it is."),
        ProblemCode::IdempotencyConflict => (
            422,
            0,
            "Idempotency key used otherwise",
            "This `Idempotency-Key` was used for another request. Use a key for one request alone, \
             and repeat that request unchanged.",
        ),
        ProblemCode::StaleStamp => {
            (503, 1, "Try again", "The request took too long inside. Repeat it.")
        }
        ProblemCode::BudgetExhausted => (
            429,
            60,
            "Budget exhausted",
            "The day's core seconds are spent or reserved. They free when jobs end early, and at \
             0:00 UTC.",
        ),
        ProblemCode::QueueFull => {
            (429, 5, "Too many jobs", "Too many jobs are queued or running. Wait for some to end.")
        }
        ProblemCode::RequestTooLarge => (
            403,
            0,
            "Larger than allowed",
            "The job, or all jobs of a batch that are admitted all or none, ask for more than their owner may ever \
             have at once. Waiting does not help.",
        ),
        ProblemCode::Unsatisfiable => (
            422,
            0,
            "No worker is large enough",
            "The job asks for more than any worker that serves its module has, and this system does not let \
             such jobs wait for another one. Ask for less.",
        ),
        ProblemCode::UploadQuota => (
            403,
            0,
            "Too much uploaded",
            "What one user may keep of uploads is taken. It frees when uploads expire that no job \
             needs.",
        ),
        ProblemCode::RateLimited => (
            429,
            1,
            "Too many requests",
            "One user may make so many requests in so much time as `RateLimit-Policy` says, and follow \
             events so often at a time as `detail` says. Wait for as long as `Retry-After` says.",
        ),
        ProblemCode::Refused => (
            422,
            0,
            "Refused",
            "The scheduler refused this for the reason in `detail`, which has a code that this \
             gateway, of an older version, does not know.",
        ),
        ProblemCode::Overloaded => {
            (503, 2, "Overloaded", "More is asked for than can be taken in. Try again later.")
        }
        ProblemCode::StorageFull => (
            507,
            2,
            "No room",
            "What the request would be kept in is full, or nearly: `detail` says what. Jobs that are \
             in go on.",
        ),
        ProblemCode::Lagging => (
            503,
            1,
            "View is behind",
            "What is shown is behind what was acknowledged, so this cannot be answered truthfully \
             yet. Try again.",
        ),
        ProblemCode::Unavailable => (
            503,
            2,
            "Not available",
            "A part of the system does not answer. Repeat the request; with the same \
             `Idempotency-Key` that is safe even if it was admitted.",
        ),
        ProblemCode::Internal => {
            (500, 0, "Internal error", "This is a defect. The request id finds it in the log.")
        }
    };
    let status = StatusCode::from_u16(status).expect("the table holds valid statuses");
    ProblemType { status, title, text, retry_after_s }
}

/// The address of the code's page.
pub fn type_of(code: ProblemCode) -> String {
    format!("/v1/problems/{}", code.as_str().replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: &str = include_str!("../../../../docs/API.md");

    #[test]
    fn every_code_stands_in_the_description_of_the_api_beside_its_status() {
        for code in ProblemCode::ALL {
            let row = format!("| {} |", problem_type(code).status.as_u16());
            let named = |line: &str| line.starts_with(&row) && line.contains(&format!("`{code}`"));
            assert!(API.lines().any(named), "{row} … `{code}`");
        }
    }
}
