//! Peers that announce long documents and send them slowly, or not at all: what they hold is what they have sent, and
//! nobody else waits for it.

use std::time::Duration;

use bytes::Bytes;
use schemas::class::Class;
use schemas::guid::ServerGuid;

use super::exchanges::{answer, ask};
use super::pair::{CLIENT, Pair, SERVER, Site, budget, client, pending, server, soon};
use crate::budget::Budget;
use crate::close::CloseCode;
use crate::connection::Link;
use crate::endpoint::{Client, Server};
use crate::error::RecvError;
use crate::frame::{FrameHeader, Kind};
use crate::hello::Hello;
use crate::lane::{LaneReceiver, LaneSender};
use crate::limits::LinkLimits;
use crate::pki::Role;
use crate::quic::SendStream;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const WINDOW: u32 = 64 << 10;

/// Begins an exchange with a document of so many bytes.
async fn announce(link: &Link, length: usize) -> SendStream {
    let (mut send, _) = link.inner().connection.open_bi().await.unwrap();
    let header = FrameHeader::over(Kind::Document, &[Bytes::from(vec![b' '; length])]);
    send.write_all(&header.encode(u32::try_from(length).unwrap())).await.unwrap();
    send
}

async fn write(send: &mut SendStream, bytes: usize) {
    soon(send.write_all(&vec![b' '; bytes])).await.unwrap();
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Reads whatever document comes on a link, and answers it.
fn answering(link: &Link) -> tokio::task::JoinHandle<()> {
    let link = link.clone();
    tokio::spawn(async move { answer(&link, 0).await })
}

async fn link(server: &Server, client: &Client) -> (Link, Link) {
    let accepting = async { pending(server).await.unwrap().accept(Hello::default()).await };
    let addr = server.local_addr().unwrap();
    let (down, up) =
        soon(async { tokio::join!(accepting, client.connect(addr, ServerGuid(SERVER), Hello::default())) }).await;
    (down.unwrap(), up.unwrap())
}

async fn bulk_lane(down: &Link, up: &Link) -> (LaneSender, LaneReceiver) {
    let (sender, receiver) = soon(async { tokio::join!(down.open_lane(Class::Bulk), up.accept_lane()) }).await;
    (sender.unwrap(), receiver.unwrap())
}

fn begin(lane: &mut LaneSender, body: &[Bytes]) -> bool {
    lane.begin(&FrameHeader::over(Kind::Delivery, body).in_class(lane.class()), body).unwrap()
}

/// A client that reads nothing takes nothing from those that do: not even its share of what all may have under way.
#[tokio::test]
async fn who_takes_nothing_has_no_share_of_the_window_of_all() {
    let site = Site::new();
    let limits = LinkLimits { send_window: 300 << 10, send_window_of_all: 300 << 10, ..LinkLimits::server() };
    let server = server(&site.identity(SERVER, Role::Server), limits, budget());
    let client = client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget());
    let (stalled, stalled_up) = link(&server, &client).await;
    let (reads, reads_up) = link(&server, &client).await;
    // More than a client's window for a stream.
    let long = [Bytes::from(vec![b' '; 600 * KIB])];
    let (mut lane, mut lane_up) = bulk_lane(&stalled, &stalled_up).await;
    let (mut other, mut other_up) = bulk_lane(&reads, &reads_up).await;
    assert!(!begin(&mut lane, &long) && !begin(&mut other, &long));
    assert_eq!(reads.window(), 150 << 10, "both wait");
    let flushing = tokio::spawn(async move { lane.flush().await.map(|()| lane) });
    let (flushed, came) = soon(async { tokio::join!(other.flush(), other_up.recv()) }).await;
    flushed.unwrap();
    assert!(came.unwrap().unwrap().body == long[0]);
    assert!(!begin(&mut other, &long));
    until("what waits alone has all", || reads.window() == 300 << 10).await;
    let came = soon(lane_up.recv()).await.unwrap().unwrap();
    assert!(came.body == long[0], "late, and whole");
    assert!(soon(flushing).await.unwrap().is_ok());
}

/// P-6, at link level: the slow cost only themselves.
#[tokio::test]
async fn p_6_slow_announcers_stop_no_other_exchange_and_no_new_link() {
    const SLOW: usize = 6;
    let site = Site::new();
    let limits = LinkLimits { handshakes_max: 1, ..LinkLimits::server() };
    let budget_of_few = Budget::listening(4 * MIB, SLOW + 2, &limits);
    let (frames, credit) = (4 * MIB, (SLOW + 3) * WINDOW as usize);
    let server = server(&site.identity(SERVER, Role::Server), limits, budget_of_few.clone());
    let client = client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget());
    let (down, up) = link(&server, &client).await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let (down, up) = link(&server, &client).await;
        let reading = answering(&down);
        let mut send = announce(&up, 3 * MIB).await;
        write(&mut send, 1).await;
        slow.push((down, up, send, reading));
    }
    until("all are being read", || frames - budget_of_few.frame_bytes_left() >= SLOW * 4 * KIB).await;
    assert_eq!(frames - budget_of_few.frame_bytes_left(), SLOW * 4 * KIB);
    assert_eq!(budget_of_few.raise_bytes_left(), MIB, "a header raises no window");
    // Of those who were there before, and of one who comes now.
    soon(async { tokio::join!(answer(&down, 0), ask(&up)) }).await;
    let (late_down, late_up) = link(&server, &client).await;
    soon(async { tokio::join!(answer(&late_down, 0), ask(&late_up)) }).await;
    // A long one goes through as well.
    let long = [Bytes::from(vec![b' '; 3 * MIB])];
    let asking = async { late_up.open_exchange(&long).await.unwrap().recv().await };
    let ((), reply) = soon(async { tokio::join!(answer(&late_down, 0), asking) }).await;
    reply.unwrap();
    // Links that are lost give everything back.
    for (down, up, _send, reading) in slow {
        up.close(CloseCode::Done, "");
        soon(reading).await.unwrap_err();
        drop(down);
    }
    drop((down, up, late_down, late_up));
    until("all is given back", || {
        (budget_of_few.frame_bytes_left(), budget_of_few.credit_bytes_left()) == (frames, credit)
    })
    .await;
    assert_eq!(budget_of_few.raise_bytes_left(), MIB);
}

#[tokio::test]
async fn long_documents_that_fill_the_budget_leave_short_ones_their_part() {
    let site = Site::new();
    let limits = LinkLimits { room_timeout: Duration::from_millis(300), ..LinkLimits::server() };
    let small = Budget::listening(2 * MIB, 8, &limits);
    let server = server(&site.identity(SERVER, Role::Server), limits, small.clone());
    let client = client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget());
    let (first, second, third) =
        (link(&server, &client).await, link(&server, &client).await, link(&server, &client).await);
    let holding = answering(&first.0);
    let mut held = announce(&first.1, 1800 * KIB).await;
    write(&mut held, 1800 * KIB - 1).await;
    until("the first holds its part", || small.frame_bytes_left() < 300 * KIB).await;
    let mut waits = announce(&second.1, 1800 * KIB).await;
    let waiting = async { second.0.accept_exchange().await.unwrap().document().await.err() };
    let sending = async { waits.write_all(&vec![b' '; 1800 * KIB]).await.unwrap_err() };
    let (refused, stopped) = soon(async { tokio::join!(waiting, sending) }).await;
    assert_eq!(refused, Some(RecvError::Busy));
    assert_eq!(stopped, crate::quic::WriteError::Stopped(CloseCode::Busy.to_wire()));
    assert_eq!(second.0.close_reason(), None, "only the stream is given up");
    soon(async { tokio::join!(answer(&third.0, 0), ask(&third.1)) }).await;
    soon(async { tokio::join!(answer(&second.0, 0), ask(&second.1)) }).await;
    // A reset gives back what was held.
    held.reset(0u32.into()).unwrap();
    soon(holding).await.unwrap_err();
    until("all is given back", || small.frame_bytes_left() == 2 * MIB).await;
}

#[tokio::test]
async fn a_window_is_raised_by_what_has_come_and_lowered_with_the_last_byte() {
    let pair = Pair::new().await;
    let pool = pair.server_budget.raise_bytes_left();
    let reading = answering(&pair.down);
    let mut send = announce(&pair.up, 5 * MIB).await;
    write(&mut send, 40 * KIB).await;
    until("it is being read", || pair.server_budget.frame_bytes_left() < 256 * MIB).await;
    assert_eq!(pair.down.window_bytes(), WINDOW, "too little has come");
    write(&mut send, 1500 * KIB).await;
    until("raised", || pair.down.window_bytes() >= WINDOW + (MIB as u32)).await;
    assert_eq!(pool - pair.server_budget.raise_bytes_left(), (pair.down.window_bytes() - WINDOW) as usize);
    write(&mut send, 5 * MIB - 1540 * KIB).await;
    until("lowered", || pair.down.window_bytes() == WINDOW).await;
    assert_eq!(pair.server_budget.raise_bytes_left(), pool);
    assert_eq!(pair.server_budget.credit_bytes_left(), 256 * MIB - WINDOW as usize);
    // Nobody waits for its answer.
    reading.abort();
}

#[tokio::test]
async fn credit_of_a_document_that_broke_off_is_given_back_by_reading_or_with_the_link() {
    let pair = Pair::new().await;
    let pool = pair.server_budget.raise_bytes_left();
    let reading = answering(&pair.down);
    let mut send = announce(&pair.up, 5 * MIB).await;
    write(&mut send, 600 * KIB).await;
    until("raised", || pair.down.window_bytes() > WINDOW).await;
    send.reset(0u32.into()).unwrap();
    soon(reading).await.unwrap_err();
    until("the body's room is given back", || pair.server_budget.frame_bytes_left() == 256 * MIB).await;
    let owed = pair.down.window_bytes() - WINDOW;
    assert_eq!(pool - pair.server_budget.raise_bytes_left(), owed as usize, "the other end still has it");
    // Short of what would raise the window anew.
    for _ in 0..=(owed / (60 << 10)) {
        let short = [Bytes::from(vec![b' '; 60 * KIB])];
        let asking = async { pair.up.open_exchange(&short).await.unwrap().recv().await };
        let ((), reply) = soon(async { tokio::join!(answer(&pair.down, 0), asking) }).await;
        reply.unwrap();
    }
    assert_eq!((pair.down.window_bytes(), pair.server_budget.raise_bytes_left()), (WINDOW, pool));
}
