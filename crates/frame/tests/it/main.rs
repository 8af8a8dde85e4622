//! Frames from outside: exact round trips, hostile bytes, the fuzz corpus.

mod corpus;
mod hostile;
mod round_trip;
