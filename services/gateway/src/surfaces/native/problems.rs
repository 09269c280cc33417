//! A page for each problem, where its `type` points to.

use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};
use nox_contract::ProblemCode;
use serde::{Deserialize, de::IntoDeserializer};

use crate::{
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract::Segment,
    problem::{
        ApiError,
        kind::{ProblemType, problem_type, type_of},
    },
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_problem", "What a type of problem means, and what to do about it.");
    Endpoint::new(Method::Get, "/v1/problems/{name}", Access::ANYONE, (id, summary), problem)
        .answer(Answer::of(200, "A page.", vec![Content::Other("text/html")]))
        .problems(&[ProblemCode::RouteNotFound])
}

pub async fn problem(Segment(name): Segment) -> Response {
    let Some(code) = code_of(&name) else {
        return ApiError::new(ProblemCode::RouteNotFound, "there is no problem of this name")
            .into_response();
    };
    let ProblemType { status, title, text, .. } = problem_type(code);
    // Nothing in here is from outside.
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n\
         <h1>{title}</h1>\n<p>Status {status}, code <code>{code}</code>, type <code>{}</code>.</p>\n\
         <p>{}</p>\n</html>\n",
        type_of(code),
        text.replace('<', "&lt;"),
    );
    let policy = [(header::CONTENT_SECURITY_POLICY, "default-src 'none'")];
    (policy, Html(page)).into_response()
}

/// Reads a code as it stands in a problem's `type`.
fn code_of(kebab: &str) -> Option<ProblemCode> {
    if kebab.contains('_') {
        return None;
    }
    let word = kebab.replace('-', "_");
    let word: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        word.as_str().into_deserializer();
    ProblemCode::deserialize(word).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn a_problem_s_type_opens_a_page() {
        for code in [ProblemCode::JobNotFound, ProblemCode::Lagging, ProblemCode::InvalidRequest] {
            let name = type_of(code).rsplit('/').next().unwrap().to_owned();
            assert_eq!(code_of(&name), Some(code));
            let response = problem(Segment(name)).await;
            assert_eq!(response.status(), StatusCode::OK);
        }
        for name in ["", "nothing", "job_not_found", "<script>"] {
            let response = problem(Segment(name.to_owned())).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{name}");
        }
    }
}
