//! What whoever dials does, agents and local servers alike: a link to the server above is kept up, its lanes are read and
//! answered, exchanges go both ways. [`trust`] reads the trust file, which is the same for both.
//!
//! [`dial`] owns no state that outlives a link, and decides nothing: it tells its owner what comes ([`Told`]), and
//! carries out what the owner puts into the ends of a link ([`Live`]). Every queue between the two is bounded. The owner
//! never has to wait for a link: there is room for what may be said unasked, and what does not fit is refused at once.

pub mod clock;
pub mod documents;
mod exchange;
mod incoming;
mod lane;
mod live;
pub mod places;
mod session;
#[cfg(test)]
mod tests;
pub mod trust;

use schemas::guid::{ClientGuid, ServerGuid};

pub use live::{Answered, Answering, Content, Incoming, Live, Outcome, Outgoing, Said, Told};
pub use session::{Dialler, dial};

/// Client and server of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Who dials.
    pub client: ClientGuid,
    /// Who is dialled.
    pub server: ServerGuid,
}
