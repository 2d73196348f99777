//! The server: one engine and its shard behind QUIC links, a durable store, a loopback HTTP interface.
//!
//! Start-up in order is [`run::start_on`]; the way of a message is `links::session` (in), [`driver`] (decide), `links::lane`
//! and `links::exchange` (out).

pub mod admin;
mod answers;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod driver;
mod forms;
mod freshness;
mod links;
pub mod logging;
pub mod metrics;
mod operator;
mod reach;
pub mod run;
pub mod store;
mod threads;
pub mod tree;
mod uplinks;
mod vital;
