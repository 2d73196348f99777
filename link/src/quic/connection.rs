//! One connection: its state, and the handle by which tasks use it.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{ConnectionError, ConnectionHandle, ConnectionStats, Dir, Event, StreamEvent, StreamId, VarInt};
use tokio::sync::Notify;

use super::ready::Ready;
use super::shared_window::SharedWindow;
use super::stream::{RecvStream, SendStream};
use super::timers::Armed;

/// What tasks and the driver share of a connection.
pub(super) struct Shared {
    pub(super) handle: ConnectionHandle,
    state: Mutex<State>,
    ready: Arc<Ready>,
    /// Of all connections of the port.
    pub(super) window: Arc<SharedWindow>,
    connected: Notify,
    /// By [`Dir`]: the peer has opened a stream, and lets us open one.
    opened: [Notify; 2],
    available: [Notify; 2],
    closed: Notify,
}

/// What is under a connection's lock.
pub(super) struct State {
    pub(super) quic: quinn_proto::Connection,
    /// It stands in the ready queue.
    pub(super) queued: bool,
    /// Its entries among the timers.
    pub(super) armed: Armed,
    /// Set before the connection is over for all who use it.
    pub(super) error: Option<ConnectionError>,
    pub(super) readers: Wakers,
    pub(super) writers: Wakers,
    /// How many streams have more to send than there is room for.
    pub(super) waiting: usize,
    /// Those that are urgent and wait for room.
    pub(super) urgent: Vec<StreamId>,
    connected: bool,
}

/// Tasks that wait for a stream, one for each.
#[derive(Default)]
pub(super) struct Wakers(Vec<(StreamId, Waker)>);

impl Wakers {
    pub(super) fn insert(&mut self, stream: StreamId, waker: &Waker) {
        match self.0.iter_mut().find(|(id, _)| *id == stream) {
            Some((_, known)) => known.clone_from(waker),
            None => self.0.push((stream, waker.clone())),
        }
    }

    pub(super) fn remove(&mut self, stream: StreamId) -> Option<Waker> {
        let index = self.0.iter().position(|(id, _)| *id == stream)?;
        Some(self.0.swap_remove(index).1)
    }

    fn wake(&mut self, stream: StreamId) {
        if let Some(waker) = self.remove(stream) {
            waker.wake();
        }
    }

    fn wake_all(&mut self) {
        self.0.drain(..).for_each(|(_, waker)| waker.wake());
    }
}

impl Shared {
    pub(super) fn new(
        handle: ConnectionHandle,
        quic: quinn_proto::Connection,
        ready: Arc<Ready>,
        window: Arc<SharedWindow>,
    ) -> Arc<Self> {
        let state = State {
            quic,
            queued: false,
            armed: Armed::default(),
            error: None,
            readers: Wakers::default(),
            writers: Wakers::default(),
            waiting: 0,
            urgent: Vec::new(),
            connected: false,
        };
        Arc::new(Self {
            handle,
            state: Mutex::new(state),
            ready,
            window,
            connected: Notify::new(),
            opened: Default::default(),
            available: Default::default(),
            closed: Notify::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The driver is to look after this connection.
    pub(super) fn touch(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.queued, true) {
            self.ready.push(Arc::clone(self));
        }
    }

    /// Tells those who wait what has happened.
    pub(super) fn tell(&self, state: &mut State) {
        while let Some(event) = state.quic.poll() {
            match event {
                Event::Connected => {
                    state.connected = true;
                    self.connected.notify_waiters();
                }
                Event::ConnectionLost { reason } => self.end(state, reason),
                Event::Stream(StreamEvent::Readable { id }) => state.readers.wake(id),
                Event::Stream(StreamEvent::Writable { id } | StreamEvent::Stopped { id, .. }) => state.writers.wake(id),
                Event::Stream(StreamEvent::Opened { dir }) => self.opened[dir as usize].notify_waiters(),
                Event::Stream(StreamEvent::Available { dir }) => self.available[dir as usize].notify_waiters(),
                // Nobody waits for these: no datagrams are used, and what a stream's end was worth a reply says.
                Event::Stream(StreamEvent::Finished { .. })
                | Event::HandshakeDataReady
                | Event::DatagramReceived
                | Event::DatagramsUnblocked => {}
            }
        }
    }

    /// It is over for all who use it.
    pub(super) fn end(&self, state: &mut State, reason: ConnectionError) {
        state.error.get_or_insert(reason);
        state.readers.wake_all();
        state.writers.wake_all();
        self.connected.notify_waiters();
        self.opened.iter().chain(&self.available).for_each(Notify::notify_waiters);
        self.closed.notify_waiters();
    }

    /// Closes it and tells the peer.
    pub(super) fn close(self: &Arc<Self>, code: VarInt, reason: Bytes) {
        let mut state = self.lock();
        if state.quic.is_closed() {
            return;
        }
        state.quic.close(Instant::now(), code, reason);
        self.end(&mut state, ConnectionError::LocallyClosed);
        self.touch(&mut state);
    }
}

/// A connection in use. It closes with the last of its clones and streams.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Use>);

/// Ends the connection with its last user.
pub(super) struct Use(Arc<Shared>);

impl Drop for Use {
    fn drop(&mut self) {
        self.0.close(VarInt::from_u32(0), Bytes::new());
    }
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Use(shared)))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Waits for `ask` to have an answer; it is asked again at each notice.
    async fn wait<T>(
        &self,
        notice: &Notify,
        mut ask: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, ConnectionError> {
        loop {
            let noticed = {
                let mut state = self.shared().lock();
                if let Some(answer) = ask(&mut state) {
                    self.shared().touch(&mut state);
                    return Ok(answer);
                }
                if let Some(error) = &state.error {
                    return Err(error.clone());
                }
                // Made under the lock, it hears of whatever happens from now on.
                notice.notified()
            };
            noticed.await;
        }
    }

    /// Waits until TLS is done on both sides.
    pub(crate) async fn connected(&self) -> Result<(), ConnectionError> {
        self.wait(&self.shared().connected, |state| (state.connected && state.error.is_none()).then_some(())).await
    }

    async fn open(&self, dir: Dir) -> Result<StreamId, ConnectionError> {
        let available = &self.shared().available[dir as usize];
        self.wait(available, |state| state.error.is_none().then(|| state.quic.streams().open(dir)).flatten()).await
    }

    /// Opens a stream in one direction, once the peer allows it.
    pub(crate) async fn open_uni(&self) -> Result<SendStream, ConnectionError> {
        Ok(SendStream::new(self.clone(), self.open(Dir::Uni).await?))
    }

    /// Opens a stream in both directions, once the peer allows it.
    pub(crate) async fn open_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let stream = self.open(Dir::Bi).await?;
        Ok((SendStream::new(self.clone(), stream), RecvStream::new(self.clone(), stream)))
    }

    async fn accept(&self, dir: Dir) -> Result<StreamId, ConnectionError> {
        self.wait(&self.shared().opened[dir as usize], |state| state.quic.streams().accept(dir)).await
    }

    /// The next stream in one direction that the peer opens.
    pub(crate) async fn accept_uni(&self) -> Result<RecvStream, ConnectionError> {
        Ok(RecvStream::new(self.clone(), self.accept(Dir::Uni).await?))
    }

    /// The next stream in both directions that the peer opens.
    pub(crate) async fn accept_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let stream = self.accept(Dir::Bi).await?;
        Ok((SendStream::new(self.clone(), stream), RecvStream::new(self.clone(), stream)))
    }

    /// Waits until it is over.
    pub(crate) async fn closed(&self) -> ConnectionError {
        let over = self.wait(&self.shared().closed, |_| None::<std::convert::Infallible>).await;
        match over {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    /// Why it is over, if it is.
    pub(crate) fn close_reason(&self) -> Option<ConnectionError> {
        self.shared().lock().error.clone()
    }

    /// Ends it; what was sent and not acknowledged may be lost.
    pub(crate) fn close(&self, code: VarInt, reason: &[u8]) {
        self.shared().close(code, Bytes::copy_from_slice(reason));
    }

    /// Where the peer is now.
    pub(crate) fn remote_address(&self) -> SocketAddr {
        self.shared().lock().quic.remote_address()
    }

    /// What it may have under way now.
    #[cfg(test)]
    pub(crate) fn window(&self) -> u64 {
        self.shared().window.bytes()
    }

    /// The path's current round-trip time.
    pub(crate) fn rtt(&self) -> Duration {
        self.shared().lock().quic.rtt()
    }

    /// What has been counted, also of one that is over.
    pub(crate) fn stats(&self) -> ConnectionStats {
        self.shared().lock().quic.stats()
    }

    /// The peer's certificates, as TLS has them.
    pub(crate) fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.shared().lock().quic.crypto_session().peer_identity()
    }

    /// Grants the peer another window for all streams together, from now on.
    pub(crate) fn set_receive_window(&self, bytes: VarInt) {
        let mut state = self.shared().lock();
        state.quic.set_receive_window(bytes);
        self.shared().touch(&mut state);
    }
}
