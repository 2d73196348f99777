//! How links end.

use std::time::{Duration, Instant};

use schemas::class::Class;
use schemas::guid::ServerGuid;

use super::pair::{CLIENT, Pair, SERVER, Site, body, budget, client, loopback, pending, soon};
use crate::backoff::Backoff;
use crate::close::{CloseCode, CloseReason, ClosedBy};
use crate::endpoint::Server;
use crate::error::{RecvError, SendError};
use crate::hello::Hello;
use crate::limits::LinkLimits;
use crate::pki::Role;
use crate::reconnect::{Reconnect, Target};

#[tokio::test]
async fn each_code_reaches_the_other_side_with_its_text() {
    for code in [CloseCode::Done, CloseCode::Replaced, CloseCode::Drained, CloseCode::Refused, CloseCode::Internal] {
        let pair = Pair::new().await;
        pair.down.close(code, "because");
        // The first close is the one that counts.
        pair.down.close(CloseCode::Busy, "too late");
        let text = "because".to_owned();
        assert_eq!(soon(pair.up.closed()).await, CloseReason { by: ClosedBy::Peer, code, text: text.clone() });
        assert_eq!(soon(pair.down.closed()).await, CloseReason { by: ClosedBy::Us, code, text });
        assert_eq!(pair.up.close_reason().map(|reason| reason.code), Some(code));
    }
}

#[tokio::test]
async fn everything_that_waits_on_a_link_ends_with_it() {
    let pair = Pair::new().await;
    let opened = soon(async { tokio::join!(pair.down.open_lane(Class::Normal), pair.up.accept_lane()) }).await;
    let (_lane, mut lane_in) = (opened.0.unwrap(), opened.1.unwrap());
    let mut asked = pair.up.open_exchange(&body("<request/>")).await.unwrap();
    let mut control = pair.up.control().unwrap();
    let mut replies = pair.down.reply_lane().unwrap();
    let closing = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        pair.down.close(CloseCode::Drained, "");
    };
    let waiting = async {
        tokio::join!(
            lane_in.recv(),
            asked.recv(),
            control.recv(),
            replies.recv(),
            pair.up.accept_exchange(),
            pair.up.accept_lane()
        )
    };
    let (lane, answer, event, reply, exchange, other) = soon(async { tokio::join!(waiting, closing).0 }).await;
    let drained = |error: Option<RecvError>| {
        assert!(matches!(&error, Some(RecvError::Closed(reason)) if reason.code == CloseCode::Drained), "{error:?}");
    };
    drained(lane.err());
    drained(answer.err());
    drained(event.err());
    drained(reply.err());
    drained(other.err());
    assert_eq!(exchange.err().map(|reason| reason.code), Some(CloseCode::Drained));
    let sent = pair.up.open_exchange(&body("<request/>")).await.err();
    assert!(matches!(sent, Some(SendError::Closed(_))), "{sent:?}");
}

#[tokio::test]
async fn a_server_that_stops_accepting_keeps_its_links() {
    let pair = Pair::new().await;
    pair.server.stop_accepting();
    let asked = soon(pair.up.open_exchange(&body("<request/>"))).await;
    assert!(asked.is_ok());
    pair.server.close(CloseCode::Drained, "maintenance");
    let reason = soon(pair.up.closed()).await;
    assert_eq!((reason.code, reason.text.as_str()), (CloseCode::Drained, "maintenance"));
    drop((asked, pair.down));
    soon(pair.server.wait_idle()).await;
}

#[tokio::test]
async fn silence_is_a_lost_link() {
    let idle = Duration::from_millis(300);
    let limits = LinkLimits { idle_timeout: idle, keep_alive: None, ..LinkLimits::device() };
    let pair = Pair::with(LinkLimits::server(), limits).await;
    let reason = soon(pair.up.closed()).await;
    assert_eq!((reason.by, reason.code), (ClosedBy::Transport, CloseCode::Lost));
}

#[tokio::test]
async fn keep_alive_keeps_a_silent_link() {
    let idle = Duration::from_millis(300);
    let limits = LinkLimits { idle_timeout: idle, keep_alive: Some(Duration::from_millis(50)), ..LinkLimits::device() };
    let pair = Pair::with(LinkLimits::server(), limits).await;
    tokio::time::sleep(idle * 3).await;
    assert_eq!(pair.up.close_reason(), None);
}

#[tokio::test]
async fn a_server_that_was_killed_and_is_back_says_so_at_once() {
    let site = Site::new();
    let identity = site.identity(SERVER, Role::Server);
    let limits = LinkLimits { keep_alive: Some(Duration::from_millis(50)), ..LinkLimits::device() };
    let client = client(&site.identity(CLIENT, Role::Client), limits, budget());
    // A runtime of its own, whose tasks vanish like those of a killed process: nobody is told.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (bound, addr) = tokio::sync::oneshot::channel();
    let first = identity.clone();
    runtime.spawn(async move {
        let server = Server::bind(loopback(), &first, LinkLimits::server(), budget()).unwrap();
        bound.send(server.local_addr().unwrap()).unwrap();
        let _link = pending(&server).await.unwrap().accept(Hello::default()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let addr = soon(addr).await.unwrap();
    let link = soon(client.connect(addr, ServerGuid(SERVER), Hello::default())).await.unwrap();
    runtime.shutdown_background();
    let again = soon(async {
        loop {
            match Server::bind(addr, &identity, LinkLimits::server(), budget()) {
                Ok(server) => return server,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await;
    let began = Instant::now();
    let reason = soon(link.closed()).await;
    assert_eq!(reason.code, CloseCode::Lost);
    assert!(began.elapsed() < LinkLimits::device().idle_timeout / 2, "{reason}");
    drop(again);
}

#[tokio::test]
async fn reconnect_dials_until_the_server_is_there() {
    let site = Site::new();
    let limits = LinkLimits { handshake_timeout: Duration::from_millis(300), ..LinkLimits::device() };
    let client = client(&site.identity(CLIENT, Role::Client), limits, budget());
    // A port where nobody listens yet.
    let addr = std::net::UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
    let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(50));
    let mut reconnect = Reconnect::new(backoff, crate::tls::random_u64);
    let mut failures = 0;
    let target = Target { addr, server: ServerGuid(SERVER) };
    let dialling = reconnect.dial(&client, target, Hello::default, |_, wait| {
        assert!(wait <= Duration::from_millis(50));
        failures += 1;
    });
    let serving = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let identity = site.identity(SERVER, Role::Server);
        let server = Server::bind(addr, &identity, LinkLimits::server(), budget()).unwrap();
        loop {
            // An earlier attempt may still arrive whose client has given it up.
            let Ok(pending) = pending(&server).await else { continue };
            let Ok(link) = pending.accept(Hello::default()).await else { continue };
            if link.close_reason().is_none() {
                return (server, link);
            }
        }
    };
    let (link, (_server, served)) = soon(async { tokio::join!(dialling, serving) }).await;
    assert_eq!((link.peer().guid, served.peer().guid), (SERVER, CLIENT));
    assert!(failures > 0);
}
