//! Which names this hub answers to, and which pages may talk to it.
//!
//! Against DNS rebinding (a foreign name that suddenly resolves to this machine) a listener on loopback answers only
//! to local names, addresses and the names of its configuration. A listener with configured names answers to these
//! on every interface. Against foreign pages, a request that changes something and every WebSocket must come from
//! the hub's own origin when the browser names one.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::problem::Problem;
use crate::serve::Peer;
use crate::state::App;

pub(crate) async fn check(State(app): State<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let host = host_of(&request).unwrap_or_default();
    let names = &app.options.host_names;
    let on_loopback =
        request.extensions().get::<Peer>().is_none_or(|peer| peer.local.ip().to_canonical().is_loopback());
    if (on_loopback || !names.is_empty()) && !is_own_name(name_of(&host), names) {
        let detail = format!("this hub does not answer to the name `{}`", name_of(&host));
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail)
            .hint("open it by its address, or add the name to `http.host_names` in the configuration"));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if (changes || request.headers().contains_key(header::UPGRADE))
        && is_foreign(request.headers(), &host, names)
    {
        return Err(Problem::forbidden("foreign_origin", "a page of another origin asks for this"));
    }
    Ok(next.run(request).await)
}

fn host_of(request: &Request) -> Option<String> {
    let named = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    named
        .or_else(|| request.uri().authority().map(|authority| authority.as_str()))
        .map(str::to_ascii_lowercase)
}

/// `host` of `host:port`, also for `[::1]:8080`.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// An address is no name, so it cannot be rebound.
fn is_own_name(name: &str, names: &[String]) -> bool {
    name.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether the browser says that another page is asking. Clients that are no browsers say nothing.
fn is_foreign(headers: &HeaderMap, host: &str, names: &[String]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| matches!(site, "cross-site" | "same-site")) {
        return true;
    }
    match headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null").to_ascii_lowercase()) {
        None => false,
        Some(origin) => match origin.split_once("://") {
            Some(("http" | "https", authority)) => {
                // Behind a proxy the Host may be an inner one, the configured name is the one that people see.
                authority != host && !names.iter().any(|own| own.eq_ignore_ascii_case(name_of(authority)))
            }
            _ => true, // `null` of a sandboxed page, or another scheme
        },
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn the_name_is_read_from_every_form_of_host() {
        for (host, name) in [
            ("localhost:8080", "localhost"),
            ("hub", "hub"),
            ("[::1]:8080", "::1"),
            ("127.0.0.1:1", "127.0.0.1"),
        ] {
            assert_eq!(name_of(host), name);
        }
    }

    #[test]
    fn a_rebound_name_is_not_ours() {
        let names = vec![String::from("hub.home.arpa")];
        for own in ["localhost", "127.0.0.1", "::1", "hub.home.arpa", "x.localhost", "192.168.1.5"] {
            assert!(is_own_name(own, &names), "{own}");
        }
        for foreign in ["evil.example", "", "localhost.evil.example", "127.0.0.1.evil.example"] {
            assert!(!is_own_name(foreign, &names), "{foreign}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_foreign() {
        let foreign = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            is_foreign(&headers, "hub:8080", &[])
        };
        assert!(!foreign(&[]));
        assert!(!foreign(&[("origin", "http://hub:8080"), ("sec-fetch-site", "same-origin")]));
        for pairs in [
            [("origin", "http://hub:9000")],
            [("origin", "null")],
            [("origin", "http://evil.example")],
            [("sec-fetch-site", "cross-site")],
        ] {
            assert!(foreign(&pairs), "{pairs:?}");
        }
    }
}
