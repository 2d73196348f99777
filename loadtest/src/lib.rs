//! Load on a real server, over real links: synthetic clients that want something, providers that publish it, and what
//! that costs the server.
//!
//! A run in order is [`run::run`]: a [`plan`] is read, servers started ([`tiers`], [`server`]), clients connected ([`crowd`],
//! [`client`]), [`items`] published ([`publisher`]), each receipt written down ([`ledger`]), and told as a [`report`].
//! Many runs in rounds are [`measure::measure`].

pub mod cli;
pub mod client;
pub mod crowd;
pub mod figures;
pub mod html;
pub mod items;
pub mod ledger;
pub mod measure;
pub mod network;
pub mod people;
pub mod plan;
pub mod publisher;
pub mod readings;
pub mod report;
pub mod run;
pub mod sample;
pub mod server;
pub mod tiers;
