//! How many requests a user may make in a time, whatever they ask for.
//!
//! Told in the fields of draft-ietf-httpapi-ratelimit-headers-10.

use std::num::NonZeroU32;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
};
use nox_contract::{ProblemCode, Refusal, TenantId, UserId};

use super::auth::Caller;
use crate::problem::ApiError;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Users of whom is remembered how many requests they made. Beyond, those that made none lately are forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// So many requests a second, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
}

/// Who made how many requests, since the process began.
pub struct RateLimits {
    rate: Rate,
    users: DefaultKeyedRateLimiter<(TenantId, UserId), StateInformationMiddleware>,
    policy: HeaderValue,
}

impl RateLimits {
    pub fn new(rate: Rate) -> Self {
        let Rate { per_second, burst } = rate;
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let window = burst.get().div_ceil(per_second.get());
        let policy = format!("\"user\";q={burst};w={window}");
        Self {
            rate,
            users: DefaultKeyedRateLimiter::keyed(quota)
                .with_middleware::<StateInformationMiddleware>(),
            policy: HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("")),
        }
    }

    /// Counts a request of the caller's. What its answer says of the limit, or its refusal.
    pub fn count(&self, caller: &Caller) -> Result<HeaderMap, ApiError> {
        if self.users.len() > REMEMBERED_MAX {
            self.users.retain_recent();
        }
        let state = self.users.check_key(&(caller.tenant.clone(), caller.user.clone()));
        let state = state.map_err(|denied| {
            let wait = denied.wait_time_from(DefaultClock::default().now());
            let Rate { per_second, burst } = self.rate;
            let detail =
                format!("a user may make {per_second} requests a second, and {burst} at once");
            let mut refusal = Refusal::new(ProblemCode::RateLimited, detail);
            refusal.retry_after_s = Some(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX) + 1);
            ApiError::from(refusal)
        })?;
        let left = state.remaining_burst_capacity();
        let refill = (self.rate.burst.get() - left).div_ceil(self.rate.per_second.get());
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(POLICY, self.policy.clone());
        if let Ok(limit) = HeaderValue::from_str(&format!("\"user\";r={left};t={refill}")) {
            headers.insert(LIMIT, limit);
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(user: &str) -> Caller {
        let tenant = "default".parse().unwrap();
        Caller {
            tenant,
            user: user.parse().unwrap(),
            admin: false,
            key_id: None,
            token_id: None,
            scopes: Vec::new(),
            expires_at: None,
        }
    }

    #[test]
    fn a_user_has_its_own_limit_and_is_told_of_it() {
        let of = |number| NonZeroU32::new(number).unwrap();
        let limits = RateLimits::new(Rate { per_second: of(1), burst: of(3) });
        for left in [2, 1, 0] {
            let told = limits.count(&caller("ada")).unwrap();
            assert_eq!(told[POLICY], "\"user\";q=3;w=3");
            let expected = format!("\"user\";r={left};t={}", 3 - left);
            assert_eq!(told[LIMIT].to_str().unwrap(), expected);
        }
        let refused = limits.count(&caller("ada")).unwrap_err().shown();
        assert_eq!(
            (&refused["code"], &refused["retry_after"]),
            (&"rate_limited".into(), &1.into())
        );
        assert!(limits.count(&caller("eve")).is_ok());
    }
}
