//! The decoder against an independent model of what it should do, and its corners.

mod corners;
mod files;
mod model;
