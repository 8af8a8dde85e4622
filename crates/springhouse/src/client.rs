//! The client side of the REST API, for the verbs that talk to a running hub.

use std::io::Read;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::failure::Failure;

/// Where a hub is unless it was told otherwise.
pub const URL_DEFAULT: &str = "http://127.0.0.1:8080";

/// Which hub, and who is asking.
#[derive(Clone, Debug, clap::Args)]
pub struct Connection {
    /// Address of the hub
    #[arg(long, env = "SPRINGHOUSE_URL", default_value = URL_DEFAULT, value_name = "URL")]
    pub url: String,
    /// Token of the caller (`springhouse token create`); in the environment it stays out of the list of processes
    #[arg(long, env = "SPRINGHOUSE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
}

/// A client of one hub.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

/// A hub works at most ten minutes on an answer, a backtest; what comes slowly may take longer than that.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(900);

impl Client {
    pub fn new(connection: &Connection) -> anyhow::Result<Client> {
        let base = connection.url.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") {
            let problem = format!(
                "`{base}` cannot be used\nhint: the command line speaks http:// (to this machine, or through a tunnel \
                 such as `ssh -L 8080:127.0.0.1:8080 hub`)"
            );
            return Err(Failure::Usage(problem).into());
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(ANSWER_TIMEOUT))
            .proxy(None)
            .build()
            .new_agent();
        Ok(Client { agent, base, token: connection.token.clone() })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// `path` follows `/api/v1`.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call("GET", path, None)
    }

    pub fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.call("DELETE", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call("POST", path, Some(body))
    }

    pub fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call("PUT", path, Some(body))
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let answer = self.send(method, &format!("/api/v1{path}"), body, "application/json")?;
        json_of(answer, method, path)
    }

    /// Puts a body that is not JSON; the answer is.
    pub fn put_bytes(&self, path: &str, body: Vec<u8>, content_type: &str) -> anyhow::Result<Value> {
        let answer =
            self.send_bytes("PUT", &format!("/api/v1{path}"), body, content_type, "application/json")?;
        json_of(answer, "PUT", path)
    }

    /// Posts a body that is not JSON; the answer is.
    pub fn post_bytes(&self, path: &str, body: Vec<u8>, content_type: &str) -> anyhow::Result<Value> {
        let answer =
            self.send_bytes("POST", &format!("/api/v1{path}"), body, content_type, "application/json")?;
        json_of(answer, "POST", path)
    }

    /// The body of an answer in another form than JSON, to be read piece by piece.
    pub fn post_for(&self, path: &str, body: &Value, accept: &str) -> anyhow::Result<impl Read + use<>> {
        let answer = self.send("POST", &format!("/api/v1{path}"), Some(body), accept)?;
        Ok(answer.into_body().into_reader())
    }

    /// Status of a path outside of the API, such as `/readyz`.
    pub fn probe(&self, path: &str) -> anyhow::Result<u16> {
        let url = format!("{}{path}", self.base);
        let answer = self.agent.get(&url).call().map_err(|error| self.unreachable(&error))?;
        Ok(answer.status().as_u16())
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        accept: &str,
    ) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
        let bytes = body.map(Value::to_string).unwrap_or_default();
        self.send_bytes(method, path, bytes.into_bytes(), "application/json", accept)
    }

    fn send_bytes(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
        content_type: &str,
        accept: &str,
    ) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("accept", accept)
            .header("content-type", content_type);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request =
            request.body(body).map_err(|error| Failure::Usage(format!("cannot ask the hub: {error}")))?;
        let answer = self.agent.run(request).map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer).into()) }
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::Unreachable { url: self.base.clone(), reason: error.to_string() }
    }
}

fn json_of(mut answer: ureq::http::Response<ureq::Body>, method: &str, path: &str) -> anyhow::Result<Value> {
    let text = answer.body_mut().read_to_string().context("cannot read the hub's answer")?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("the hub's answer to {method} {path} is not JSON"))
}

/// What problem+json says, for a person.
fn refusal(mut answer: ureq::http::Response<ureq::Body>) -> Failure {
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    let problem: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let word = |key: &str| problem.get(key).and_then(Value::as_str).filter(|word| !word.is_empty());
    let mut message = match (word("title"), word("detail")) {
        (Some(title), Some(detail)) if title != detail => format!("{title}: {detail}"),
        (Some(only), _) | (None, Some(only)) => only.to_owned(),
        (None, None) => format!("the hub answered {status}"),
    };
    if let Some(hint) = word("hint") {
        message.push_str(&format!("\nhint: {hint}"));
    } else if status == 401 {
        message.push_str(
            "\nhint: give a token by --token or SPRINGHOUSE_TOKEN; `springhouse token create` makes one",
        );
    }
    Failure::Refused(message)
}

/// A name as part of a path.
pub fn path_part(name: &str) -> String {
    let mut part = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                part.push(char::from(byte))
            }
            _ => part.push_str(&format!("%{byte:02X}")),
        }
    }
    part
}

/// `?a=b&c=d` of those that are given.
pub fn query_part(pairs: &[(&str, Option<String>)]) -> String {
    let given: Vec<String> = pairs
        .iter()
        .filter_map(|(key, value)| value.as_ref().map(|value| format!("{key}={}", path_part(value))))
        .collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_in_paths_whatever_they_contain() {
        assert_eq!(path_part("Wohnzimmer Lampe/ü"), "Wohnzimmer%20Lampe%2F%C3%BC");
        assert_eq!(query_part(&[("a", Some("x y".into())), ("b", None)]), "?a=x%20y");
        assert_eq!(query_part(&[("b", None)]), "");
    }
}
