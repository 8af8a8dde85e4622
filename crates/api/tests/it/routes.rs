//! The table of routes against what the router does and what the documents say.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Method;
use springhouse_api::{Need, Route, document, table};
use springhouse_policy::Scope;

use crate::client::{Answer, Client};
use crate::house::House;

/// An address of the route, with names that exist nowhere.
fn address(route: &Route) -> String {
    route.path.replace("{id}", "nobody").replace("{name}", "nowhere").replace("{stream}", "nowhere")
}

async fn ask(client: &Client, route: &Route) -> Answer {
    client.send(route.method.clone(), &address(route), Body::from("{}"), Some("application/json")).await
}

fn scope_of(need: Need) -> Option<Scope> {
    match need {
        Need::Nothing => None,
        Need::Scope(scope) => Some(scope),
        Need::Deliver => Some(Scope::Ingest),
        Need::Scrape => Some(Scope::Read),
    }
}

#[test]
fn every_route_is_in_the_openapi_document_and_nothing_else_is() {
    let routes: BTreeSet<_> =
        table().into_iter().map(|route| (route.method.to_string(), route.path.to_owned())).collect();
    let json = serde_json::to_value(document()).unwrap();
    let described: BTreeSet<_> = json["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    assert_eq!(routes, described);
}

#[test]
fn every_operation_says_what_it_needs_and_how_it_fails() {
    let json = serde_json::to_value(document()).unwrap();
    for route in table() {
        let operation = &json["paths"][route.path][route.method.as_str().to_lowercase()];
        assert!(operation["responses"]["default"].is_object(), "{} {}", route.method, route.path);
        let is_guarded = operation["security"].is_array();
        assert_eq!(is_guarded, route.need != Need::Nothing, "{} {}", route.method, route.path);
    }
}

#[test]
fn every_reference_inside_the_openapi_document_leads_somewhere() {
    fn collect(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => {
                found.extend(map.get("$ref").and_then(|to| to.as_str()).map(str::to_owned));
                map.values().for_each(|value| collect(value, found));
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let json = serde_json::to_value(document()).unwrap();
    let mut references = BTreeSet::new();
    collect(&json, &mut references);
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        assert!(json.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[test]
fn every_route_is_in_the_manual() {
    let manual = include_str!("../../../../docs/reference/api.md");
    for route in table() {
        let line = format!("`{} {}`", route.method, route.path);
        assert!(manual.contains(&line), "docs/reference/api.md does not name {line}");
    }
}

#[tokio::test]
async fn every_guarded_route_refuses_a_stranger() {
    let house = House::new().await;
    for route in table() {
        let answer = ask(&house.stranger(), &route).await;
        match route.need {
            Need::Nothing => assert_ne!(answer.status, 403, "{} {}", route.method, route.path),
            _ => {
                answer.problem(401, "unauthenticated");
                assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"springhouse\"");
            }
        }
    }
}

#[tokio::test]
async fn every_guarded_route_refuses_a_token_that_says_nothing() {
    let house = House::new().await;
    let id = "0123456789abcdef";
    for text in ["shk_", "shk_x", &format!("shk_{id}_{}", "A".repeat(43)), "eyJhbGciOiJub25lIn0.e30."] {
        for route in table().iter().filter(|route| route.need != Need::Nothing) {
            ask(&house.bearer(text), route).await.problem(401, "unauthenticated");
        }
    }
}

#[tokio::test]
async fn every_guarded_route_refuses_a_scope_that_does_not_contain_its_own() {
    let house = House::new().await;
    for scope in Scope::ALL {
        let client = house.with_scopes(&[scope]).await;
        for route in table() {
            let Some(needed) = scope_of(route.need) else { continue };
            let answer = ask(&client, &route).await;
            let place = format!("{} {} with `{scope}`: {}", route.method, route.path, answer.text());
            if scope.contains(needed) {
                assert!(!matches!(answer.status.as_u16(), 401 | 403), "{place}");
            } else {
                assert_eq!(answer.status, 403, "{place}");
                answer.problem(403, "missing_scope");
            }
        }
    }
}

#[tokio::test]
async fn a_device_may_do_nothing_but_deliver() {
    let house = House::new().await;
    let lamp = house.device("lamp-1").await;
    for route in table() {
        let answer = ask(&lamp, &route).await;
        match route.need {
            Need::Nothing => {}
            // The address names another device.
            Need::Deliver => {
                answer.problem(403, "wrong_device");
            }
            _ => {
                answer.problem(403, "missing_scope");
            }
        }
    }
}

#[tokio::test]
async fn an_address_without_the_method_answers_nobody() {
    let house = House::new().await;
    for client in [house.stranger(), house.admin()] {
        for (method, path) in [
            (Method::DELETE, "/api/v1/overview"),
            (Method::PATCH, "/api/v1/devices/lamp-1"),
            (Method::OPTIONS, "/api/v1/sql"),
            (Method::POST, "/metrics"),
        ] {
            let answer = client.send(method.clone(), path, Body::empty(), None).await;
            answer.problem(405, "method_not_allowed");
            assert_eq!(answer.header("access-control-allow-origin"), "", "{method} {path}");
        }
    }
    let answer = house.stranger().send(Method::HEAD, "/api/v1/streams", Body::empty(), None).await;
    assert_eq!(answer.status, 401, "HEAD needs what GET needs");
}
