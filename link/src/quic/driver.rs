//! The task that drives all connections of an endpoint.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::{DatagramEvent, Transmit};
use quinn_udp::RecvMeta;
use tokio::time::Sleep;
use tracing::error;

use super::connection;
use super::endpoint::{self, Shared};
use super::socket::{Room, SLOTS, ecn};
use super::steering::Stray;
use super::timers::Timers;

/// Packets that a connection may send before it is another's turn.
const BURST: usize = 64;
/// Packets that all may send before tasks get their turn: about a millisecond.
const TURN: usize = 512;
/// Calls that receive, before the same.
const RECEIVES: usize = 8;
/// The longest train: what the kernel takes as one packet of IP, with room for its headers.
const TRAIN_BYTES_MAX: usize = 65_000;

/// See the module. Ends when nobody dials or accepts any more and the last connection is gone.
pub(super) struct Driver {
    shared: Arc<Shared>,
    /// Connections that are to be looked after, in order.
    queue: VecDeque<Arc<connection::Shared>>,
    timers: Timers,
    sleep: Pin<Box<Sleep>>,
    room: Room,
    /// A train on its way out, and what it is.
    train: Vec<u8>,
    blocked: Option<Transmit>,
    /// Woken by tasks, it let the others of that moment go first, so that one turn serves them all.
    waited: bool,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            queue: VecDeque::new(),
            timers: Timers::default(),
            sleep: Box::pin(tokio::time::sleep(std::time::Duration::ZERO)),
            room: Room::default(),
            train: Vec::with_capacity(TRAIN_BYTES_MAX),
            blocked: None,
            waited: false,
        }
    }

    /// Takes what the kernel has; says whether there may be more.
    fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        let mut metas = [RecvMeta::default(); SLOTS];
        for _ in 0..RECEIVES {
            let Poll::Ready(filled) = self.shared.socket.poll_receive(cx, &mut self.room, &mut metas) else {
                return Ok(false);
            };
            for (index, meta) in metas.iter().take(filled?).enumerate() {
                self.take(now, index, meta);
            }
        }
        Ok(true)
    }

    /// Gives the packets in a slot to their connections, or to the sockets whose they are.
    fn take(&mut self, now: Instant, slot: usize, meta: &RecvMeta) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        for packet in self.room.slot(slot, meta.len).chunks(meta.stride.max(1)) {
            let (owner, packet) = (shared.port.group.owner(packet), BytesMut::from(packet));
            if owner == shared.own {
                take(&shared, &mut state, &mut self.queue, now, Stray { meta: *meta, packet });
            } else {
                shared.port.group.pass(owner, Stray { meta: *meta, packet });
            }
        }
    }

    /// Takes what came to other sockets of the port.
    fn take_strays(&mut self, now: Instant) {
        let strays = self.shared.port.group.strays(self.shared.own);
        if strays.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        for stray in strays {
            take(&self.shared, &mut state, &mut self.queue, now, stray);
        }
    }

    /// Tells connections whose time has come.
    fn expire(&mut self, now: Instant) {
        if self.timers.next().is_none_or(|next| next > now) {
            return;
        }
        let state = self.shared.lock();
        while let Some((deadline, handle)) = self.timers.expired(now) {
            let Some(connection) = state.connection(handle) else { continue };
            let mut inner = connection.lock();
            if !inner.armed.fired(deadline) {
                continue;
            }
            let inner = &mut *inner;
            match inner.quic.poll_timeout() {
                Some(deadline) if deadline > now => self.timers.arm(handle, &mut inner.armed, Some(deadline)),
                Some(_) => {
                    inner.quic.handle_timeout(now);
                    enqueue(&mut self.queue, connection, inner);
                }
                None => {}
            }
        }
    }

    /// Sends what connections have to say, in turn; says whether there is more to say now.
    fn send(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        if let Some(transmit) = self.blocked.take()
            && self.hand_over(cx, transmit)?.is_none()
        {
            return Ok(false);
        }
        let mut sent = 0;
        while sent < TURN {
            let Some(connection) = self.queue.pop_front() else { return Ok(false) };
            match self.serve(cx, now, &connection)? {
                Some(packets) => sent += packets,
                None => return Ok(false),
            }
        }
        Ok(!self.queue.is_empty())
    }

    /// Looks after one connection: what it has to send, to tell its endpoint, to tell those who wait. Says how many packets
    /// it sent, or nothing if the kernel takes no more now.
    fn serve(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        connection: &Arc<connection::Shared>,
    ) -> io::Result<Option<usize>> {
        let mut state = connection.lock();
        state.queued = false;
        let segments = (TRAIN_BYTES_MAX / usize::from(state.quic.current_mtu()).max(1))
            .clamp(1, self.shared.socket.segments_max().max(1));
        let mut sent = 0;
        let mut blocked = false;
        while sent < BURST {
            self.train.clear();
            let Some(transmit) = state.quic.poll_transmit(now, segments, &mut self.train) else { break };
            sent += transmit.segment_size.map_or(1, |segment| transmit.size.div_ceil(segment));
            if self.hand_over(cx, transmit)?.is_none() {
                blocked = true;
                break;
            }
        }
        if blocked || sent >= BURST {
            enqueue(&mut self.queue, connection, &mut state);
        }
        self.tell(connection, &mut state);
        Ok((!blocked).then_some(sent.max(1)))
    }

    /// What a connection tells its endpoint and those who wait for it.
    fn tell(&mut self, connection: &Arc<connection::Shared>, state: &mut connection::State) {
        while let Some(event) = state.quic.poll_endpoint_events() {
            let drained = event.is_drained();
            let mut endpoint = self.shared.lock();
            if let Some(event) = endpoint.quic.handle_event(connection.handle, event) {
                state.quic.handle_event(event);
                enqueue(&mut self.queue, connection, state);
            }
            if drained {
                self.shared.forget(&mut endpoint, connection.handle);
            }
        }
        connection.tell(state);
        let deadline = state.quic.poll_timeout();
        self.timers.arm(connection.handle, &mut state.armed, deadline);
    }

    /// Gives a train to the kernel, or keeps it until the kernel takes one.
    fn hand_over(&mut self, cx: &mut Context<'_>, transmit: Transmit) -> io::Result<Option<()>> {
        match self.shared.socket.poll_send(cx, &transmit, &self.train) {
            Poll::Ready(sent) => sent.map(Some),
            Poll::Pending => {
                self.blocked = Some(transmit);
                Ok(None)
            }
        }
    }

    /// Whether there is something to do at once that was not done.
    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let now = Instant::now();
        let received = self.receive(cx, now)?;
        self.expire(now);
        let known = self.queue.len();
        self.shared.ready.take(&mut self.queue, cx);
        let is_woken = self.queue.len() > known;
        // From here on a stray wakes this task: none comes between the last look and that.
        self.take_strays(now);
        if is_woken && !std::mem::replace(&mut self.waited, true) {
            return Ok(true);
        }
        self.waited = false;
        let more = self.send(cx, now)?;
        Ok(received || more || self.rest(cx))
    }

    /// Sleeps until the next deadline; says whether it has come.
    fn rest(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(next) = self.timers.next() else { return false };
        if self.sleep.deadline().into_std() != next {
            self.sleep.as_mut().reset(next.into());
        }
        self.sleep.as_mut().poll(cx).is_ready()
    }
}

/// Gives a packet to its connection.
fn take(
    shared: &Shared,
    state: &mut endpoint::State,
    queue: &mut VecDeque<Arc<connection::Shared>>,
    now: Instant,
    Stray { meta, packet }: Stray,
) {
    let mut answer = Vec::new();
    match state.quic.handle(now, meta.addr, meta.dst_ip, ecn(&meta), packet, &mut answer) {
        Some(DatagramEvent::ConnectionEvent(handle, event)) => {
            let Some(connection) = state.connection(handle) else { return };
            let mut inner = connection.lock();
            inner.quic.handle_event(event);
            enqueue(queue, connection, &mut inner);
        }
        Some(DatagramEvent::NewConnection(incoming)) => shared.offer(state, incoming),
        Some(DatagramEvent::Response(transmit)) => shared.socket.try_send(&transmit, &answer),
        None => {}
    }
}

/// The connection is to be looked after; it stands in one queue, once.
fn enqueue(
    queue: &mut VecDeque<Arc<connection::Shared>>,
    connection: &Arc<connection::Shared>,
    state: &mut connection::State,
) {
    if !std::mem::replace(&mut state.queued, true) {
        queue.push_back(Arc::clone(connection));
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.turn(cx) {
            Ok(true) => cx.waker().wake_by_ref(),
            Ok(false) => {}
            Err(error) => {
                error!(%error, "the socket cannot be used any more: its links end");
                return Poll::Ready(());
            }
        }
        let over = {
            let state: &endpoint::State = &self.shared.lock();
            state.abandoned && state.is_idle()
        };
        if over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}
