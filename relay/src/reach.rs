//! The driver's part in asking clients below (9.3): what reaches it, and who waits for which answer.

use std::collections::HashMap;

use bytes::Bytes;
use dialler::{Answering, Hop, Incoming, clock};
use node::bundle::{self, Outer};
use node::client::Draft;
use node::engine::reach::{Action, Ask, Event, Open};
use node::ids::{AskId, ExchangeId, LinkId};
use node::returned::Returned;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::names::Spelling;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::driver::Handle;
use crate::links::outgoing::Opening;

/// What reaches the driver.
pub(crate) enum Input {
    /// The operator asks a client below.
    Ask {
        client: ClientGuid,
        messages: Vec<Draft>,
        /// Random.
        message_id: MessageId,
        answer: oneshot::Sender<Result<Returned, String>>,
    },
    /// An upstream opened an exchange on this link.
    Asked(Hop, Incoming),
    /// An exchange with a client has ended.
    Returned { link: LinkId, exchange: ExchangeId, outcome: Result<Returned, String> },
}

/// Who waits.
#[derive(Default)]
pub(crate) struct Reach {
    last: u64,
    operators: HashMap<AskId, oneshot::Sender<Result<Returned, String>>>,
    upstreams: HashMap<(ServerGuid, ExchangeId), (Hop, oneshot::Sender<Answering>)>,
}

impl Reach {
    /// What the engine is told.
    pub(crate) fn event(&mut self, input: Input) -> Event {
        self.last += 1;
        match input {
            Input::Ask { client, messages, message_id, answer } => {
                let id = AskId(self.last);
                self.operators.insert(id, answer);
                let sent_time = clock::text(clock::now());
                Event::Ask(Box::new(Ask { id, client, messages, message_id, sent_time }))
            }
            Input::Asked(hop, Incoming { intake, parts, answer }) => {
                // By the name that the upstream has for this server.
                let hop = Hop { client: intake.part.hop.client.unwrap_or(hop.client), ..hop };
                let (upstream, exchange) = (hop.server, ExchangeId(self.last));
                self.upstreams.insert((upstream, exchange), (hop, answer));
                Event::Asked { upstream, exchange, intake, parts }
            }
            Input::Returned { link, exchange, outcome } => Event::Returned { link, exchange, outcome },
        }
    }

    /// Carries out what the engine wants. What could not be done comes back as what became of it.
    pub(crate) fn carry_out(&mut self, action: Action, links: &HashMap<LinkId, Handle>) -> Option<Event> {
        match action {
            Action::Open(open) => return self::open(*open, links),
            Action::Told(ask, outcome) => {
                if let Some(operator) = self.operators.remove(&ask) {
                    // He may have gone.
                    drop(operator.send(outcome));
                }
            }
            Action::Respond { upstream, exchange, answer, spelling, deliveries } => {
                if let Some((hop, waiting)) = self.upstreams.remove(&(upstream, exchange)) {
                    let deliveries = deliveries.into_iter().map(|part| enveloped(hop, spelling, part)).collect();
                    // The link may be gone, and with it whoever waited.
                    drop(waiting.send(Answering { answer, deliveries }));
                }
            }
        }
        None
    }
}

/// The link may be about to end, or have too much to do.
fn open(open: Open, links: &HashMap<LinkId, Handle>) -> Option<Event> {
    let Open { link, exchange, question, document, within } = open;
    let opening = Opening { exchange, question, document, until: Instant::now() + within };
    let is_taken = links.get(&link).is_some_and(|handle| handle.openings.try_send(Box::new(opening)).is_ok());
    let outcome = Err("busy: the client is asked as much as it can be at once".to_owned());
    (!is_taken).then_some(Event::Returned { link, exchange, outcome })
}

/// A Delivery to an upstream: what a client delivered, in the header of the hop.
fn enveloped(hop: Hop, spelling: Spelling, part: Bytes) -> Vec<Bytes> {
    let sent_time = clock::text(clock::now());
    let (server, client) = (hop.server, Some(hop.client));
    let outer = Outer { server, client, message_id: clock::message_id(), sent_time: &sent_time };
    bundle::document(spelling, &outer, [part])
}
