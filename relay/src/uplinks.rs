//! The links to upstreams: for each a task that keeps it up, and one that passes on what comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dialler::{Answered, Content, Dialler, Hop, Live, Outgoing, Said, Told};
use link::budget::Budget;
use link::endpoint::Client as Endpoint;
use link::hello::Hello;
use link::identity::Identity;
use link::limits::LinkLimits;
use link::reconnect::Target;
use link::traffic::Meter;
use node::client::Via;
use node::ids::Resume;
use node::uplink::{self, Action, Event};
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::mark::Mark;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Upstream;
use crate::driver::Input;
use crate::reach;

/// What keeping a link to an upstream takes.
pub(crate) struct Uplink {
    endpoint: Arc<Endpoint>,
    target: Target,
    hop: Hop,
    hello: Hello,
}

/// The driver's end of the link to an upstream.
pub(crate) struct Handle {
    /// What is durable here of what the upstream sent.
    resume: watch::Sender<Option<Resume>>,
    /// What the upstream calls this server.
    name: watch::Sender<ClientGuid>,
    /// Of the link that stands; dropped, it closes.
    ends: Option<Ends>,
    stop: CancellationToken,
    life: Life,
}

/// Tells a link to an upstream from one that stood before the upstream was left and attached again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life(u64);

impl Life {
    fn next() -> Self {
        static LIVES: AtomicU64 = AtomicU64::new(0);
        Self(LIVES.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Handle {
    /// Nobody says anything more to it.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What is said to an upstream goes in here.
pub(crate) struct Ends {
    answers: mpsc::Sender<Answered>,
    asks: mpsc::Sender<Outgoing>,
}

impl Uplink {
    /// Looks at everything that can be refused before the first packet.
    pub(crate) fn prepare(
        upstream: &Upstream,
        identity: &Identity,
        mark: Mark,
    ) -> Result<Self, link::endpoint::BindError> {
        let limits = LinkLimits::trunk();
        let budget = Budget::new(limits.held_bytes_max as usize, 2 * limits.connection_window_max as usize);
        let local = Endpoint::any_local(upstream.address);
        let endpoint = Arc::new(Endpoint::bind(local, identity, limits, budget)?);
        let hop = Hop { client: ClientGuid(identity.guid()), server: upstream.guid.0 };
        let hello = Hello { path: Some(vec![mark]), ..Hello::default() };
        Ok(Self { endpoint, target: Target { addr: upstream.address, server: hop.server }, hop, hello })
    }

    /// As the engine takes it.
    pub(crate) fn config(&self, upstream: &Upstream) -> uplink::Config {
        upstream.asks().uplink(self.hop.server, self.hop.client)
    }

    /// The count of what crosses its socket.
    pub(crate) fn meter(&self) -> Meter {
        self.endpoint.meter()
    }

    /// Who is dialled.
    pub(crate) fn server(&self) -> ServerGuid {
        self.hop.server
    }

    /// Keeps the link up until the handle says stop, or `stop` does.
    pub(crate) fn start(
        self,
        resume: Option<Resume>,
        inputs: mpsc::Sender<Input>,
        stop: &CancellationToken,
        tracker: &TaskTracker,
    ) -> Handle {
        let (resume, resume_receiver) = watch::channel(resume);
        let (name, name_receiver) = watch::channel(self.hop.client);
        let (told, telling) = mpsc::channel(1);
        let stop = stop.child_token();
        let Self { endpoint, target, hop, hello } = self;
        let dialler = Dialler {
            endpoint: endpoint.clone(),
            target,
            hop,
            name: name_receiver,
            hello,
            resume: resume_receiver,
            told,
        };
        let until = stop.clone();
        tracker.spawn(async move {
            dialler::dial(dialler, until).await;
            endpoint.close(link::close::CloseCode::Done, "this server is stopping, or has left");
            endpoint.wait_idle().await;
        });
        let life = Life::next();
        tracker.spawn(pass_on(hop, life, telling, inputs));
        Handle { resume, name, ends: None, stop, life }
    }
}

/// Passes on what comes of the links to one upstream, one after the other. Waits for the driver, which never waits for it.
async fn pass_on(hop: Hop, life: Life, mut telling: mpsc::Receiver<Told>, inputs: mpsc::Sender<Input>) {
    while let Some(told) = telling.recv().await {
        let Told::Up(live) = told else { continue };
        if live_link(hop, life, *live, &inputs).await.is_err()
            || inputs.send(Input::Uplink(hop.server, life, Event::Disconnected)).await.is_err()
        {
            return;
        }
    }
}

async fn live_link(
    hop: Hop,
    life: Life,
    live: Live,
    inputs: &mpsc::Sender<Input>,
) -> Result<(), mpsc::error::SendError<Input>> {
    let Live { behind, start, policy, path, mut pushes, mut said, answers, asks } = live;
    let connected = Event::Connected { behind, start, policy, path };
    inputs.send(Input::UplinkUp(hop.server, life, Ends { answers, asks }, connected)).await?;
    loop {
        let input = tokio::select! {
            pushed = pushes.recv() => pushed.map(|(push, intake)| {
                Input::Uplink(hop.server, life, Event::Delivery { via: Via::Lane(push), intake })
            }),
            said = said.recv() => said.map(|said| input(hop, life, said)),
        };
        match input {
            Some(input) => inputs.send(input).await?,
            None => return Ok(()),
        }
    }
}

fn input(hop: Hop, life: Life, said: Said) -> Input {
    let event = match said {
        Said::Replied(exchange, outcomes) => Event::Replied { exchange, outcomes },
        Said::Delivered(exchange, intake) => Event::Delivery { via: Via::Exchange(exchange), intake },
        Said::Ended(exchange) => Event::Ended(exchange),
        Said::TooLong(exchange, why) => Event::TooLong(exchange, why),
        Said::Named(exchange, clients) => Event::Named { exchange, clients },
        Said::Assigned(client) => Event::Assigned(client),
        Said::Behind(position) => Event::Behind(position),
        Said::Path(path) => Event::Path(path),
        Said::Incoming(incoming) => return Input::Reach(reach::Input::Asked(hop, incoming)),
    };
    Input::Uplink(hop.server, life, event)
}

impl Handle {
    /// Whether this is the link that the handle is of.
    pub(crate) fn is_of(&self, life: Life) -> bool {
        self.life == life
    }

    /// A link stands.
    pub(crate) fn up(&mut self, ends: Ends) {
        self.ends = Some(ends);
    }

    /// It is gone.
    pub(crate) fn down(&mut self) {
        self.ends = None;
    }

    /// What the next Hello says.
    pub(crate) fn resume(&self, resume: Option<Resume>) {
        self.resume.send_if_modified(|was| {
            let changed = *was != resume;
            *was = resume;
            changed
        });
    }

    /// Who this server is in headers.
    pub(crate) fn name(&self, name: Option<ClientGuid>) {
        let Some(name) = name else { return };
        self.name.send_if_modified(|was| std::mem::replace(was, name) != name);
    }

    /// Carries out what the engine wants of the link; what is said to one that is gone is lost with it.
    pub(crate) fn carry_out(&mut self, action: Action) {
        let server_takes = match action {
            Action::Open(exchange, drafts) => {
                self.say(|ends| ends.asks.try_send(Outgoing { exchange, content: Content::Drafts(drafts) }).is_ok())
            }
            Action::Report(exchange, spelling, parts) => {
                let content = Content::Parts(spelling, parts);
                self.say(|ends| ends.asks.try_send(Outgoing { exchange, content }).is_ok())
            }
            Action::Answer { push, spelling, answer } => {
                self.say(|ends| ends.answers.try_send(Answered { push, spelling, answer }).is_ok())
            }
            Action::Refused(why) => {
                tracing::warn!(why, "an upstream refused what it was asked for; it is asked for less, or later");
                true
            }
            Action::Hangup(why) => {
                tracing::warn!(why, "the link to an upstream is given up; trying again after a pause");
                false
            }
            Action::Left => {
                self.stop.cancel();
                false
            }
        };
        if !server_takes {
            self.ends = None;
        }
    }

    fn say(&self, say: impl FnOnce(&Ends) -> bool) -> bool {
        self.ends.as_ref().is_some_and(say)
    }
}
