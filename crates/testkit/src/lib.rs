//! Simulated homes and generated events: what `springhouse sim` and `demo` publish, tests feed and benchmarks count.
//!
//! Everything up to [`Publisher`] is a pure model: no clock, no network, and the same seed gives the same bytes.
//! The way of a reading: [`weather`] and [`solar`] give the day, [`house`] answers with heat, [`appliance`] and
//! [`occupancy`] with people, [`Home`] turns that into the readings of its devices, [`faults`] spoil some of them,
//! and [`Publisher`] carries them to a hub over real MQTT, as devices do. [`Fleet`] runs many homes beside real time.
//! What benchmarks count stands beside: [`write_events`], the auction house of [`nexmark`], the sensors of [`city`].

pub mod appliance;
mod arrivals;
pub mod city;
mod events;
pub mod faults;
mod fleet;
mod home;
pub mod house;
pub mod nexmark;
pub mod noise;
pub mod occupancy;
mod pace;
mod publisher;
mod random;
mod reading;
pub mod region;
pub mod solar;
pub mod weather;

pub use events::{EventOptions, write_events};
pub use faults::{Fault, FaultKind};
pub use fleet::{Fleet, FleetOptions};
pub use home::{Home, HomeOptions};
pub use pace::Pace;
pub use publisher::{Counters, Publisher, PublisherError, PublisherOptions};
pub use reading::Reading;
