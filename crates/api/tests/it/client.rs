//! Somebody who asks the API, without a socket between.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use serde_json::Value;
use springhouse_api::Peer;
use tower::ServiceExt;

use crate::house::neighbour;

#[derive(Clone)]
pub struct Client {
    router: Router,
    headers: HeaderMap,
    peer: Peer,
}

impl Client {
    pub fn new(router: Router) -> Client {
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("host"),
            HeaderValue::from_static("localhost:8080"),
        )]);
        Client { router, headers, peer: neighbour(7) }
    }

    /// The same, with one more header.
    pub fn with(&self, name: &'static str, value: &str) -> Client {
        let mut client = self.clone();
        client.headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        client
    }

    /// The same, from another address.
    pub fn at_address(&self, peer: Peer) -> Client {
        Client { peer, ..self.clone() }
    }

    /// The same, with the cookie that an answer has set.
    pub fn with_cookie_of(&self, answer: &Answer) -> Client {
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        self.with("cookie", &cookie)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Body::empty(), None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Body::from(body.to_string()), Some("application/json")).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Body::from(body.to_string()), Some("application/json")).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, Body::empty(), None).await
    }

    /// A body that is no JSON, or is to be seen as something else.
    pub async fn post_raw(&self, path: &str, body: impl Into<Body>, content_type: &str) -> Answer {
        self.send(Method::POST, path, body.into(), Some(content_type)).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Body, content_type: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).body(body).unwrap();
        request.headers_mut().clone_from(&self.headers);
        if let Some(content_type) = content_type {
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
        }
        request.extensions_mut().insert(self.peer.clone());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The JSON of an answer with this status, null where it has no body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem that this answer has to be.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }
}
