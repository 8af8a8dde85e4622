//! Extractors whose refusals are problems: bodies, queries and path parameters, parsed into the types that the
//! handlers work with.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use springhouse_model::Timestamp;

use crate::problem::Problem;

/// A JSON body. Its content type must say so: a form of a foreign page cannot, so it cannot post here either.
pub(crate) struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let is_json = media.eq_ignore_ascii_case("application/json")
            || (media.starts_with("application/") && media.ends_with("+json"));
        if !is_json {
            let detail = format!("content type is `{media}`, expected `application/json`");
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        let RawBody(bytes) = RawBody::from_request(request, state).await?;
        parse_json(&bytes).map(JsonBody)
    }
}

pub(crate) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", error.to_string())
        } else {
            Problem::bad_request("malformed_json", error.to_string())
        }
    })
}

/// The body as it came, within the limit of the route.
pub(crate) struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Bytes::from_request(request, state).await.map(RawBody).map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is larger than this address accepts",
            ),
            _ => Problem::bad_request("unreadable_body", rejection.body_text()),
        })
    }
}

/// Parameters after the `?`.
pub(crate) struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Params(value)),
            Err(rejection) => Err(Problem::bad_request("invalid_query", rejection.body_text())),
        }
    }
}

/// Parameters in the path.
pub(crate) struct At<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(At(value)),
            Err(rejection) => Err(Problem::bad_request("invalid_path", rejection.body_text())),
        }
    }
}

/// A time in a query: RFC 3339, or a number since the epoch in s, ms or µs.
pub(crate) fn parse_time(name: &'static str, text: &str) -> Result<Timestamp, Problem> {
    // A `+` of a time zone that was not escaped arrives as a space.
    let parsed = match text.parse::<i64>() {
        Ok(number) => Some(Timestamp::from_epoch_number(number)),
        Err(_) => Timestamp::parse_rfc3339(&text.replace(' ', "+")),
    };
    parsed.ok_or_else(|| {
        Problem::bad_request("invalid_query", format!("`{name}` is `{text}`, which is not a time"))
            .hint("RFC 3339 such as 2026-01-01T12:00:00Z, or seconds or milliseconds since 1970")
    })
}

/// As [`parse_time`] for a parameter that may be left out.
pub(crate) fn parse_optional_time(
    name: &'static str,
    text: Option<&str>,
) -> Result<Option<Timestamp>, Problem> {
    text.filter(|text| !text.is_empty()).map(|text| parse_time(name, text)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_usual_form() {
        let noon = Timestamp::parse_rfc3339("2026-01-01T12:00:00Z").unwrap();
        for text in ["2026-01-01T12:00:00Z", "2026-01-01T13:00:00 01:00", "1767268800", "1767268800000"] {
            assert_eq!(parse_time("from", text).unwrap(), noon, "{text}");
        }
        assert!(parse_time("from", "yesterday").is_err());
    }
}
