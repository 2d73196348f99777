//! The engine alone: what it decides, and when it says so.

mod bench;
mod items;
mod links;
mod operations;
mod store;
mod uplinks;
