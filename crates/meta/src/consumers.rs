//! How far each consumer of the log has come.

use async_trait::async_trait;

use crate::Result;

#[async_trait]
pub trait Consumers: Send + Sync {
    /// The first record that the consumer has not dealt with; `None` when it never committed.
    async fn offset(&self, consumer: &str) -> Result<Option<u64>>;
    /// Commits progress that has no other effect. An offset never moves back: `Stale`.
    async fn set_offset(&self, consumer: &str, offset: u64) -> Result<()>;
    /// For a consumer that is gone, such as a dropped pipeline.
    async fn forget_consumer(&self, consumer: &str) -> Result<()>;
}
