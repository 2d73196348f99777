//! A socket with its connections: dialling, accepting, closing all.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{
    ClientConfig, ConnectError, ConnectionError, ConnectionHandle, EndpointConfig, ServerConfig, Transmit, VarInt,
};
use tokio::sync::Notify;

use super::connection::{self, Connection};
use super::driver::Driver;
use super::ready::Ready;
use super::shared_window::SharedWindow;
use super::socket::Socket;
use super::steering::Group;

/// A socket with its connections. They live on when it is dropped; nothing new comes.
pub(crate) struct Endpoint(Arc<Shared>);

/// What handles and the driver share of an endpoint.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) ready: Arc<Ready>,
    pub(super) socket: Socket,
    pub(super) port: Arc<Port>,
    /// Which of the port's sockets this is.
    pub(super) own: usize,
    idle: Notify,
}

/// What the sockets of a port share.
pub(super) struct Port {
    pub(super) group: Group,
    /// Somebody tries to connect.
    incoming: Notify,
    window: Arc<SharedWindow>,
}

impl Port {
    fn new(sockets: &[Arc<Ready>], window: Arc<SharedWindow>) -> Arc<Self> {
        let group = Group::new(sockets.iter().map(Arc::clone));
        Arc::new(Self { group, incoming: Notify::new(), window })
    }
}

/// What is under an endpoint's lock.
pub(super) struct State {
    pub(super) quic: quinn_proto::Endpoint,
    /// By handle.
    connections: Vec<Option<Arc<connection::Shared>>>,
    open: usize,
    incoming: VecDeque<quinn_proto::Incoming>,
    /// With what it was closed.
    closed: Option<(VarInt, Bytes)>,
    /// Nobody dials or accepts any more.
    pub(super) abandoned: bool,
}

impl State {
    pub(super) fn connection(&self, handle: ConnectionHandle) -> Option<&Arc<connection::Shared>> {
        self.connections.get(handle.0)?.as_ref()
    }

    /// No connection is left.
    pub(super) fn is_idle(&self) -> bool {
        self.open == 0
    }

    fn add(
        &mut self,
        handle: ConnectionHandle,
        quic: quinn_proto::Connection,
        shared: &Shared,
    ) -> Arc<connection::Shared> {
        let (ready, window) = (Arc::clone(&shared.ready), Arc::clone(&shared.port.window));
        let connection = connection::Shared::new(handle, quic, ready, window);
        if self.connections.len() <= handle.0 {
            self.connections.resize(handle.0 + 1, None);
        }
        self.connections[handle.0] = Some(Arc::clone(&connection));
        self.open += 1;
        connection
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt to connect: for whoever accepts, or refused if nobody does.
    pub(super) fn offer(&self, state: &mut State, incoming: quinn_proto::Incoming) {
        if state.closed.is_some() || state.abandoned {
            self.answer(|bytes| Some(state.quic.refuse(incoming, bytes)));
        } else {
            state.incoming.push_back(incoming);
            self.port.incoming.notify_waiters();
        }
    }

    /// Nothing is left of a connection.
    pub(super) fn forget(&self, state: &mut State, handle: ConnectionHandle) {
        if state.connections.get_mut(handle.0).and_then(Option::take).is_some() {
            state.open -= 1;
        }
        if state.is_idle() {
            self.idle.notify_waiters();
        }
    }

    /// Sends what the endpoint itself has to say, if the kernel takes it now: who misses it asks again.
    pub(super) fn answer(&self, say: impl FnOnce(&mut Vec<u8>) -> Option<Transmit>) {
        let mut bytes = Vec::new();
        if let Some(transmit) = say(&mut bytes) {
            self.socket.try_send(&transmit, &bytes);
        }
    }

    /// The driver is gone, and with it everything.
    pub(super) fn abandon(&self) {
        let connections = std::mem::take(&mut self.lock().connections);
        for connection in connections.into_iter().flatten() {
            let mut state = connection.lock();
            connection.end(&mut state, ConnectionError::LocallyClosed);
        }
        let mut state = self.lock();
        state.open = 0;
        state.abandoned = true;
        state.closed.get_or_insert_default();
        self.port.incoming.notify_waiters();
        self.idle.notify_waiters();
    }
}

/// Drives the sockets of a port, which listen, each in a task of its own; the configuration of each is made for it. In a
/// tokio runtime.
pub(crate) fn listen(
    sockets: Vec<Socket>,
    config: impl Fn(u8) -> EndpointConfig,
    server: &Arc<ServerConfig>,
    window: Arc<SharedWindow>,
) -> Vec<Endpoint> {
    let ready: Vec<Arc<Ready>> = sockets.iter().map(|_| Arc::default()).collect();
    let port = Port::new(&ready, window);
    let parts = (0..).zip(sockets.into_iter().zip(ready));
    let endpoint = |(own, (socket, ready))| {
        let place = (Arc::clone(&port), usize::from(own));
        Endpoint::start(config(own), Some(Arc::clone(server)), socket, ready, place)
    };
    parts.map(endpoint).collect()
}

/// The next attempt to connect to any of the sockets of a port, or `None` once they are closed.
pub(crate) async fn accept(endpoints: &[Endpoint]) -> Option<Incoming> {
    let incoming = &endpoints.first()?.0.port.incoming;
    loop {
        // Made before they are looked at, it hears of whatever happens from now on.
        let noticed = incoming.notified();
        if let Some(incoming) = endpoints.iter().find_map(Endpoint::next_incoming) {
            return Some(incoming);
        }
        if endpoints.iter().any(Endpoint::is_closed) {
            return None;
        }
        noticed.await;
    }
}

impl Endpoint {
    /// Drives a socket that dials. In a tokio runtime.
    pub(crate) fn dialling(config: EndpointConfig, socket: Socket, window: Arc<SharedWindow>) -> Self {
        let ready = Arc::<Ready>::default();
        let port = Port::new(std::slice::from_ref(&ready), window);
        Self::start(config, None, socket, ready, (port, 0))
    }

    fn start(
        config: EndpointConfig,
        server: Option<Arc<ServerConfig>>,
        socket: Socket,
        ready: Arc<Ready>,
        (port, own): (Arc<Port>, usize),
    ) -> Self {
        let quic = quinn_proto::Endpoint::new(Arc::new(config), server, !socket.may_fragment(), None);
        let state =
            State { quic, connections: Vec::new(), open: 0, incoming: VecDeque::new(), closed: None, abandoned: false };
        let idle = Notify::new();
        let shared = Arc::new(Shared { state: Mutex::new(state), ready, socket, port, own, idle });
        tokio::spawn(Driver::new(Arc::clone(&shared)));
        Self(shared)
    }

    /// Where it is bound.
    pub(crate) fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.socket.local_addr()
    }

    /// How many packets the kernel takes at once.
    #[cfg(test)]
    pub(super) fn segments_max(&self) -> usize {
        self.0.socket.segments_max()
    }

    /// How many connections there are.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.0.lock().open
    }

    /// How many packets came to other sockets.
    #[cfg(test)]
    pub(super) fn strays(&self) -> usize {
        self.0.port.group.passed(self.0.own)
    }

    /// Begins to dial; see [`Connection::connected`].
    ///
    /// # Errors
    ///
    /// No such address can be dialled from here, or the endpoint is closed.
    pub(crate) fn connect(
        &self,
        config: ClientConfig,
        addr: SocketAddr,
        server_name: &str,
    ) -> Result<Connection, ConnectError> {
        let mut state = self.0.lock();
        if state.closed.is_some() {
            return Err(ConnectError::EndpointStopping);
        }
        let (handle, quic) = state.quic.connect(Instant::now(), config, addr, server_name)?;
        let connection = state.add(handle, quic, &self.0);
        drop(state);
        connection.touch(&mut connection.lock());
        Ok(Connection::new(connection))
    }

    fn next_incoming(&self) -> Option<Incoming> {
        let incoming = self.0.lock().incoming.pop_front()?;
        let (remote, endpoint) = (incoming.remote_address(), Arc::clone(&self.0));
        Some(Incoming { remote, incoming: Some(incoming), endpoint })
    }

    fn is_closed(&self) -> bool {
        self.0.lock().closed.is_some()
    }

    /// Refuses whoever comes from now on.
    pub(crate) fn stop_accepting(&self) {
        self.0.lock().quic.set_server_config(None);
    }

    /// Closes all connections, and ends [`accept`].
    pub(crate) fn close(&self, code: VarInt, reason: &[u8]) {
        let reason = Bytes::copy_from_slice(reason);
        let mut state = self.0.lock();
        state.closed = Some((code, reason.clone()));
        let connections: Vec<_> = state.connections.iter().flatten().map(Arc::clone).collect();
        drop(state);
        for connection in connections {
            connection.close(code, reason.clone());
        }
        self.0.port.incoming.notify_waiters();
    }

    /// Waits until every closed connection has been told so.
    pub(crate) async fn wait_idle(&self) {
        loop {
            let noticed = {
                let state = self.0.lock();
                if state.is_idle() {
                    return;
                }
                self.0.idle.notified()
            };
            noticed.await;
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.abandoned = true;
        let waiting = std::mem::take(&mut state.incoming);
        for incoming in waiting {
            state.quic.ignore(incoming);
        }
        drop(state);
        self.0.ready.wake();
    }
}

/// An attempt to connect about which nothing has been decided. Dropped, it is refused.
pub(crate) struct Incoming {
    remote: SocketAddr,
    /// Until it is decided.
    incoming: Option<quinn_proto::Incoming>,
    endpoint: Arc<Shared>,
}

impl Incoming {
    /// From where it comes.
    pub(crate) fn remote_address(&self) -> SocketAddr {
        self.remote
    }

    /// Whether it can be asked to show that it receives what is sent to its address.
    pub(crate) fn may_retry(&self) -> bool {
        self.incoming.as_ref().is_some_and(quinn_proto::Incoming::may_retry)
    }

    /// Begins the handshake, with another configuration than its endpoint's if one is given; see [`Connection::connected`].
    ///
    /// # Errors
    ///
    /// It came to nothing already.
    pub(crate) fn accept(mut self, config: Option<Arc<ServerConfig>>) -> Result<Connection, ConnectionError> {
        let Some(incoming) = self.incoming.take() else { return Err(ConnectionError::LocallyClosed) };
        let mut state = self.endpoint.lock();
        let mut bytes = Vec::new();
        let accepted = state.quic.accept(incoming, Instant::now(), &mut bytes, config);
        let (handle, quic) = accepted.map_err(|error| {
            self.endpoint.answer(|answer| {
                answer.append(&mut bytes);
                error.response
            });
            error.cause
        })?;
        let connection = state.add(handle, quic, &self.endpoint);
        let closed = state.closed.clone();
        drop(state);
        connection.touch(&mut connection.lock());
        let connection = Connection::new(connection);
        if let Some((code, reason)) = closed {
            connection.close(code, &reason);
        }
        Ok(connection)
    }

    /// Asks it to show that it receives what is sent to its address, or refuses it if it has been asked.
    pub(crate) fn retry(mut self) {
        let Some(incoming) = self.incoming.take() else { return };
        let mut state = self.endpoint.lock();
        self.endpoint.answer(|bytes| match state.quic.retry(incoming, bytes) {
            Ok(transmit) => Some(transmit),
            Err(error) => Some(state.quic.refuse(error.into_incoming(), bytes)),
        });
    }

    /// Refuses it.
    pub(crate) fn refuse(self) {}
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take() else { return };
        let mut state = self.endpoint.lock();
        self.endpoint.answer(|bytes| Some(state.quic.refuse(incoming, bytes)));
    }
}
