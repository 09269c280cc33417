//! Why a request fails, in a form that knows nothing of HTTP ([`ApiError`]); what each code means over HTTP
//! ([`kind`]), and the one conversion into a problem document ([`response`], RFC 9457).

pub mod kind;
mod response;

use nox_contract::{ProblemCode, Refusal};
use schemars::JsonSchema;
use serde::Serialize;

pub use self::response::{Document, closing};

/// Why a request failed, with all that its problem document says.
#[derive(Debug)]
pub struct ApiError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    refusal: Refusal,
    errors: Vec<FieldError>,
    /// For our log alone.
    cause: Option<anyhow::Error>,
}

/// One thing that is wrong with a request's body or query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// A JSON pointer into the body, or the name of a query parameter after `?`.
    pub pointer: String,
    pub detail: String,
    /// Where in a text, if it is in one.
    #[serde(flatten)]
    pub place: Option<TextPlace>,
}

/// What stands elsewhere in the body than in what was made of it; JSON pointers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    pub to: &'static str,
    pub from: &'static str,
}

/// A line and a column of a text in the body, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TextPlace {
    pub line: usize,
    pub column: usize,
}

impl From<(usize, usize)> for TextPlace {
    fn from((line, column): (usize, usize)) -> Self {
        Self { line, column }
    }
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into(), place: None }
    }
}

impl ApiError {
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Refusal::new(code, detail).into()
    }

    /// No job of this id is visible to the asker. The one text for it, so that another's job and
    /// none at all look the same.
    pub fn no_job() -> Self {
        Self::new(ProblemCode::JobNotFound, "no such job")
    }

    /// A body or query that is wrong in `errors`.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => said(one),
            many => format!("{} things are wrong with the request", many.len()),
        };
        Self::new(ProblemCode::InvalidRequest, detail).with_errors(errors)
    }

    /// A part of the system that we need does not answer.
    pub fn unavailable(what: &str, cause: impl Into<anyhow::Error>) -> Self {
        Self::new(ProblemCode::Unavailable, format!("{what} does not answer")).caused_by(cause)
    }

    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::new(ProblemCode::Internal, "an internal error").caused_by(cause)
    }

    /// The same under another code, where a surface's clients look for that.
    pub fn with_code(mut self, code: ProblemCode) -> Self {
        self.0.refusal.code = code;
        self
    }

    /// Adds what our log is to say beside what the asker is told.
    pub fn caused_by(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Names places as the body has them that was sent.
    pub fn placed(self, moved: &[Moved]) -> Self {
        self.renamed(|pointer| {
            moved.iter().find_map(|Moved { to, from }| {
                let rest = pointer.strip_prefix(to)?;
                (rest.is_empty() || rest.starts_with('/')).then(|| format!("{from}{rest}"))
            })
        })
    }

    /// The same of the job at `place` of those that are submitted together.
    pub fn of_job(mut self, place: usize) -> Self {
        let job = format!("/jobs/{place}");
        let Inner { refusal, errors, .. } = &mut *self.0;
        if !errors.is_empty() {
            return self.within(&job);
        }
        errors.push(FieldError::new(&job, &refusal.detail));
        refusal.detail.insert_str(0, &format!("{job}: "));
        self
    }

    /// Names places as the body has them, of which a value was read by itself that stands at `member`.
    pub fn within(self, member: &str) -> Self {
        self.renamed(|pointer| {
            let in_body = pointer.is_empty() || pointer.starts_with('/');
            in_body.then(|| format!("{member}{pointer}"))
        })
    }

    /// Names each place as `name` has it, if it has it, in the detail as well.
    fn renamed(mut self, name: impl Fn(&str) -> Option<String>) -> Self {
        let Inner { refusal, errors, .. } = &mut *self.0;
        for error in errors {
            let Some(pointer) = name(&error.pointer) else { continue };
            let told_alone = refusal.detail == said(error);
            error.pointer = pointer;
            if told_alone {
                refusal.detail = said(error);
            }
        }
        self
    }

    /// Without the places, where there is no body that they could be in.
    pub fn placeless(self) -> Self {
        self.with_errors(Vec::new())
    }

    #[cfg(test)]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    pub fn code(&self) -> ProblemCode {
        self.0.refusal.code
    }
}

/// One error as a detail.
fn said(error: &FieldError) -> String {
    format!("{}: {}", error.pointer, error.detail)
}

/// How much of `limit` is used, in per cent with two decimals.
pub fn percentage(usage: Option<i64>, limit: Option<i64>) -> Option<f64> {
    let (usage, limit) = (usage?, limit.filter(|limit| *limit > 0)?);
    Some((usage as f64 * 10_000.0 / limit as f64).round() / 100.0)
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self(Box::new(Inner { refusal, errors: Vec::new(), cause: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_part_of_a_body_is_named_by_its_place_in_the_whole() {
        let one = ApiError::invalid(vec![FieldError::new("/priority", "is too high")]);
        let one = one.within("/job").0;
        assert_eq!(one.refusal.detail, "/job/priority: is too high");
        assert_eq!(one.errors[0].pointer, "/job/priority");
        let whole = ApiError::invalid(vec![FieldError::new("", "must be an object")]);
        assert_eq!(whole.within("/job").0.errors[0].pointer, "/job");
        let query = ApiError::invalid(vec![FieldError::new("?n", "is no number")]);
        assert_eq!(query.within("/job").0.errors[0].pointer, "?n");
        assert!(
            ApiError::invalid(vec![FieldError::new("/a", "b")]).placeless().0.errors.is_empty()
        );
    }

    #[test]
    fn what_stands_elsewhere_in_the_body_is_named_by_its_place_there_and_nowhere_by_another() {
        let moved = [Moved { to: "/inputs/charge", from: "/inputs/params/chrg" }];
        let placed = |pointer: &str| {
            let error = ApiError::invalid(vec![FieldError::new(pointer, "is too high")]);
            let Inner { refusal, errors, .. } = *error.placed(&moved).0;
            assert_eq!(refusal.detail, said(&errors[0]));
            errors[0].pointer.clone()
        };
        assert_eq!(placed("/inputs/charge"), "/inputs/params/chrg");
        assert_eq!(placed("/inputs/charge/0"), "/inputs/params/chrg/0");
        assert_eq!(placed("/inputs/charges"), "/inputs/charges");
        assert_eq!(placed("?n"), "?n");
    }
}
