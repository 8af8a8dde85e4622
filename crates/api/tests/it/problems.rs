//! What is said when something is wrong, who is answered at all, and what every answer carries.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;
use springhouse_api::Options;

use crate::house::{House, neighbour, this_machine};

#[tokio::test]
async fn an_error_has_the_shape_of_rfc_9457_and_names_its_request() {
    let house = House::new().await;
    let answer = house.admin().get("/api/v1/streams/nowhere").await;
    let problem = answer.problem(404, "not_found");
    assert_eq!(
        problem,
        json!({
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "code": "not_found",
            "detail": "stream `nowhere` does not exist",
            "hint": null,
            "request_id": answer.header("x-request-id"),
        })
    );
    assert!(!answer.header("x-request-id").is_empty());
}

#[tokio::test]
async fn a_request_id_of_a_proxy_is_taken_over_when_it_is_harmless() {
    let house = House::new().await;
    let asked = async |id: &str| {
        house.stranger().with("x-request-id", id).get("/healthz").await.header("x-request-id").to_owned()
    };
    assert_eq!(asked("trace-7.a_B").await, "trace-7.a_B");
    assert_ne!(asked("<script>").await, "<script>");
    let long = "x".repeat(65);
    assert_ne!(asked(&long).await, long);
}

#[tokio::test]
async fn an_unknown_address_is_a_problem_below_api_and_the_page_elsewhere() {
    let house = House::new().await;
    for path in ["/api/v1/nothing", "/api/v2/streams", "/api/", "/api/v1", "/api"] {
        house.stranger().get(path).await.problem(404, "no_such_route");
    }
    house.stranger().get("/assets/gone.js").await.problem(404, "no_such_route");
    for path in ["/", "/devices/lamp-1", "/setup"] {
        let page = house.stranger().get(path).await;
        assert_eq!(
            (page.status.as_u16(), page.header("content-type")),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
    }
    house.stranger().post("/devices", json!({})).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn every_answer_forbids_what_a_browser_should_not_do_with_it() {
    let house = House::new().await;
    for path in ["/", "/api/v1/me", "/api/v1/streams", "/api/nothing"] {
        let answer = house.stranger().get(path).await;
        assert!(answer.header("content-security-policy").contains("script-src 'self';"), "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
    }
    assert_eq!(house.admin().get("/api/v1/streams").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_body_has_to_be_json_and_to_say_so() {
    let house = House::new().await;
    let admin = house.admin();
    let path = "/api/v1/sql";
    admin.post_raw(path, "{}", "text/plain").await.problem(415, "unsupported_media_type");
    admin.send(Method::POST, path, Body::from("{}"), None).await.problem(415, "unsupported_media_type");
    let broken = admin.post_raw(path, "{\"query\": ", "application/json").await;
    assert!(broken.problem(400, "malformed_json")["detail"].as_str().unwrap().contains("line 1 column"));
    let missing = admin.post(path, json!({})).await.problem(422, "invalid_body");
    assert!(missing["detail"].as_str().unwrap().contains("missing field `query`"), "{missing}");
    let mistyped = json!({ "query": "SELECT 1", "limt": 5 });
    let unknown = admin.post(path, mistyped).await.problem(422, "invalid_body");
    assert!(unknown["detail"].as_str().unwrap().contains("unknown field `limt`"), "{unknown}");
    let good = admin.post_raw(path, r#"{"query": "SELECT 1"}"#, "application/json; charset=utf-8").await;
    good.expect(200);
}

#[tokio::test]
async fn a_parameter_that_cannot_be_read_is_named() {
    let house = House::new().await;
    let admin = house.admin();
    house.say("lamp-1", "light", json!({ "on": true })).await;
    let answer = admin.get("/api/v1/streams/light/readings?from=yesterday").await;
    let problem = answer.problem(400, "invalid_query");
    assert_eq!(problem["detail"], "`from` is `yesterday`, which is not a time");
    assert!(problem["hint"].as_str().unwrap().starts_with("RFC 3339"));
    admin.get("/api/v1/streams/light/readings?limit=many").await.problem(400, "invalid_query");
    admin.get("/api/v1/streams/Not%20A%20Stream").await.problem(400, "invalid_path");
    admin.get("/api/v1/devices/..%2Fetc").await.problem(400, "invalid_path");
    admin.get("/api/v1/tail").await.problem(400, "invalid_query");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read_whole() {
    let options = Options { body_bytes_max: 1_000, payload_bytes_max: 500, ..Options::default() };
    let house = House::with_options(options).await;
    let admin = house.admin();
    let query = json!({ "query": format!("SELECT '{}'", "x".repeat(1_000)) });
    admin.post("/api/v1/sql", query).await.problem(413, "too_large");
    let payload = |bytes: usize| format!("{{\"note\":\"{}\"}}", "x".repeat(bytes));
    let deliver = async |bytes| {
        admin.post_raw("/api/v1/devices/lamp-1/streams/notes", payload(bytes), "application/json").await
    };
    deliver(400).await.expect(202);
    deliver(600).await.problem(413, "too_large");
    deliver(2_000).await.problem(413, "too_large");
}

#[tokio::test]
async fn a_hub_on_loopback_answers_to_its_own_names_alone() {
    let options = Options { host_names: vec![String::from("hub.home.arpa")], ..Options::default() };
    for (options, own) in [(Options::default(), "localhost"), (options, "hub.home.arpa:443")] {
        let house = House::with_options(options).await;
        let here = house.stranger().at_address(this_machine());
        for name in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", own] {
            here.with("host", name).get("/healthz").await.expect(200);
        }
        for name in ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io", ""] {
            let answer = here.with("host", name).get("/healthz").await;
            answer.problem(421, "unknown_host");
        }
    }
}

#[tokio::test]
async fn configured_names_bind_every_listener() {
    let options = Options { host_names: vec![String::from("hub.home.arpa")], ..Options::default() };
    let house = House::with_options(options).await;
    let outside = house.stranger().at_address(neighbour(9));
    outside.with("host", "hub.home.arpa").get("/healthz").await.expect(200);
    outside.with("host", "192.168.1.5:8080").get("/healthz").await.expect(200);
    outside.with("host", "evil.example").get("/healthz").await.problem(421, "unknown_host");
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing_and_opens_no_socket() {
    let house = House::new().await;
    let admin = house.admin();
    let query = json!({ "query": "SELECT 1" });
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:9999"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let foreign = admin.with(name, value);
        foreign.post("/api/v1/sql", query.clone()).await.problem(403, "foreign_origin");
        for path in ["/api/v1/tail?stream=*", "/mqtt"] {
            let answer = foreign.with("upgrade", "websocket").get(path).await;
            answer.problem(403, "foreign_origin");
        }
    }
    let own = admin.with("origin", "http://localhost:8080").with("sec-fetch-site", "same-origin");
    own.post("/api/v1/sql", query).await.expect(200);
}

#[tokio::test]
async fn a_websocket_address_says_so_to_a_plain_request() {
    let house = House::new().await;
    for path in ["/api/v1/tail?stream=*", "/mqtt"] {
        house.admin().get(path).await.problem(426, "upgrade_required");
    }
}
