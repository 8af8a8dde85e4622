//! What happens to a hub.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;

use super::Now;
use super::truth::{PIPELINES, statement};
use crate::Arguments;
use crate::api::post;
use crate::random::Random;
use crate::servers::{self, Server};

/// Silence of all devices: longer than the delay of the streams, shorter than what lets the clock close windows.
const SILENCE: Duration = Duration::from_secs(8);

/// The hub, and what was done to it.
pub struct Chaos {
    random: Random,
    server: Option<Server>,
    folder: Arc<TempDir>,
    variants: Vec<usize>,
    paused: Option<usize>,
    kills: u32,
    stops: u32,
    changes: u32,
    pauses: u32,
    silences: u32,
}

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Chaos { kills, stops, changes, pauses, silences, .. } = self;
        write!(
            f,
            "killed {kills} times, stopped {stops}, statements changed {changes}, paused {pauses}, silent {silences}"
        )
    }
}

impl Chaos {
    pub fn new(random: Random, server: Server, folder: Arc<TempDir>) -> Chaos {
        Chaos {
            random,
            server: Some(server),
            folder,
            variants: vec![0; PIPELINES.len()],
            paused: None,
            kills: 0,
            stops: 0,
            changes: 0,
            pauses: 0,
            silences: 0,
        }
    }

    pub async fn wait(&mut self) {
        tokio::time::sleep(Duration::from_millis(500 + self.random.next() % 7_000)).await;
    }

    pub async fn strike(&mut self, arguments: &Arguments, now: &watch::Sender<Now>) -> Result<()> {
        match self.random.next() % 10 {
            0..=2 => {
                self.kills += 1;
                if let Some(server) = self.server.take() {
                    server.stop();
                }
                self.start(arguments, now)
            }
            3 => {
                self.stops += 1;
                if let Some(server) = self.server.take() {
                    server.end()?;
                }
                self.start(arguments, now)
            }
            4..=6 => self.change(),
            7..=8 => self.pause(),
            _ => {
                self.silences += 1;
                now.send_modify(|now| now.is_silent = true);
                tokio::time::sleep(SILENCE).await;
                now.send_modify(|now| now.is_silent = false);
                Ok(())
            }
        }
    }

    fn start(&mut self, arguments: &Arguments, now: &watch::Sender<Now>) -> Result<()> {
        let server = servers::hub_in(arguments, Arc::clone(&self.folder), &[])?;
        now.send_modify(|now| now.target = server.target.clone());
        self.server = Some(server);
        Ok(())
    }

    /// Another statement for a pipeline, which gives the same rows.
    fn change(&mut self) -> Result<()> {
        let at = self.random.next() as usize % PIPELINES.len();
        self.changes += 1;
        self.variants[at] += 1;
        if self.paused == Some(at) {
            self.paused = None;
        }
        let Some(server) = &self.server else { return Ok(()) };
        post(server, "/pipelines", &json!({ "sql": statement(&PIPELINES[at], self.variants[at]) }))?;
        Ok(())
    }

    /// Pauses a pipeline, or lets the one that is paused go on.
    fn pause(&mut self) -> Result<()> {
        let Some(server) = &self.server else { return Ok(()) };
        let (at, verb) = match self.paused.take() {
            Some(at) => (at, "resume"),
            None => {
                let at = self.random.next() as usize % PIPELINES.len();
                self.paused = Some(at);
                self.pauses += 1;
                (at, "pause")
            }
        };
        post(server, &format!("/pipelines/{}/{verb}", PIPELINES[at].name), &json!({}))?;
        Ok(())
    }

    /// The hub as it is at the end, with all pipelines at work.
    pub async fn end(&mut self, arguments: &Arguments) -> Result<Server> {
        if self.paused.is_some() {
            self.pause()?;
        }
        match self.server.take() {
            Some(server) => Ok(server),
            None => servers::hub_in(arguments, Arc::clone(&self.folder), &[]),
        }
    }
}
