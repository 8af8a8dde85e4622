//! Errors as people and programs get them: `application/problem+json` (RFC 9457) with a stable code, what went
//! wrong, a hint, and the id under which the hub's own log speaks of the request.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use springhouse_meta::MetaError;
use springhouse_model::{ErrorClass, NameError};
use utoipa::ToSchema;

use crate::envelope::request_id;

pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// An error on its way to the client.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// A word for programs, in snake_case; stable.
    pub code: Cow<'static, str>,
    pub detail: String,
    pub hint: Option<Cow<'static, str>>,
    pub retry_after_s: Option<u64>,
}

/// The body of every error.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Always `about:blank`: the code says which problem it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The HTTP status in words.
    #[schema(example = "Not Found")]
    title: &'static str,
    #[schema(example = 404)]
    status: u16,
    /// A word for programs; stable.
    #[schema(example = "not_found")]
    code: Cow<'static, str>,
    /// What went wrong, for a person.
    detail: String,
    /// What to do about it.
    hint: Option<Cow<'static, str>>,
    /// Under this id the hub's log speaks of the request.
    request_id: String,
}

impl Problem {
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Problem {
        let (detail, hint) = split_hint(detail.into());
        Problem { status, code: code.into(), detail, hint, retry_after_s: None }
    }

    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    pub fn retry_after_s(mut self, seconds: u64) -> Problem {
        self.retry_after_s = Some(seconds);
        self
    }

    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, code, detail)
    }

    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, code, detail)
    }

    pub fn not_found(kind: &str, name: impl std::fmt::Display) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not_found", format!("{kind} `{name}` does not exist"))
    }

    pub fn unauthenticated() -> Problem {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "this address needs a token or a signed-in person",
        )
        .hint(
            "send `Authorization: Bearer shk_…`, made by `springhouse token create`, or sign in on the page",
        )
    }

    pub fn no_such_route(path: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "no_such_route", format!("there is nothing at `{path}`"))
            .hint("the addresses are listed in /api/openapi.json")
    }

    pub fn method_not_allowed(method: &Method) -> Problem {
        let detail = format!("this address does not know the method {method}");
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
            .hint("the addresses are listed in /api/openapi.json")
    }

    /// Something broke that the client cannot help; the cause goes to the log and not to the client.
    pub fn internal(doing: &'static str, error: &dyn std::error::Error) -> Problem {
        tracing::error!(request_id = %request_id(), doing, error = %Chain(error), "request failed");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("cannot {doing}"))
            .hint("the hub's log has the cause under the request id")
    }

    /// The disk or another system failed; trying later may help.
    pub fn unavailable(doing: &'static str, error: &dyn std::error::Error) -> Problem {
        tracing::error!(request_id = %request_id(), doing, error = %Chain(error), "request failed");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", format!("cannot {doing}"))
            .retry_after_s(5)
    }

    /// By whose fault it is: the text goes to the client only when the client can do something about it.
    pub fn by_class(
        class: ErrorClass,
        code: &'static str,
        doing: &'static str,
        error: &dyn std::error::Error,
    ) -> Problem {
        match class {
            ErrorClass::User => Problem::bad_request(code, Chain(error).to_string()),
            ErrorClass::Environment => Problem::unavailable(doing, error),
            ErrorClass::Internal => Problem::internal(doing, error),
        }
    }
}

/// Error texts of the project end in `hint: …`; over HTTP that is a field of its own.
fn split_hint(text: String) -> (String, Option<Cow<'static, str>>) {
    match text.rsplit_once("hint: ") {
        Some((detail, hint)) => {
            let detail = detail.trim_end().trim_end_matches([';', ',']).to_owned();
            (detail, Some(Cow::Owned(hint.to_owned())))
        }
        None => (text, None),
    }
}

/// An error with its causes, since `Display` of an error never repeats its source.
pub(crate) struct Chain<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Transparent wrappers say what their source says.
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            hint: self.hint,
            request_id: request_id(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            headers
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"springhouse\""));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<MetaError> for Problem {
    fn from(error: MetaError) -> Problem {
        match &error {
            MetaError::NotFound { kind, name } => Problem::not_found(kind, name),
            MetaError::Conflict { .. } => Problem::conflict("conflict", error.to_string()),
            MetaError::Password(_) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "password", error.to_string())
            }
            _ => Problem::by_class(error.class(), error.code(), "use the hub's own database", &error),
        }
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Problem {
        Problem::bad_request("invalid_name", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_of_an_error_text_becomes_a_field() {
        let problem = Problem::bad_request("x", "`root` is not a scope; hint: admin, write, read or ingest");
        assert_eq!(problem.detail, "`root` is not a scope");
        assert_eq!(problem.hint.as_deref(), Some("admin, write, read or ingest"));
    }

    #[test]
    fn a_refused_name_says_why() {
        let problem = Problem::from("a/b".parse::<springhouse_model::DeviceId>().unwrap_err());
        assert_eq!(problem.status, StatusCode::BAD_REQUEST);
        assert!(problem.detail.contains("`/`"), "{}", problem.detail);
    }
}
