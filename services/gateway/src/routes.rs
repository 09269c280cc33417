//! Every address that the gateway serves.

use std::sync::Arc;

use axum::{Router, middleware, routing::get};
use nox_contract::ProblemCode;

use crate::{
    app::App,
    endpoint,
    http::observe,
    problem::ApiError,
    surfaces::{self, native::health},
};

/// The whole API.
pub fn router(app: Arc<App>) -> Router {
    endpoint::router(surfaces::endpoints(), &app)
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn_with_state(app.clone(), observe::around))
        .with_state(app)
}

/// What is served to connections for which there is no place: whether the process lives and is ready,
/// and to everybody else that there is none.
pub fn full(app: Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(nox_service::admin::livez))
        .route("/readyz", get(health::readyz))
        .fallback(no_place)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn_with_state(app.clone(), observe::around))
        .with_state(app)
}

async fn no_place() -> ApiError {
    let detail = "all places for connections are taken, in all or by this address";
    ApiError::new(ProblemCode::Overloaded, detail)
}

async fn nowhere() -> ApiError {
    ApiError::new(ProblemCode::RouteNotFound, "nothing is served at this address")
}

async fn not_so() -> ApiError {
    ApiError::new(ProblemCode::MethodNotAllowed, "this address does not have this method")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::surfaces;

    const API: &str = include_str!("../../../docs/API.md");

    #[test]
    fn every_address_stands_in_the_description_of_the_api() {
        for endpoint in surfaces::endpoints() {
            let named = format!("`{} {}", endpoint.method.as_str(), endpoint.path);
            assert!(API.contains(&named), "{named}");
        }
    }

    #[test]
    fn no_two_endpoints_share_an_id_or_an_address() {
        let endpoints = surfaces::endpoints();
        assert!(endpoints.len() > 30);
        let ids: BTreeSet<_> = endpoints.iter().map(|endpoint| endpoint.id).collect();
        assert_eq!(ids.len(), endpoints.len());
        let addresses: BTreeSet<_> =
            endpoints.iter().map(|endpoint| (endpoint.path, endpoint.method)).collect();
        assert_eq!(addresses.len(), endpoints.len());
    }
}
