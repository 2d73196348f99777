//! Items on streams of their own: put together for whoever takes them, gone on with after a break, refused where they are
//! not what they say.

use std::time::Duration;

use bytes::Bytes;
use schemas::class::{Class, PerClass};
use schemas::digest::Digest;
use schemas::guid::ServerGuid;
use tokio::time::timeout;

use super::pair::{CLIENT, Pair, SERVER, Site, budget, client, pending, server, soon};
use crate::apart::{Beginning, ITEMS_MAX, Notice, Octets, Partials, Rest};
use crate::close::CloseCode;
use crate::connection::Link;
use crate::error::{RecvError, SendError};
use crate::frame::{Form, Frame, FrameError, FrameHeader, Kind};
use crate::hello::{Hello, Partial};
use crate::limits::LinkLimits;
use crate::pki::Role;
use crate::segments;

const BUDGET: usize = 256 << 20;

/// A client that takes items on streams of their own, in every form.
fn taking(partials: &Partials) -> Hello {
    Hello { partials: Some(partials.offer()), ..Hello::default().reading_all_forms() }
}

async fn pair(limits: LinkLimits, partials: &Partials) -> Pair {
    let hello = taking(partials);
    let pair = Pair::saying(LinkLimits::server(), limits, Hello::default(), hello).await.unwrap();
    pair.up.keep_partials(partials);
    pair
}

/// Some text, and what cannot be compressed.
fn item(bytes: usize) -> Bytes {
    let noise = (0_u32..).flat_map(|number| Digest::of(&number.to_be_bytes()).0);
    let half = bytes / 2;
    b"text ".iter().copied().cycle().take(half).chain(noise.take(bytes - half)).collect()
}

fn notice(item: &Bytes) -> Notice {
    let (head, tail) = (Bytes::from_static(b"<around>"), Bytes::from_static(b"</around>"));
    Notice { digest: Digest::of(item), item_bytes: item.len() as u32, head, tail }
}

fn document(item: &Bytes) -> Vec<u8> {
    [&b"<around>"[..], item, b"</around>"].concat()
}

fn apart(position: u64, notice: &Notice) -> (FrameHeader, [Bytes; 1]) {
    let body = [notice.to_wire().unwrap()];
    let settled = PerClass::of([true, false, false]);
    (FrameHeader::over(Kind::Apart, &body).in_class(Class::Bulk).at(position).beside(settled).fresh(5), body)
}

fn rest(position: u64, item: &Bytes, held: u32, is_segmented: bool) -> Rest {
    let (offset, octets) = if is_segmented {
        Octets::segmented(item.len() as u32, &segments::make(item, None), None, held)
    } else {
        Octets::plain(item, held)
    };
    Rest { position, digest: Digest::of(item), offset, octets }
}

/// The frame of an item, whole or from an offset, as it stands on the wire.
fn item_frame(position: u64, item: &Bytes, offset: u64, octets: &[u8]) -> Vec<u8> {
    let header = FrameHeader { digest: Digest::of(item), ..FrameHeader::over(Kind::Item, &[]) };
    let header = header.in_class(Class::Bulk).at(position).encode(8 + octets.len() as u32);
    [&header[..], &offset.to_be_bytes(), octets].concat()
}

fn apart_frame(position: u64, notice: &Notice) -> Vec<u8> {
    let (header, body) = apart(position, notice);
    [&header.encode(body[0].len() as u32)[..], &body[0]].concat()
}

/// Takes Deliveries from the bulk lane until there are so many, or there can be none. All other lanes are read as well.
async fn take(up: &Link, count: usize) -> Result<Vec<Frame>, RecvError> {
    let (opened, mut lanes) = tokio::sync::mpsc::channel(1);
    let mut others = tokio::task::JoinSet::new();
    let accepting = async {
        loop {
            let mut lane = up.accept_lane().await?;
            if lane.class() == Class::Bulk {
                opened.send(lane).await.expect("one bulk lane");
            } else {
                others.spawn(async move { lane.recv().await });
            }
        }
    };
    let taking = async {
        let mut lane = lanes.recv().await.expect("a lane");
        let mut frames = Vec::new();
        while frames.len() < count {
            frames.push(lane.recv().await?.expect("a lane that goes on"));
        }
        Ok(frames)
    };
    soon(async {
        tokio::select! {
            frames = taking => frames,
            ended = accepting => ended,
        }
    })
    .await
}

#[tokio::test]
async fn an_item_apart_is_the_delivery_that_its_lane_would_have_brought() {
    for (bytes, is_segmented, is_lane_first) in
        [(1, false, true), (700 << 10, false, false), (3 << 20, true, true), (3 << 20, true, false)]
    {
        let pair = pair(LinkLimits::device(), &Partials::default()).await;
        let item = item(bytes);
        let (header, body) = apart(7, &notice(&item));
        let rest = rest(7, &item, 0, is_segmented);
        let sending = async {
            let mut lane = pair.down.open_lane(Class::Bulk).await.unwrap();
            if is_lane_first {
                lane.deliver(&header, &body).await.unwrap();
                pair.down.send_item(&rest).await.unwrap();
            } else {
                let (sent, ()) = tokio::join!(pair.down.send_item(&rest), async {
                    // Some of the item is there before.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    lane.deliver(&header, &body).await.unwrap();
                });
                sent.unwrap();
            }
            lane
        };
        let (_lane, frames) = tokio::join!(sending, take(&pair.up, 1));
        let frames = frames.unwrap();
        let delivery = FrameHeader::over(Kind::Delivery, &[document(&item).into()]);
        let expected = FrameHeader { kind: Kind::Delivery, digest: delivery.digest, ..header };
        assert_eq!(frames[0].header, expected);
        assert!(frames[0].body == document(&item), "{bytes} bytes, byte for byte");
        drop(frames);
        assert_eq!(pair.client_budget.frame_bytes_left(), BUDGET, "what was taken is given back");
    }
}

#[tokio::test]
async fn items_go_side_by_side_and_hold_up_no_delivery() {
    let pair = pair(LinkLimits::device(), &Partials::default()).await;
    let items: Vec<Bytes> = (1..=ITEMS_MAX).map(|number| item(number << 18)).collect();
    let sending = async {
        let other = pair.down.open_lane(Class::Normal).await.unwrap();
        let mut lane = pair.down.open_lane(Class::Bulk).await.unwrap();
        for (position, item) in (1..).zip(&items) {
            let (header, body) = apart(position, &notice(item));
            lane.deliver(&header, &body).await.unwrap();
        }
        let short = [Bytes::from_static(b"<short/>")];
        let header = FrameHeader::over(Kind::Delivery, &short).in_class(Class::Bulk).at(9);
        lane.deliver(&header, &short).await.unwrap();
        for (index, item) in items.iter().enumerate().rev() {
            let position = 1 + index as u64;
            pair.down.send_item(&rest(position, item, 0, false)).await.unwrap();
        }
        (lane, other)
    };
    let (_lanes, frames) = tokio::join!(sending, take(&pair.up, ITEMS_MAX + 1));
    let mut frames = frames.unwrap();
    assert_eq!(frames[0].header.position, 9, "what is short does not wait");
    frames.sort_by_key(|frame| frame.header.position);
    assert!(frames.iter().zip(&items).all(|(frame, item)| frame.body == document(item)));
}

#[tokio::test]
async fn an_item_that_nobody_reads_stays_with_its_sender() {
    let pair = pair(LinkLimits::device(), &Partials::default()).await;
    let (item, up) = (item(8 << 20), pair.up.clone());
    let mut lane = pair.down.open_lane(Class::Bulk).await.unwrap();
    let mut receiver = soon(up.accept_lane()).await.unwrap();
    let accepting = tokio::spawn(async move { up.accept_lane().await.map(|_| ()) });
    let (header, body) = apart(7, &notice(&item));
    lane.deliver(&header, &body).await.unwrap();
    let rest = rest(7, &item, 0, false);
    let sent = timeout(Duration::from_millis(300), pair.down.send_item(&rest)).await;
    assert!(sent.is_err(), "it waits for credit");
    assert_eq!(pair.client_budget.frame_bytes_left(), BUDGET);
    // The stream was reset with the send that was given up: the item can never be whole.
    let refused = soon(receiver.recv()).await;
    assert!(matches!(refused, Err(RecvError::Frame(FrameError::Missing(_)))), "{refused:?}");
    accepting.abort();
}

#[tokio::test]
async fn who_does_not_list_field_7_is_sent_none_and_takes_none() {
    let pair = Pair::new().await;
    let item = item(1000);
    let (header, body) = apart(7, &notice(&item));
    let mut lane = pair.down.open_lane(Class::Bulk).await.unwrap();
    assert!(matches!(lane.deliver(&header, &body).await, Err(SendError::Order(_))));
    assert!(matches!(pair.down.send_item(&rest(7, &item, 0, false)).await, Err(SendError::Side(_))));
    let _streams = write(&pair, &[item_frame(7, &item, 0, &item)]).await;
    let refused = take(&pair.up, 1).await;
    assert!(matches!(refused, Err(RecvError::Frame(FrameError::Unexpected { .. }))), "{refused:?}");
    let pair = Pair::new().await;
    let _streams = write(&pair, &[[lane_frame(), apart_frame(7, &notice(&item))].concat()]).await;
    let refused = take(&pair.up, 1).await;
    assert!(matches!(refused, Err(RecvError::Frame(FrameError::Unexpected { .. }))), "{refused:?}");
}

/// Two links, one after the other, of one client that keeps what came.
struct Twice {
    server: crate::endpoint::Server,
    client: crate::endpoint::Client,
    budget: crate::budget::Budget,
    partials: Partials,
}

impl Twice {
    fn new() -> Self {
        let site = Site::new();
        let budget = budget();
        let server = server(&site.identity(SERVER, Role::Server), LinkLimits::server(), super::pair::budget());
        let client = client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget.clone());
        Self { server, client, budget, partials: Partials::default() }
    }

    /// The server's end and the client's.
    async fn dial(&self) -> (Link, Link) {
        let accepting = async { pending(&self.server).await?.accept(Hello::default()).await };
        let addr = self.server.local_addr().unwrap();
        let connecting = self.client.connect(addr, ServerGuid(SERVER), taking(&self.partials));
        let (down, up) = soon(async { tokio::join!(accepting, connecting) }).await;
        let (down, up) = (down.unwrap(), up.unwrap());
        up.keep_partials(&self.partials);
        (down, up)
    }

    /// Sends the item and cuts the link when so many octets of it are there.
    async fn break_off(&self, item: &Bytes, is_segmented: bool, at: u64) {
        let (down, up) = self.dial().await;
        let (header, body) = apart(7, &notice(item));
        let mut lane = down.open_lane(Class::Bulk).await.unwrap();
        lane.deliver(&header, &body).await.unwrap();
        let rest = rest(7, item, 0, is_segmented);
        let sending = tokio::spawn({
            let down = down.clone();
            async move { down.send_item(&rest).await }
        });
        let cutting = async {
            while up.wire_bytes().received < at {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            up.close(CloseCode::Done, "cut");
        };
        let (taken, ()) = tokio::join!(take(&up, 1), cutting);
        assert!(matches!(taken, Err(RecvError::Closed(_))), "{taken:?}");
        assert!(soon(sending).await.unwrap().is_err());
    }
}

#[tokio::test]
async fn after_a_break_an_item_goes_on_where_it_stopped() {
    for is_segmented in [false, true] {
        let twice = Twice::new();
        let item = item(12 << 20);
        twice.break_off(&item, is_segmented, 3 << 20).await;
        let offered = twice.partials.offer();
        let [Partial { digest, offset }] = offered[..] else { panic!("{offered:?}") };
        assert!(digest == Digest::of(&item) && offset > 1 << 20 && offset < item.len() as u64, "{offset}");
        let held = BUDGET - twice.budget.frame_bytes_left();
        assert!(held as u64 >= offset && held as u64 <= offset + (2 << 20), "{held} counted for {offset}");

        let (down, up) = twice.dial().await;
        assert_eq!(down.peer_hello().partials.as_ref(), Some(&offered));
        let rest = rest(7, &item, offset as u32, is_segmented);
        assert!(u64::from(rest.offset) > offset.saturating_sub(segments::PIECE_BYTES_MAX as u64));
        let (header, body) = apart(8, &Notice { head: Bytes::from_static(b"<another>"), ..notice(&item) });
        let sending = async {
            let mut lane = down.open_lane(Class::Bulk).await.unwrap();
            lane.deliver(&header, &body).await.unwrap();
            down.send_item(&Rest { position: 8, ..rest }).await.unwrap();
            lane
        };
        let (_lane, frames) = tokio::join!(sending, take(&up, 1));
        let frames = frames.unwrap();
        assert!(frames[0].body == [&b"<another>"[..], &item, b"</around>"].concat(), "byte for byte");
        assert!(twice.partials.offer().is_empty(), "whole, it is no more kept");
        drop(frames);
        assert_eq!(twice.budget.frame_bytes_left(), BUDGET);
    }
}

#[tokio::test]
async fn a_server_that_begins_anew_is_right_too() {
    let twice = Twice::new();
    let item = item(6 << 20);
    twice.break_off(&item, false, 2 << 20).await;
    assert_eq!(twice.partials.offer().len(), 1);
    let (down, up) = twice.dial().await;
    let (header, body) = apart(7, &notice(&item));
    let sending = async {
        let mut lane = down.open_lane(Class::Bulk).await.unwrap();
        lane.deliver(&header, &body).await.unwrap();
        down.send_item(&rest(7, &item, 0, true)).await.unwrap();
        lane
    };
    let (_lane, frames) = tokio::join!(sending, take(&up, 1));
    assert!(frames.unwrap()[0].body == document(&item));
    assert_eq!(twice.budget.frame_bytes_left(), BUDGET, "what was held before is not any more");
}

#[tokio::test]
async fn what_was_held_falsely_is_fetched_from_its_start() {
    let twice = Twice::new();
    let item = item(1 << 20);
    let digest = Digest::of(&item);
    twice.partials.keep(Beginning { digest, bytes: vec![b'!'; 1000], room: Vec::new() });
    for (held, expected) in [(1000, Err(CloseCode::Digest)), (0, Ok(()))] {
        let (down, up) = twice.dial().await;
        let (header, body) = apart(7, &notice(&item));
        let sending = async {
            let mut lane = down.open_lane(Class::Bulk).await.unwrap();
            lane.deliver(&header, &body).await.unwrap();
            // The client may close first.
            let _ = down.send_item(&rest(7, &item, held, false)).await;
            lane
        };
        let (_lane, frames) = tokio::join!(sending, take(&up, 1));
        let taken = frames.map(|frames| assert!(frames[0].body == document(&item)));
        assert_eq!(taken.map_err(|_| up.close_reason().unwrap().code), expected);
        assert!(twice.partials.offer().is_empty(), "nothing of it is kept");
    }
}

#[tokio::test]
async fn what_is_kept_makes_room_for_what_comes() {
    let site = Site::new();
    let limits = LinkLimits { room_timeout: Duration::from_millis(100), ..LinkLimits::device() };
    let small = crate::budget::Budget::new(4 << 20, BUDGET);
    let server = server(&site.identity(SERVER, Role::Server), LinkLimits::server(), budget());
    let client = client(&site.identity(CLIENT, Role::Client), limits, small.clone());
    let partials = Partials::default();
    let mut permit = small.share(u32::MAX).admit(3 << 20).await.unwrap();
    permit.grow(3 << 20).await.unwrap();
    partials.keep(Beginning { digest: Digest([1; 32]), bytes: vec![0; 3 << 20], room: permit.into_node() });
    let item = item(2 << 20);
    for is_taken in [false, true] {
        let accepting = async { pending(&server).await?.accept(Hello::default()).await };
        let connecting = client.connect(server.local_addr().unwrap(), ServerGuid(SERVER), taking(&partials));
        let (down, up) = soon(async { tokio::join!(accepting, connecting) }).await;
        let (down, up) = (down.unwrap(), up.unwrap());
        up.keep_partials(&partials);
        let (header, body) = apart(7, &notice(&item));
        let sending = async {
            let mut lane = down.open_lane(Class::Bulk).await.unwrap();
            lane.deliver(&header, &body).await.unwrap();
            // The client may close first.
            let _ = down.send_item(&rest(7, &item, 0, false)).await;
            lane
        };
        let (_lane, frames) = tokio::join!(sending, take(&up, 1));
        assert_eq!(frames.is_ok(), is_taken, "{frames:?}");
        assert!(partials.offer().iter().all(|kept| kept.digest == Digest::of(&item)));
    }
}

fn lane_frame() -> Vec<u8> {
    FrameHeader::over(Kind::Lane, &[]).in_class(Class::Bulk).encode(0).to_vec()
}

/// Writes each of these on a unidirectional stream, which stays open.
async fn write(pair: &Pair, streams: &[Vec<u8>]) -> Vec<crate::quic::SendStream> {
    let mut open = Vec::new();
    for bytes in streams {
        let mut send = pair.down.inner().connection.open_uni().await.unwrap();
        send.write_all(bytes).await.unwrap();
        open.push(send);
    }
    open
}

/// What the client says of these streams, the first of which is the bulk lane with its first frame before.
async fn refused(streams: &[Vec<u8>], code: CloseCode) -> FrameError {
    let limits = LinkLimits {
        document_bytes_max: 4 << 20,
        exchange_timeout: Duration::from_millis(300),
        frame_timeout: Duration::from_millis(300),
        ..LinkLimits::device()
    };
    let pair = pair(limits, &Partials::default()).await;
    let _open = write(&pair, streams).await;
    let refused = take(&pair.up, 10).await;
    assert_eq!(pair.up.close_reason().map(|reason| reason.code), Some(code), "{refused:?}");
    assert_eq!(pair.client_budget.frame_bytes_left(), BUDGET, "what was taken is given back");
    match refused {
        Err(RecvError::Frame(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn contradicts(error: &FrameError, what: &str) {
    assert!(matches!(error, FrameError::Contradiction(_)), "{error:?}");
    assert!(error.to_string().contains(what), "{error}");
}

#[tokio::test]
async fn items_that_lie_close_the_link() {
    let item = item(2000);
    let whole = item_frame(7, &item, 0, &item);
    let said = apart_frame(7, &notice(&item));
    let lane = [lane_frame(), said.clone()].concat();
    let protocol = CloseCode::Protocol;
    let of = |frames: &[&[u8]]| {
        [&[lane_frame()[..].to_vec()], &frames.iter().map(|frame| frame.to_vec()).collect::<Vec<_>>()[..]]
            .concat()
            .concat()
    };

    contradicts(&refused(&[lane_frame(), whole.clone()], protocol).await, "no Apart frame");
    contradicts(&refused(std::slice::from_ref(&whole), protocol).await, "no Apart frame");
    contradicts(
        &refused(&[lane.clone(), whole[..500].to_vec(), whole[..500].to_vec()], protocol).await,
        "second stream",
    );
    contradicts(&refused(&[of(&[&said, &said])], protocol).await, "second Apart");
    let behind = item_frame(7, &item, 1, &item[1..]);
    contradicts(&refused(&[lane.clone(), behind], protocol).await, "held");
    let far = item_frame(7, &item, u64::MAX, b"");
    contradicts(&refused(&[lane.clone(), far], protocol).await, "held");
    let short = item_frame(7, &item, 0, &item[1..]);
    contradicts(&refused(&[lane.clone(), short], protocol).await, "length");
    let long = item_frame(7, &item, 0, &[&item[..], b"!"].concat());
    contradicts(&refused(&[lane.clone(), long], protocol).await, "length");
    let other = item_frame(7, &item.slice(1..), 0, &item);
    contradicts(&refused(&[lane.clone(), other], protocol).await, "not the one");
    let twice = [whole.clone(), whole.clone()].concat();
    contradicts(&refused(&[lane.clone(), twice], protocol).await, "behind an item");

    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&[lane.clone(), flipped], CloseCode::Digest).await, FrameError::Digest(Kind::Item));
    let huge = apart_frame(7, &Notice { item_bytes: 4 << 20, ..notice(&item) });
    let error = refused(&[of(&[&huge])], CloseCode::TooLarge).await;
    assert!(matches!(error, FrameError::TooLong { .. }), "{error}");
    let error = refused(&[of(&[&whole])], protocol).await;
    assert!(matches!(error, FrameError::Unexpected { .. }), "an item within a lane: {error}");
}

#[tokio::test]
async fn more_items_than_may_be_on_their_way_close_the_link() {
    let item = item(2000);
    let positions = 1..=1 + ITEMS_MAX as u64;
    let said: Vec<u8> = positions.clone().flat_map(|position| apart_frame(position, &notice(&item))).collect();
    let error = refused(&[[lane_frame(), said].concat()], CloseCode::Protocol).await;
    contradicts(&error, "more items");
    let begun = positions.map(|position| item_frame(position, &item, 0, &item)[..100].to_vec());
    let streams: Vec<_> = std::iter::once(lane_frame()).chain(begun).collect();
    contradicts(&refused(&streams, CloseCode::Protocol).await, "more items");
}

#[tokio::test]
async fn an_apart_frame_elsewhere_than_in_the_bulk_lane_closes_the_link() {
    let pair = pair(LinkLimits::device(), &Partials::default()).await;
    let (header, body) = apart(7, &notice(&item(2000)));
    let header = header.in_class(Class::Normal);
    let lane = FrameHeader::over(Kind::Lane, &[]).in_class(Class::Normal).encode(0);
    let bytes = [&lane[..], &header.encode(body[0].len() as u32), &body[0]].concat();
    let _open = write(&pair, &[bytes]).await;
    let mut receiver = soon(pair.up.accept_lane()).await.unwrap();
    let refused = soon(receiver.recv()).await;
    assert!(matches!(refused, Err(RecvError::Frame(FrameError::Unexpected { .. }))), "{refused:?}");
}

#[tokio::test]
async fn an_item_that_stalls_closes_the_link_and_what_came_is_kept() {
    let partials = Partials::default();
    let limits = LinkLimits { frame_timeout: Duration::from_millis(200), ..LinkLimits::device() };
    let pair = pair(limits, &partials).await;
    let item = item(9000);
    let whole = item_frame(7, &item, 0, &item);
    let _open = write(&pair, &[[lane_frame(), apart_frame(7, &notice(&item))].concat(), whole[..5000].to_vec()]).await;
    let refused = take(&pair.up, 1).await;
    assert!(matches!(refused, Err(RecvError::Timeout(_))), "{refused:?}");
    assert_eq!(pair.up.close_reason().map(|reason| reason.code), Some(CloseCode::Timeout));
    assert_eq!(partials.offer(), [Partial { digest: Digest::of(&item), offset: 5000 - 64 }]);
}

#[tokio::test]
async fn an_item_in_segments_that_lie_is_not_kept() {
    let partials = Partials::default();
    let pair = pair(LinkLimits::device(), &partials).await;
    let item = item(3 << 20);
    let (header, _) = apart(7, &notice(&item));
    let coded = segments::make(&item, None).concat();
    let mut octets = [&0_u64.to_be_bytes()[..], &(item.len() as u32).to_be_bytes(), &[0; 8], &coded].concat();
    // The transform of the second segment, which is compressed like the first.
    let second = 20 + 7 + usize::from(u16::from_be_bytes([octets[25], octets[26]]));
    octets[second] = 9;
    let header = FrameHeader { kind: Kind::Item, digest: Digest::of(&item), settled: PerClass::all(false), ..header };
    let frame = [&header.in_form(Form::Segmented).encode(octets.len() as u32)[..], &octets].concat();
    let lane = [lane_frame(), apart_frame(7, &notice(&item))].concat();
    let writing = async {
        let _open = write(&pair, &[lane]).await;
        let mut send = pair.down.inner().connection.open_uni().await.unwrap();
        // The client closes before the end.
        let _ = send.write_all(&frame).await;
        pair.down.closed().await
    };
    let (refused, _) = tokio::join!(take(&pair.up, 1), writing);
    assert!(matches!(refused, Err(RecvError::Frame(FrameError::Segments(_)))), "{refused:?}");
    assert!(partials.offer().is_empty());
}
