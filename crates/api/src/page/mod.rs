//! The page: the files that `build.rs` put into the binary, and `index.html` for every address that the page's own
//! router knows and this one does not.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::problem::Problem;

include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// One embedded file.
struct File {
    /// Address below the root, with its leading slash.
    path: &'static str,
    content_type: &'static str,
    /// Hash of the content, quoted.
    etag: &'static str,
    plain: &'static [u8],
    /// The same, compressed at build time; `None` where that gains nothing.
    gzip: Option<&'static [u8]>,
}

/// Vite names these files by their content, so that they never change under their name.
const HASHED_FOLDER: &str = "/assets/";

/// Answers whatever no route of the API has taken.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if path.starts_with("/api/") || path == "/api" {
        return Problem::no_such_route(path).into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return Problem::method_not_allowed(&method).into_response();
    }
    match find(path).or_else(|| is_view(path).then(|| find("/index.html")).flatten()) {
        Some(file) => respond(file, &headers),
        None => Problem::no_such_route(path).into_response(),
    }
}

/// Answers a known address that is asked by a method it does not have.
pub(crate) async fn method_not_allowed(method: Method) -> Response {
    Problem::method_not_allowed(&method).into_response()
}

fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

/// Whether an address may be a view of the page. A missing asset is an error, not the page.
fn is_view(path: &str) -> bool {
    !path.starts_with(HASHED_FOLDER)
}

fn respond(file: &'static File, headers: &HeaderMap) -> Response {
    let cache =
        if file.path.starts_with(HASHED_FOLDER) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = if has_token(headers, header::IF_NONE_MATCH, file.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let zipped = file.gzip.filter(|_| has_token(headers, header::ACCEPT_ENCODING, "gzip"));
        let mut response = Response::new(Body::from(Bytes::from_static(zipped.unwrap_or(file.plain))));
        let out = response.headers_mut();
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
        if zipped.is_some() {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    };
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::ETAG, HeaderValue::from_static(file.etag));
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// Whether a comma-separated header names `wanted`; `gzip;q=0` refuses it.
fn has_token(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| {
        let (token, weight) = part.split_once(';').unwrap_or((part, ""));
        token.trim().trim_start_matches("W/") == wanted && !matches!(weight.trim(), "q=0" | "q=0.0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[tokio::test]
    async fn an_unknown_address_is_a_view_of_the_page() {
        let response = serve(Method::GET, Uri::from_static("/devices/lamp.1"), HeaderMap::new()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
    }

    #[tokio::test]
    async fn a_missing_asset_is_an_error() {
        let response = serve(Method::GET, Uri::from_static("/assets/gone.js"), HeaderMap::new()).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_page_that_the_browser_has_is_not_sent_again() {
        let etag = find("/index.html").unwrap().etag;
        let known = headers(header::IF_NONE_MATCH, etag);
        let response = serve(Method::GET, Uri::from_static("/"), known).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn encodings_are_read_from_the_list() {
        let accepts =
            |value| has_token(&headers(header::ACCEPT_ENCODING, value), header::ACCEPT_ENCODING, "gzip");
        assert!(accepts("gzip, deflate, br") && accepts("br;q=1, gzip;q=0.5"));
        assert!(!accepts("br") && !accepts("gzip;q=0"));
    }
}
