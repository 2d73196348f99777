//! Bytes at the socket.

use bytes::Bytes;
use schemas::guid::ServerGuid;

use super::pair::{CLIENT, SERVER, Site, budget, client, pending, server, soon};
use crate::close::CloseCode;
use crate::connection::Link;
use crate::endpoint::{Client, Server};
use crate::frame::{FrameHeader, Kind};
use crate::hello::Hello;
use crate::limits::LinkLimits;
use crate::pki::Role;
use crate::traffic::WireBytes;

const DOCUMENT_BYTES: usize = 4 << 20;

/// A link's two ends: the server's, the client's.
async fn dial(server: &Server, client: &Client) -> (Link, Link) {
    let accepting = async { pending(server).await?.accept(Hello::default()).await };
    let connecting = client.connect(server.local_addr().unwrap(), ServerGuid(SERVER), Hello::default());
    let (down, up) = soon(async { tokio::join!(accepting, connecting) }).await;
    (down.unwrap(), up.unwrap())
}

/// One long document each way.
async fn exchange((down, up): &(Link, Link)) {
    let document = [Bytes::from(vec![b' '; DOCUMENT_BYTES])];
    let asking = async {
        let mut asked = up.open_exchange(&document).await.unwrap();
        while asked.recv().await.unwrap().is_some() {}
    };
    let answering = async {
        let mut exchange = down.accept_exchange().await.unwrap().document().await.unwrap();
        exchange.reply(1, &[]).await.unwrap();
        exchange.deliver(&FrameHeader::over(Kind::Delivery, &document), &document).await.unwrap();
        exchange.end().await.unwrap();
    };
    soon(async { tokio::join!(asking, answering) }).await;
}

/// Two links between two sockets, each with a long document each way behind it.
struct Carried {
    server: Server,
    client: Client,
    links: [(Link, Link); 2],
}

impl Carried {
    async fn new() -> Self {
        let site = Site::new();
        let server = server(&site.identity(SERVER, Role::Server), LinkLimits::server(), budget());
        let client = client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget());
        let links = [dial(&server, &client).await, dial(&server, &client).await];
        tokio::join!(exchange(&links[0]), exchange(&links[1]));
        Self { server, client, links }
    }

    /// What the links count together is what their socket counts.
    #[track_caller]
    fn agrees(&self) {
        let [(first_down, first_up), (second_down, second_up)] = &self.links;
        agree([first_down, second_down], self.server.socket_bytes());
        agree([first_up, second_up], self.client.socket_bytes());
    }
}

/// Within 1 %.
#[track_caller]
fn agree(links: [&Link; 2], socket: WireBytes) {
    let sum = |of: fn(WireBytes) -> u64| links.iter().map(|link| of(link.wire_bytes())).sum::<u64>();
    for (links, socket) in [(sum(|bytes| bytes.sent), socket.sent), (sum(|bytes| bytes.received), socket.received)] {
        assert!(socket > 2 * DOCUMENT_BYTES as u64, "{socket} bytes, less than the documents");
        assert!(links.abs_diff(socket) * 100 < socket, "{links} bytes of links, {socket} of the socket");
    }
}

#[tokio::test]
async fn the_bytes_of_all_links_are_those_of_the_socket() {
    Carried::new().await.agrees();
}

#[tokio::test]
async fn a_link_that_is_closed_still_says_its_bytes() {
    let carried = Carried::new().await;
    let Carried { server, client, links: [(_, first), (_, second)] } = &carried;
    let before = first.wire_bytes();
    server.close(CloseCode::Drained, "");
    soon(async { tokio::join!(first.closed(), second.closed(), server.wait_idle(), client.wait_idle()) }).await;
    assert!(first.wire_bytes().received > before.received, "the close itself is counted");
    carried.agrees();
}
