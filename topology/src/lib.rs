//! Who should get it: what clients run, what items speak about, and whether the two meet.
//!
//! An [`interest::Interest`] is what one `Version_Info` of a Register or Request says, a [`subject::Subject`] what a
//! Deliver says. [`matching`] compares them and keeps the reason; [`subscriptions`] answers for many clients at once,
//! through an index that gives exactly what a scan of all would give. What is wanted below a node becomes the
//! [`want::Want`]s that it asks its upstream for.
//!
//! Plain functions and ordered collections: this crate names no runtime, socket, clock, disk or random source.

pub mod affected;
pub mod comments;
pub mod cvss;
pub mod interest;
pub mod key;
pub mod matching;
pub mod name;
mod percent;
pub mod ranges;
pub mod record;
pub mod subject;
pub mod subscriptions;
pub mod vers;
pub mod versions;
pub mod want;
