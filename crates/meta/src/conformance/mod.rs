//! What every implementation of [`Meta`](crate::Meta) has to do.
