//! `springhouse run`: the engine over files, without a hub.
