//! The device's and the provider's side of X.1206: what runs here, what concerns it, what is published.
//!
//! An agent in order is [`run::run`]; the way of a delivery is [`dialler`] (in), `shell::driver` with
//! `node::client` (decide), [`journal`] (keep), and back to [`dialler`] (answer). A provider in order is
//! [`publish::publish`].

pub mod assets;
pub mod cli;
pub mod config;
pub mod contact;
pub mod inventory;
pub mod journal;
pub mod logging;
pub mod publish;
pub mod run;
pub mod rustsec;
mod shell;
pub mod view;
