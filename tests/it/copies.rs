//! P-2: one stored blob serves all receivers. What a delivery allocates does not grow with the item, and outside packet
//! assembly and the kernel only what stands around the item is copied.
//!
//! Counted on the thread that delivers. What is between the shard and the link, the bundle and its forms, is counted where
//! it is made (`relay/src/links/bundles/copies.rs`).

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use link::budget::Budget;
use link::connection::Link;
use link::endpoint::{Client, Server};
use link::frame::{FrameHeader, Kind};
use link::hello::Hello;
use link::lane::{LaneReceiver, LaneSender};
use link::limits::LinkLimits;
use link::pki::Role;
use node::bundle;
use node::catalogue::{Form, Stretch};
use node::ids::{LinkId, Position, Time};
use node::shard::{self, Action, Event, Shard};
use schemas::class::{Class, PerClass};
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::names::Spelling;
use tests::harness::memory::{Meter, Taken};
use tests::harness::{Authority, within};

const KIB: usize = 1 << 10;
const SIZES: [usize; 3] = [KIB, 64 * KIB, 4096 * KIB];
/// What may be allocated around an item at once: the frame's header, the list of its slices, the transport's own lists.
const AROUND_BYTES: usize = 2 * KIB;
/// The header, the list of slices, and room in two lists of the transport, which grow now and then.
const ALLOCATIONS: usize = 4;
const LINKS: u64 = 4;

/// One link with a lane that has carried something before; its endpoints must outlive it.
struct Pushing {
    sender: LaneSender,
    receiver: LaneReceiver,
    _ends: (Server, Client, Link, Link),
}

/// A link whose receiver grants more than any item here takes, and whose transport takes it at once.
async fn link(number: u128) -> Pushing {
    let authority = Authority::shared();
    let budget = || Budget::new(256 << 20, 512 << 20).raising(64 << 20);
    let limits = LinkLimits { send_window: 32 << 20, ..LinkLimits::server() };
    let any = ([127, 0, 0, 1], 0).into();
    let (own, other) = (0x7_0000 + number, 0x7_1000 + number);
    let server = Server::bind(any, &authority.identity(own, Role::Server, authority), limits, budget()).unwrap();
    let identity = authority.identity(other, Role::Client, authority);
    let client = Client::bind(any, &identity, LinkLimits::trunk(), budget()).unwrap();
    let accept = async { server.accept().await.unwrap().complete().await.unwrap().accept(Hello::default()).await };
    let addr = server.local_addr().unwrap();
    let (down, up) = tokio::join!(accept, client.connect(addr, ServerGuid(own), Hello::default()));
    let (down, up) = (down.unwrap(), up.unwrap());
    let (sender, receiver) = tokio::join!(down.open_lane(Class::Bulk), up.accept_lane());
    let mut link = Pushing { sender: sender.unwrap(), receiver: receiver.unwrap(), _ends: (server, client, down, up) };
    // Its lists have found their size.
    for _ in 0..8 {
        let body = body(KIB);
        link.sender.deliver(&header(&body), &body).await.unwrap();
        within("a Delivery", link.receiver.recv()).await.unwrap().unwrap();
    }
    link
}

/// A bundle of one item between its envelope's head and tail.
fn body(bytes: usize) -> [Bytes; 3] {
    [Bytes::from_static(b"<head>"), vec![b'x'; bytes].into(), Bytes::from_static(b"</head>")]
}

fn header(body: &[Bytes]) -> FrameHeader {
    FrameHeader::over(Kind::Delivery, body).at(1).in_class(Class::Bulk)
}

/// What it takes to hand a Delivery to a link, which takes it without giving this thread to anybody else.
fn deliver(sender: &mut LaneSender, header: &FrameHeader, body: &[Bytes]) -> Taken {
    let meter = Meter::start();
    let mut delivering = pin!(sender.deliver(header, body));
    let polled = delivering.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let taken = meter.taken();
    assert!(matches!(polled, Poll::Ready(Ok(()))), "{polled:?}");
    taken
}

// One thread: nobody sends packets while the Delivery is handed over.
#[tokio::test]
async fn p_2_what_a_delivery_on_a_link_allocates_does_not_grow_with_the_item() {
    for (place, bytes) in SIZES.into_iter().enumerate() {
        let body = body(bytes);
        let header = header(&body);
        for number in 0..LINKS {
            let mut link = link(place as u128 * 100 + u128::from(number)).await;
            let taken = deliver(&mut link.sender, &header, &body);
            assert!(taken.peak_bytes <= AROUND_BYTES, "{bytes} bytes: {taken:?}");
            assert!(taken.allocations <= ALLOCATIONS, "{bytes} bytes: {taken:?}");
            let frame = within("a Delivery", link.receiver.recv()).await.unwrap().unwrap();
            assert_eq!(frame.body.len(), body.iter().map(Bytes::len).sum::<usize>());
        }
    }
}

/// What it takes until a shard has said what goes to each of so many links, and how often it was one and the same item.
fn fan_out(links: u64, bytes: usize) -> (Taken, u64) {
    // Whatever its length, the item waits for the end of its moment.
    let bundle = bundle::Limits { bundle_bytes_max: 8 << 20, ..bundle::Limits::default() };
    let mut shard = Shard::new(shard::Config { bundle, ..shard::Config::default() });
    let (now, class) = (Time(1_700_000_000_000), Class::Critical);
    for link in (1..=links).map(LinkId) {
        let client = ClientGuid(link.0.into());
        shard.handle(now, Event::LinkUp { link, client, generation: 1, start: PerClass::all(Position(0)) });
        for class in Class::ALL {
            let stretch = Stretch { due: Vec::new(), through: Position(0), complete: true };
            shard.handle(now, Event::Due { link, class, stretch });
        }
    }
    while shard.poll_action().is_some() {}
    let item = Bytes::from(vec![b'x'; bytes]);
    let to: Vec<(LinkId, Form)> = (1..=links).map(|link| (LinkId(link), Form::Whole)).collect();
    let (position, bytes) = (Position(1), item.clone());
    let meter = Meter::start();
    let new = shard::Item { position, replaces: None, accepted: now, class, spelling: Spelling::Double, bytes };
    shard.handle(now, Event::Item { item: new, links: to });
    // The moment is over: nothing else comes with it.
    shard.handle_timeout(now);
    let mut same = 0;
    while let Some(action) = shard.poll_action() {
        let Action::Send { parts, .. } = action else { continue };
        same += u64::from(parts.len() == 1 && parts[0].as_ptr() == item.as_ptr() && parts[0].len() == item.len());
    }
    (meter.taken(), same)
}

#[test]
fn p_2_a_shard_allocates_by_links_and_not_by_the_length_of_the_item() {
    /// For each link the list of the bundle's items, its place in the window, and the action.
    const LINK_BYTES: usize = KIB;
    for links in [1, 100, 1000] {
        let all = SIZES.map(|bytes| fan_out(links, bytes));
        assert!(all.iter().all(|(_, same)| *same == links), "everybody gets the same bytes");
        let [(first, _), ..] = all;
        assert!(all.iter().all(|(taken, _)| *taken == first), "{links} links: {all:?}");
        assert!(first.peak_bytes <= links as usize * LINK_BYTES + 4 * KIB, "{links} links: {first:?}");
    }
}
