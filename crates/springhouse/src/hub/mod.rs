//! A hub: one process that owns a data directory, with every part of the way of the data in it.
//!
//! ```text
//! listeners ─▶ gateway, api ─▶ ingest ─▶ log ─▶ engine, lake, act
//! ```
//! Opened from the right to the left, so that whoever writes finds his readers there, and closed from the left to the
//! right, so that what has been accepted is still written down by everybody behind.

mod catalog;
mod credentials;
mod data_dir;
mod door;
mod fetch;
mod identity;
mod listeners;
mod open;
pub mod paths;
pub mod showcase;
mod tls;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use springhouse_act::AlertRecorder;
use springhouse_engine::{Engine, Threads};
use springhouse_ingest::Ingest;
use springhouse_lake::Lake;
use springhouse_log::Log;
use springhouse_meta::{LinkPurpose, Meta, Persons, SqliteMeta};
use springhouse_model::TenantId;
use springhouse_mqtt::Gateway;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::verbs::link::welcome;
use crate::verbs::token::from_now;
use data_dir::DataDirectory;
pub use data_dir::page;
use listeners::Addresses;
pub use open::check;

/// A set-up link that was overlooked in the log can be had again by `springhouse link`.
const SETUP_LINK_AGE: Duration = Duration::from_secs(24 * 3_600);

/// A running hub.
pub struct Hub {
    addresses: Addresses,
    meta: Arc<SqliteMeta>,
    log: Arc<dyn Log>,
    ingest: Ingest,
    engine: Engine,
    lake: Lake,
    alerts: AlertRecorder,
    gateway: Gateway,
    /// True when HTTP has to end.
    ending: watch::Sender<bool>,
    servers: JoinSet<anyhow::Result<()>>,
    /// Where lake, alerts and the page's rates follow the log.
    _followers: Threads,
    /// Given back last: the next hub must find everything written.
    _directory: DataDirectory,
}

impl Hub {
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    pub fn meta(&self) -> &dyn Meta {
        self.meta.as_ref()
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Prints the link by which the first person names himself, while there is nobody.
    pub async fn print_setup_link(&self, data: &Path) -> anyhow::Result<()> {
        if self.meta.persons_exist().await? {
            return Ok(());
        }
        let Some(page) = self.addresses.page() else { return Ok(()) };
        let link =
            self.meta.create_link(&TenantId::main(), LinkPurpose::Setup, from_now(SETUP_LINK_AGE)).await?;
        println!(
            "Nobody can sign in yet. This link is good once, for a day (a new one: springhouse link --data {}):\n\n  {}\n",
            data.display(),
            welcome(&page, link.expose())
        );
        Ok(())
    }

    /// Returns when the hub can no longer do its work: the log has failed, or a listener has ended.
    ///
    /// After a failed fsync nobody knows what is on the disk; only a new start, which reads what is there, does. So
    /// the hub ends, and whoever supervises it starts it again.
    pub async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            reason = self.ingest.failed() => anyhow::anyhow!("the log cannot be written: {reason}"),
            Some(ended) = self.servers.join_next() => match ended {
                Ok(Ok(())) => anyhow::anyhow!("a listener has ended"),
                Ok(Err(error)) => error,
                Err(error) => anyhow::Error::new(error).context("a listener has failed"),
            },
        }
    }

    /// Ends as well as it still can and returns why.
    pub async fn end_failed<T>(self, failure: anyhow::Error) -> anyhow::Result<T> {
        tracing::error!(error = %format!("{failure:#}"), "ending");
        if let Err(error) = self.shut_down().await {
            tracing::warn!(error = %format!("{error:#}"), "not everything could be written down");
        }
        Err(failure)
    }

    /// Ends in order: nobody comes in any more, what came in is committed and acknowledged, then every reader of the
    /// log writes down where it stands.
    pub async fn shut_down(mut self) -> anyhow::Result<()> {
        self.ending.send_replace(true);
        let sessions = self.gateway.shutdown().await.context("cannot write the MQTT sessions down");
        while self.servers.join_next().await.is_some() {}
        self.engine.shutdown().await;
        self.alerts.stop().await;
        self.lake.shutdown().await;
        self.ingest.close().await;
        self.log.close().await;
        self.meta.close().await;
        sessions
    }
}
