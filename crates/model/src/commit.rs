use std::sync::Arc;

/// The number of a group commit. Commits become durable in their order.
pub type CommitId = u64;

/// How far commits are durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// Everything with a commit id up to this one survives a crash.
    pub commit: CommitId,
    /// Why the log has failed for good, if it has: what is not durable will never be.
    pub poisoned: Option<Arc<str>>,
}
