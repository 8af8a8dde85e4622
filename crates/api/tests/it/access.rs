//! How people and programs come in, and how they are put out again.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};
use springhouse_api::{Options, Peer};
use springhouse_meta::{LinkPurpose, NewPerson, Person};
use springhouse_model::{Sensitive, TenantId};
use springhouse_policy::Scope;

use crate::client::Answer;
use crate::house::{House, neighbour, this_machine};

const PASSWORD: &str = "correct horse battery";
const HOUR_US: i64 = 3_600_000_000;

async fn person(house: &House, name: &str) -> Person {
    let person = NewPerson {
        tenant: TenantId::main(),
        name: name.to_owned(),
        scopes: vec![Scope::Admin],
        password: Sensitive::new(PASSWORD.to_owned()),
    };
    house.meta.create_person(person).await.unwrap()
}

async fn link(house: &House, purpose: LinkPurpose) -> String {
    let expires_at = house.now().plus_micros(HOUR_US);
    let secret = house.meta.create_link(&TenantId::main(), purpose, expires_at).await.unwrap();
    secret.expose().clone()
}

async fn sign_in(house: &House, name: &str, password: &str) -> Answer {
    house.stranger().post("/api/v1/sign-in", json!({ "name": name, "password": password })).await
}

#[tokio::test]
async fn the_first_person_is_made_by_the_set_up_link_and_by_nothing_else() {
    let house = House::new().await;
    let stranger = house.stranger();
    let me = stranger.get("/api/v1/me").await.expect(200);
    assert_eq!((me["signed_in"].clone(), me["setup_needed"].clone()), (json!(false), json!(true)));
    let secret = link(&house, LinkPurpose::Setup).await;
    let set_up = async |link: &str, password: &str| {
        stranger.post("/api/v1/setup", json!({ "link": link, "name": " Ada ", "password": password })).await
    };
    set_up("guess", PASSWORD).await.problem(403, "bad_link");
    set_up(&secret, "short").await.problem(422, "password");
    let answer = set_up(&secret, PASSWORD).await;
    assert_eq!(
        answer.expect(200),
        json!({"signed_in": true, "setup_needed": false, "name": "Ada", "scopes": ["admin"], "tenant": "main"})
    );
    let ada = stranger.with_cookie_of(&answer);
    assert_eq!(ada.get("/api/v1/me").await.expect(200)["name"], "Ada");
    ada.get("/api/v1/streams").await.expect(200);
    set_up(&secret, PASSWORD).await.problem(403, "bad_link");
    assert_eq!(stranger.get("/api/v1/me").await.expect(200)["setup_needed"], false);
}

#[tokio::test]
async fn a_set_up_link_leads_to_the_form_and_is_not_used_up_by_looking() {
    let house = House::new().await;
    let secret = link(&house, LinkPurpose::Setup).await;
    for _ in 0..2 {
        let answer = house.stranger().get(&format!("/welcome?link={secret}")).await;
        assert_eq!(answer.status, 303);
        assert_eq!(answer.header("location"), format!("/setup?link={secret}"));
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn a_sign_in_link_works_once() {
    let house = House::new().await;
    let ada = person(&house, "Ada").await;
    let secret = link(&house, LinkPurpose::SignIn { person: ada.id }).await;
    let path = format!("/welcome?link={secret}");
    let first = house.stranger().get(&path).await;
    assert_eq!((first.status.as_u16(), first.header("location")), (303, "/"));
    let signed_in = house.stranger().with_cookie_of(&first);
    assert_eq!(signed_in.get("/api/v1/me").await.expect(200)["name"], "Ada");
    for used in [path.as_str(), "/welcome?link=guess", "/welcome"] {
        let second = house.stranger().get(used).await;
        assert_eq!((second.status.as_u16(), second.header("location")), (303, "/sign-in?link=used"));
        assert_eq!(second.header("set-cookie"), "");
    }
    let again = signed_in.get(&path).await;
    assert_eq!(again.header("location"), "/", "opened twice by one who is in");
}

#[tokio::test]
async fn an_expired_link_lets_nobody_in() {
    let house = House::new().await;
    let ada = person(&house, "Ada").await;
    let secret = link(&house, LinkPurpose::SignIn { person: ada.id }).await;
    house.clock.advance_micros(HOUR_US + 1);
    let answer = house.stranger().get(&format!("/welcome?link={secret}")).await;
    assert_eq!(answer.header("location"), "/sign-in?link=used");
}

#[tokio::test]
async fn the_session_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    for (behind_tls, expected, flags) in
        [(false, "springhouse_session", ""), (true, "__Host-springhouse_session", "; Secure")]
    {
        let house = House::with_options(Options { behind_tls, ..Options::default() }).await;
        person(&house, "Ada").await;
        let answer = sign_in(&house, "Ada", PASSWORD).await;
        answer.expect(200);
        let (pair, rest) = answer.header("set-cookie").split_once(';').unwrap();
        let (name, secret) = pair.split_once('=').unwrap();
        assert_eq!(name, expected);
        assert!(secret.len() >= 43, "256 random bits");
        assert_eq!(rest, format!(" Path=/; Max-Age=1209600; HttpOnly; SameSite=Strict{flags}"));
    }
}

#[tokio::test]
async fn what_a_browser_keeps_over_tls_is_another_cookie_than_without() {
    let house = House::new().await;
    person(&house, "Ada").await;
    let browser = house.stranger().at_address(Peer { tls: true, ..neighbour(7) });
    let body = json!({ "name": "Ada", "password": PASSWORD });
    let answer = browser.post("/api/v1/sign-in", body).await;
    let ada = browser.with_cookie_of(&answer);
    assert_eq!(ada.get("/api/v1/me").await.expect(200)["signed_in"], json!(true));
    let plain = ada.at_address(neighbour(7));
    assert_eq!(plain.get("/api/v1/me").await.expect(200)["signed_in"], json!(false));
}

#[tokio::test]
async fn a_session_changes_nothing_without_the_header_of_the_page() {
    let house = House::new().await;
    person(&house, "Ada").await;
    let ada = house.stranger().with_cookie_of(&sign_in(&house, "Ada", PASSWORD).await);
    let stream = json!({ "name": "meter" });
    ada.post("/api/v1/streams", stream.clone()).await.problem(403, "csrf");
    ada.send(Method::POST, "/api/v1/sign-out", Body::empty(), None).await.problem(403, "csrf");
    ada.get("/api/v1/streams").await.expect(200);
    ada.with("x-springhouse", "1").post("/api/v1/streams", stream).await.expect(201);
}

#[tokio::test]
async fn a_session_ends_by_signing_out_and_by_its_age() {
    let house = House::new().await;
    person(&house, "Ada").await;
    let enter = async || house.stranger().with_cookie_of(&sign_in(&house, "Ada", PASSWORD).await);
    let ada = enter().await;
    ada.get("/api/v1/streams").await.expect(200);
    let out =
        ada.with("x-springhouse", "1").send(Method::POST, "/api/v1/sign-out", Body::empty(), None).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").starts_with("springhouse_session=; Path=/; Max-Age=0;"));
    ada.get("/api/v1/streams").await.problem(401, "unauthenticated");

    let ada = enter().await;
    house.clock.advance_micros(14 * 24 * HOUR_US + 1);
    ada.get("/api/v1/streams").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_the_same_answer() {
    let house = House::new().await;
    person(&house, "Ada").await;
    let [mut wrong, mut unknown]: [Value; 2] = [
        sign_in(&house, "Ada", "wrong horse battery").await.problem(401, "wrong_password"),
        sign_in(&house, "Eve", PASSWORD).await.problem(401, "wrong_password"),
    ];
    for problem in [&mut wrong, &mut unknown] {
        problem.as_object_mut().unwrap().remove("request_id");
    }
    assert_eq!(wrong, unknown);
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_nobody_else_has() {
    let house = House::new().await;
    person(&house, "Ada").await;
    let guess = async |last: u8, password: &str| {
        let client = house.stranger().at_address(neighbour(last));
        client.post("/api/v1/sign-in", json!({ "name": "Ada", "password": password })).await
    };
    for _ in 0..6 {
        guess(7, "wrong").await.problem(401, "wrong_password");
    }
    let refused = guess(7, PASSWORD).await;
    refused.problem(429, "too_many_attempts");
    assert!(matches!(refused.header("retry-after"), "1" | "2"), "{}", refused.header("retry-after"));
    guess(8, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_token_is_shown_once_and_refused_at_once_when_revoked() {
    let house = House::new().await;
    let admin = house.admin();
    let draft = json!({ "name": "dashboard", "scopes": ["read"] });
    let made = admin.post("/api/v1/tokens", draft).await.expect(201);
    let (id, text) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert!(text.starts_with(&format!("shk_{id}_")), "{text}");
    let dashboard = house.bearer(text);
    dashboard.get("/api/v1/streams").await.expect(200);
    let me = dashboard.get("/api/v1/me").await.expect(200);
    assert_eq!((me["name"].as_str(), me["scopes"].clone()), (Some("dashboard"), json!(["read"])));

    let listed = admin.get("/api/v1/tokens").await;
    let secret = text.rsplit('_').next().unwrap();
    assert!(!listed.text().contains(secret), "the secret is not shown again");
    let listed = listed.expect(200);
    let found = listed.as_array().unwrap().iter().find(|token| token["id"] == id).unwrap();
    assert_eq!((found["name"].as_str(), found["expires_at"].clone()), (Some("dashboard"), Value::Null));

    let path = format!("/api/v1/tokens/{id}");
    admin.delete(&path).await.expect(204);
    dashboard.get("/api/v1/streams").await.problem(401, "unauthenticated");
    admin.delete(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_token_ends_when_it_said_it_would() {
    let house = House::new().await;
    let admin = house.admin();
    let expires = house.now().plus_micros(HOUR_US).to_string();
    let draft = json!({ "name": "guest", "scopes": ["read"], "expires": expires });
    let made = admin.post("/api/v1/tokens", draft).await.expect(201);
    house.clock.advance_micros(HOUR_US + 1);
    let guest = house.bearer(made["token"].as_str().unwrap());
    guest.get("/api/v1/streams").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_token_needs_a_name_a_scope_and_a_future() {
    let house = House::new().await;
    let admin = house.admin();
    let make = async |draft: Value| admin.post("/api/v1/tokens", draft).await;
    make(json!({ "name": " ", "scopes": ["read"] })).await.problem(422, "invalid_name");
    make(json!({ "name": "x", "scopes": [] })).await.problem(422, "invalid_scope");
    let unknown = make(json!({ "name": "x", "scopes": ["root"] })).await.problem(422, "invalid_scope");
    assert_eq!(unknown["detail"], "`root` is not a scope");
    assert_eq!(unknown["hint"], "admin, write, read or ingest");
    let past = json!({ "name": "x", "scopes": ["read"], "expires": "2020-01-01T00:00:00Z" });
    make(past).await.problem(422, "invalid_expiry");
    make(json!({ "name": "x", "scopes": ["read"], "site": "a/b" })).await.problem(422, "invalid_body");
}

#[tokio::test]
async fn metrics_are_for_this_machine_and_for_readers() {
    let house = House::new().await;
    let here = house.stranger().at_address(this_machine());
    // A request is counted when it is answered.
    here.get("/healthz").await;
    let answer = here.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for name in
        ["process_resident_memory_bytes ", "springhouse_log_records ", "springhouse_http_requests_total{"]
    {
        assert!(answer.text().contains(name), "{name} is missing in {}", answer.text());
    }
    let invented = Method::from_bytes(b"BREW").unwrap();
    house.stranger().send(invented, "/healthz", Body::empty(), None).await.problem(405, "method_not_allowed");
    let text = here.get("/metrics").await.text().to_owned();
    assert!(!text.contains("BREW") && text.contains("method=\"other\""), "strangers add no counters: {text}");
    // Behind a proxy everybody comes from this machine.
    here.with("x-forwarded-for", "203.0.113.9").get("/metrics").await.problem(401, "unauthenticated");
    house.stranger().get("/metrics").await.problem(401, "unauthenticated");
    let reader = house.with_scopes(&[Scope::Read]).await;
    assert_eq!(reader.get("/metrics").await.status, 200);
}
