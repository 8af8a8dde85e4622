//! Calls of a hub's API, as whoever may do everything.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::servers::Server;

pub fn get(server: &Server, path: &str) -> Result<Value> {
    get_with(&ureq::Agent::new_with_defaults(), server, path)
}

pub fn get_with(agent: &ureq::Agent, server: &Server, path: &str) -> Result<Value> {
    let (url, token) = address(server, path)?;
    Ok(agent.get(url).header("Authorization", token).call()?.body_mut().read_json()?)
}

pub fn post(server: &Server, path: &str, body: &Value) -> Result<Value> {
    let (url, token) = address(server, path)?;
    let request = ureq::post(url).header("Authorization", token);
    // The hub says why it refuses something.
    let mut answer = request.config().http_status_as_error(false).build().send_json(body)?;
    let said: Value = answer.body_mut().read_json()?;
    if !answer.status().is_success() {
        bail!("{path}: {said}");
    }
    Ok(said)
}

fn address(server: &Server, path: &str) -> Result<(String, String)> {
    let http = server.http.as_deref().context("not a hub")?;
    let token = server.token.as_deref().context("no token")?;
    Ok((format!("{http}/api/v1{path}"), format!("Bearer {token}")))
}
