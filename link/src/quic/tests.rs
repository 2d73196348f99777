//! The driver against itself and against `quinn`, which joins the same protocol to tokio in another way.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn_proto::{
    ClientConfig, ConnectionError, EndpointConfig, Event, ServerConfig, StreamEvent, TransportConfig, VarInt,
};
use tokio::io::AsyncReadExt;

use super::*;
use crate::pki::Role;
use crate::tests::pair::{CLIENT, SERVER, Site, soon};
use crate::tls::{self, SERVER_NAME};

const LONG: usize = 8 << 20;
/// What a connection may have under way, a multiple of three; half of what all may have.
const WINDOW: usize = 768 << 10;

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn configs() -> (ServerConfig, ClientConfig) {
    let site = Site::new();
    let server = tls::server(&site.identity(SERVER, Role::Server)).unwrap();
    let client = tls::client(&site.identity(CLIENT, Role::Client), SERVER).unwrap();
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(VarInt::from_u32(20_000).into())).initial_rtt(Duration::from_millis(10));
    let transport = Arc::new(transport);
    let mut server = ServerConfig::with_crypto(Arc::new(server));
    server.transport_config(Arc::clone(&transport));
    let mut client = ClientConfig::new(Arc::new(client));
    client.transport_config(transport);
    (server, client)
}

fn endpoint(server: Option<ServerConfig>) -> Endpoint {
    match server {
        Some(server) => endpoints(server, 1).remove(0),
        None => Endpoint::dialling(EndpointConfig::default(), Socket::bind(loopback(), 1 << 20).unwrap(), window()),
    }
}

/// Those that listen on the sockets of one port.
fn endpoints(server: ServerConfig, sockets: u8) -> Vec<Endpoint> {
    let bound = Socket::bind_all(loopback(), 1 << 20, sockets).unwrap();
    listen(bound, |own| of_socket(own, sockets), &Arc::new(server), window())
}

fn window() -> Arc<SharedWindow> {
    SharedWindow::new(WINDOW as u64, 2 * WINDOW as u64)
}

fn of_socket(socket: u8, sockets: u8) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.cid_generator(move || Box::new(SocketIds { socket, sockets }));
    config
}

async fn next_of(above: &Endpoint) -> Option<Incoming> {
    accept(std::slice::from_ref(above)).await
}

/// Two connected ends; the endpoints must outlive them.
async fn pair() -> (Endpoint, Endpoint, Connection, Connection) {
    let (server, client) = configs();
    let (below, above) = (endpoint(None), endpoint(Some(server)));
    let dialled = below.connect(client, above.local_addr().unwrap(), SERVER_NAME).unwrap();
    let accepted = soon(next_of(&above)).await.unwrap().accept(None).unwrap();
    soon(accepted.connected()).await.unwrap();
    soon(dialled.connected()).await.unwrap();
    (below, above, dialled, accepted)
}

fn content() -> Vec<u8> {
    (0..LONG).map(|index| (index * 31 + index / 251) as u8).collect()
}

/// Sends everything back, by streams of this crate.
async fn echo(connection: Connection) {
    let (mut send, mut receive) = connection.accept_bi().await.unwrap();
    let mut all = Vec::new();
    receive.read_to_end(&mut all).await.unwrap();
    // In pieces, the last ones short.
    let mut pieces: Vec<Bytes> = all.chunks(100_000).map(Bytes::copy_from_slice).collect();
    send.write_all_chunks(&mut pieces).await.unwrap();
    send.finish().unwrap();
    let _ = connection.closed().await;
}

#[tokio::test]
async fn a_stock_client_gets_every_byte_back() {
    let (server, client) = configs();
    let above = endpoint(Some(server));
    let stock = quinn::Endpoint::client(loopback()).unwrap();
    let connecting = stock.connect_with(client, above.local_addr().unwrap(), SERVER_NAME).unwrap();
    let accepted = soon(next_of(&above)).await.unwrap().accept(None).unwrap();
    let (connection, connected) = soon(async { tokio::join!(connecting, accepted.connected()) }).await;
    connected.unwrap();
    let echoing = tokio::spawn(echo(accepted));
    let connection = connection.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let sending = async {
        send.write_all(&content()).await.unwrap();
        send.finish().unwrap();
    };
    let (back, ()) = soon(async { tokio::join!(receive.read_to_end(LONG), sending) }).await;
    assert!(back.unwrap() == content());
    connection.close(VarInt::from_u32(7), b"enough");
    soon(echoing).await.unwrap();
}

#[tokio::test]
async fn a_stock_server_gets_every_byte() {
    let (server, client) = configs();
    let above = quinn::Endpoint::server(server, loopback()).unwrap();
    let below = endpoint(None);
    let dialled = below.connect(client, above.local_addr().unwrap(), SERVER_NAME).unwrap();
    let accepted = soon(above.accept()).await.unwrap().await.unwrap();
    soon(dialled.connected()).await.unwrap();
    let mut stream = dialled.open_uni().await.unwrap();
    let mut chunks = [Bytes::from(content())];
    let reading = async { accepted.accept_uni().await.unwrap().read_to_end(LONG).await.unwrap() };
    let sending = async {
        stream.write_all_chunks(&mut chunks).await.unwrap();
        stream.finish().unwrap();
    };
    let (came, ()) = soon(async { tokio::join!(reading, sending) }).await;
    assert!(came == content());
    accepted.close(VarInt::from_u32(7), b"enough");
    let ConnectionError::ApplicationClosed(close) = soon(dialled.closed()).await else { panic!("closed otherwise") };
    assert_eq!((close.error_code, &close.reason[..]), (VarInt::from_u32(7), &b"enough"[..]));
    soon(below.wait_idle()).await;
}

#[tokio::test]
async fn the_kernel_gets_long_trains() {
    let (_below, above, dialled, accepted) = pair().await;
    if above.segments_max() < 44 {
        return;
    }
    let sending = async {
        let mut stream = accepted.open_uni().await.unwrap();
        stream.write_all_chunks(&mut [Bytes::from(content())]).await.unwrap();
        stream.finish().unwrap();
    };
    let reading = async {
        let mut all = Vec::new();
        dialled.accept_uni().await.unwrap().read_to_end(&mut all).await.unwrap();
        all
    };
    let (all, ()) = soon(async { tokio::join!(reading, sending) }).await;
    assert!(all == content());
    let sent = accepted.stats().udp_tx;
    assert!(sent.datagrams > 10 * sent.ios, "{} packets in {} trains", sent.datagrams, sent.ios);
}

/// What a stream takes of so many bytes, while nothing is acknowledged.
fn takes(stream: &mut SendStream, bytes: usize) -> usize {
    let mut chunks = [Bytes::from(vec![b' '; bytes])];
    if stream.try_write(&mut chunks).unwrap() == 1 { bytes } else { bytes - chunks[0].len() }
}

/// Streams of a connection on which nothing was sent yet.
async fn streams<const N: usize>(connection: &Connection) -> [SendStream; N] {
    let mut streams = Vec::new();
    for _ in 0..N {
        streams.push(connection.open_uni().await.unwrap());
    }
    streams.try_into().ok().unwrap()
}

#[tokio::test]
async fn what_is_urgent_does_not_wait_for_what_others_have_under_way() {
    let (_below, _above, dialled, _accepted) = pair().await;
    let [mut long, mut other, mut urgent] = streams(&dialled).await;
    urgent.set_urgent(true);
    // From here nothing is awaited, so nothing is sent.
    assert_eq!(takes(&mut long, LONG), WINDOW);
    assert_eq!(takes(&mut other, 1), 0, "a connection's window is for all its streams");
    assert_eq!(takes(&mut urgent, LONG), 64 << 10);
    assert_eq!(takes(&mut other, 1), 0, "what is beyond is not for others");
}

/// The protocol tells of room by the window that was set last.
#[tokio::test]
async fn an_urgent_stream_that_waits_is_told_of_room_though_others_ask_meanwhile() {
    let (_below, _above, dialled, _accepted) = pair().await;
    let [mut long, mut other, mut gone, mut urgent] = streams(&dialled).await;
    gone.set_urgent(true);
    urgent.set_urgent(true);
    assert_eq!(takes(&mut long, LONG), WINDOW);
    assert_eq!(takes(&mut gone, 24 << 10), 24 << 10);
    assert_eq!(takes(&mut urgent, LONG), 40 << 10);
    assert_eq!(takes(&mut other, 1), 0);
    gone.reset(VarInt::from_u32(5)).unwrap();
    let mut told = Vec::new();
    while let Some(event) = dialled.shared().lock().quic.poll() {
        told.extend(matches!(event, Event::Stream(StreamEvent::Writable { .. })).then_some(event));
    }
    assert!(told.len() >= 2, "the urgent one, and whoever waits with it: {told:?}");
    assert_eq!(takes(&mut other, 1), 0, "it is not for him");
    assert_eq!(takes(&mut urgent, LONG), 24 << 10);
}

#[tokio::test]
async fn a_stream_that_was_stopped_says_so_also_where_there_is_no_room() {
    let (_below, _above, dialled, accepted) = pair().await;
    let [mut long, mut stopped] = streams(&dialled).await;
    stopped.write_all(b"begun").await.unwrap();
    // Streams are taken in order.
    let _first = soon(accepted.accept_uni()).await.unwrap();
    soon(accepted.accept_uni()).await.unwrap().stop(VarInt::from_u32(6)).unwrap();
    assert_eq!(soon(stopped.stopped()).await, VarInt::from_u32(6));
    assert_eq!(takes(&mut long, LONG), WINDOW);
    let written = stopped.try_write(&mut [Bytes::from_static(b"more")]);
    assert_eq!(written, Err(WriteError::Stopped(VarInt::from_u32(6))));
}

#[tokio::test]
async fn connections_that_wait_share_what_all_may_have() {
    let (server, client) = configs();
    let (below, above) = (endpoint(None), endpoint(Some(server)));
    let mut connections = Vec::new();
    for _ in 0..3 {
        let dialled = below.connect(client.clone(), above.local_addr().unwrap(), SERVER_NAME).unwrap();
        let accepted = soon(next_of(&above)).await.unwrap().accept(None).unwrap();
        soon(accepted.connected()).await.unwrap();
        soon(dialled.connected()).await.unwrap();
        connections.push((dialled, accepted));
    }
    let [first, second, third] = [0, 1, 2].map(|index| &connections[index].0);
    let [one, other] = streams(first).await;
    let [two] = streams(second).await;
    let [mut three] = streams(third).await;
    // Two of one connection count once.
    let waiting = [one.share_window(), other.share_window(), two.share_window(), three.share_window()];
    assert_eq!([first.window(), third.window()], [WINDOW as u64 / 3 * 2; 2], "twice a window, divided by three");
    assert_eq!(takes(&mut three, LONG), WINDOW / 3 * 2);
    drop(waiting);
    assert_eq!(takes(&mut three, LONG), WINDOW - WINDOW / 3 * 2);
    let waiting = [one.share_window(), two.share_window(), three.share_window()];
    assert_eq!(takes(&mut three, 1), 0, "more is under way than it may have now");
    // And yet all of it comes.
    let (sent, all) = soon(async {
        let reading = async {
            let mut all = Vec::new();
            connections[2].1.accept_uni().await.unwrap().read_to_end(&mut all).await.unwrap();
            all.len()
        };
        let writing = async {
            three.write_all(&content()).await.unwrap();
            three.finish().unwrap();
            WINDOW + LONG
        };
        tokio::join!(writing, reading)
    })
    .await;
    assert_eq!(all, sent);
    drop(waiting);
    drop((one, other, two));
    assert_eq!(first.window(), WINDOW as u64);
}

#[tokio::test]
async fn a_stream_that_is_given_up_says_so_at_the_other_end() {
    let (_below, _above, dialled, accepted) = pair().await;
    let (mut send, mut receive) = dialled.open_bi().await.unwrap();
    send.write_all_chunks(&mut [Bytes::from_static(b"half")]).await.unwrap();
    let (mut answer, mut asked) = soon(accepted.accept_bi()).await.unwrap();
    let mut half = [0; 4];
    soon(asked.read_exact(&mut half)).await.unwrap();
    send.reset(VarInt::from_u32(5)).unwrap();
    for _ in 0..2 {
        let error = soon(asked.read(&mut half)).await.unwrap_err();
        let error = error.get_ref().and_then(|inner| inner.downcast_ref::<ReadError>());
        assert_eq!(error, Some(&ReadError::Reset(VarInt::from_u32(5))), "said as often as it is asked");
    }
    receive.stop(VarInt::from_u32(6)).unwrap();
    assert_eq!(soon(answer.stopped()).await, VarInt::from_u32(6));
    assert_eq!(soon(receive.read(&mut half)).await.unwrap(), 0, "one that was stopped has nothing more");
}

#[tokio::test]
async fn a_connection_ends_with_its_last_user() {
    let (below, above, dialled, accepted) = pair().await;
    let stream = dialled.open_uni().await.unwrap();
    drop(dialled);
    assert_eq!(accepted.close_reason(), None, "a stream is still in use");
    drop(stream);
    let ConnectionError::ApplicationClosed(close) = soon(accepted.closed()).await else { panic!("closed otherwise") };
    assert_eq!(close.error_code, VarInt::from_u32(0));
    soon(below.wait_idle()).await;
    soon(above.wait_idle()).await;
}

#[tokio::test]
async fn nobody_waits_for_an_endpoint_that_is_closed() {
    let (below, above, dialled, accepted) = pair().await;
    let waiting =
        async { tokio::join!(next_of(&above), accepted.accept_bi(), accepted.open_uni(), dialled.accept_uni()) };
    let closing = async {
        tokio::task::yield_now().await;
        above.close(VarInt::from_u32(2), b"done");
    };
    let ((next, bi, uni, other), ()) = soon(async { tokio::join!(waiting, closing) }).await;
    assert!(next.is_none());
    assert_eq!(bi.err(), Some(ConnectionError::LocallyClosed));
    // It was opened before the end, or not at all.
    assert!(uni.err().is_none_or(|error| error == ConnectionError::LocallyClosed));
    assert!(matches!(other.err(), Some(ConnectionError::ApplicationClosed(_))));
    let (_, client) = configs();
    assert!(above.connect(client, below.local_addr().unwrap(), SERVER_NAME).is_err(), "nothing new comes");
}

#[test]
fn what_its_runtime_left_is_over() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (_below, above, dialled, _accepted) = first.block_on(pair());
    drop(first);
    runtime().block_on(async {
        assert_eq!(soon(dialled.closed()).await, ConnectionError::LocallyClosed);
        assert!(soon(next_of(&above)).await.is_none());
    });
}

const SOCKETS: u8 = 3;
/// So many that none of the sockets is left out, but once in 10^8.
const CLIENTS: usize = 48;

/// Stock clients, each on a socket of its own and connected to one of the endpoints, whose streams come back.
async fn dial_all(above: &[Endpoint], client: &ClientConfig) -> Vec<(quinn::Endpoint, quinn::Connection)> {
    let addr = above[0].local_addr().unwrap();
    let mut all = Vec::new();
    for _ in 0..CLIENTS {
        let stock = quinn::Endpoint::client(loopback()).unwrap();
        let connecting = stock.connect_with(client.clone(), addr, SERVER_NAME).unwrap();
        let accepted = soon(accept(above)).await.unwrap().accept(None).unwrap();
        let (connection, connected) = soon(async { tokio::join!(connecting, accepted.connected()) }).await;
        connected.unwrap();
        tokio::spawn(async move {
            while let Ok((mut send, mut receive)) = accepted.accept_bi().await {
                let mut all = Vec::new();
                receive.read_to_end(&mut all).await.unwrap();
                send.write_all(&all).await.unwrap();
            }
        });
        all.push((stock, connection.unwrap()));
    }
    all
}

async fn is_echoed(connection: &quinn::Connection) {
    let (mut send, mut receive) = soon(connection.open_bi()).await.unwrap();
    send.write_all(b"there?").await.unwrap();
    send.finish().unwrap();
    assert_eq!(soon(receive.read_to_end(64)).await.unwrap(), b"there?");
}

#[tokio::test]
async fn links_are_spread_over_sockets_and_clients_that_move_stay_where_they_are() {
    let (server, client) = configs();
    let above = endpoints(server, SOCKETS);
    let clients = dial_all(&above, &client).await;
    let open: Vec<usize> = above.iter().map(Endpoint::connections).collect();
    assert_eq!(open.iter().sum::<usize>(), CLIENTS);
    assert!(open.iter().all(|connections| *connections > 0), "{open:?}");
    for (stock, connection) in &clients {
        is_echoed(connection).await;
        stock.rebind(std::net::UdpSocket::bind(loopback()).unwrap()).unwrap();
        is_echoed(connection).await;
    }
    assert_eq!(above.iter().map(Endpoint::connections).collect::<Vec<_>>(), open);
    assert_eq!(above.iter().map(Endpoint::strays).sum::<usize>(), 0, "the kernel steers");
}

#[tokio::test]
async fn what_the_kernel_does_not_steer_is_passed_on() {
    let (server, client) = configs();
    // Bound one by one: nobody tells the kernel.
    let first = Socket::bind_shared(loopback(), 1 << 20, Default::default()).unwrap();
    let addr = first.local_addr().unwrap();
    let mut sockets = vec![first];
    sockets.extend((1..SOCKETS).map(|_| Socket::bind_shared(addr, 1 << 20, Default::default()).unwrap()));
    let above = listen(sockets, |own| of_socket(own, SOCKETS), &Arc::new(server), window());
    let clients = dial_all(&above, &client).await;
    for (stock, connection) in &clients {
        stock.rebind(std::net::UdpSocket::bind(loopback()).unwrap()).unwrap();
        is_echoed(connection).await;
    }
    assert!(above.iter().map(Endpoint::strays).sum::<usize>() > 0);
}

#[test]
fn a_port_that_somebody_has_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _within = runtime.enter();
    let held = Socket::bind_all(loopback(), 1 << 20, SOCKETS).unwrap();
    let addr = held[0].local_addr().unwrap();
    assert!(Socket::bind_all(addr, 1 << 20, SOCKETS).is_err());
    assert!(Socket::bind_all(addr, 1 << 20, 1).is_err());
}
