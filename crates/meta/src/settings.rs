//! Single values that belong to the hub as a whole, such as when it was set up.

use async_trait::async_trait;

use crate::Result;

#[async_trait]
pub trait Settings: Send + Sync {
    async fn setting(&self, key: &str) -> Result<Option<String>>;
    async fn put_setting(&self, key: &str, value: &str) -> Result<()>;
}
