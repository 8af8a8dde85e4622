//! The way in for people and programs: REST, WebSocket, OpenAPI, and the page.
//!
//! It asks the other parts and decides nothing of its own but who may ask. One table (`routes`) names every address, what a
//! caller needs for it, and its handler; everything that all requests share (`envelope`, `origin`, `auth`) lies
//! around the table as layers. Each noun of the API is a module.
//!
//! ```text
//! connection ─▶ envelope ─▶ origin ─▶ auth ─▶ handler ─▶ meta, ingest, engine, lake, mqtt
//!              id, deadline,  own name,  who, and    the noun
//!              panics, errors own page   may he?
//! ```

mod alerts;
mod attempts;
mod auth;
mod backtest;
mod certificates;
mod connect;
mod device_tokens;
mod devices;
mod envelope;
mod est;
mod extract;
mod functions;
mod health;
mod ingest;
mod metrics;
mod mqtt;
mod openapi;
mod options;
mod origin;
mod overview;
mod page;
mod pipelines;
mod preview;
mod problem;
mod proposal;
mod pulse;
mod quarantine;
mod readings;
mod routes;
mod rows;
mod schemas;
mod series;
mod serve;
mod sign_in;
mod sql;
mod state;
mod statements;
mod steps;
mod streams;
mod tables;
mod tail;
mod tap;
mod tokens;
mod versions;

pub use auth::BELIEVED_FOR;
pub use certificates::CERTIFICATE_CREDENTIAL;
pub use openapi::document;
pub use options::{Connect, Options};
pub use problem::Problem;
pub use routes::{Need, Route, router, table};
pub use serve::{Peer, serve, serve_connection};
pub use state::{App, Authorities, Parts};
