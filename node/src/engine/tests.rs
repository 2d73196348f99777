//! The engine alone: what it decides, and when it says so.

mod below;
mod bench;
mod items;
mod links;
mod lost;
mod missed;
mod names;
mod operations;
mod reach;
mod reports;
mod store;
mod trust;
mod trust_above;
mod trust_order;
mod uplinks;
