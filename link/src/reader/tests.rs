use super::*;
use crate::budget::Budget;
use crate::frame::Kind;
use schemas::class::Class;
use tokio::io::{AsyncWriteExt, DuplexStream};

const BUDGET: usize = 1 << 20;

fn rules(budget: &Budget, limits: LinkLimits) -> Rules {
    let share = budget.share(limits.held_bytes_max);
    Rules {
        limits: Arc::new(limits),
        share,
        traffic: Arc::default(),
        windows: None,
        forms: Arc::default(),
        has_priorities: false,
    }
}

fn reader<R: AsyncRead + Unpin>(stream: R, limits: LinkLimits) -> FrameReader<R> {
    FrameReader::new(stream, rules(&Budget::new(BUDGET, 0), limits))
}

fn frame_bytes(kind: Kind, body: &'static [u8]) -> Vec<u8> {
    let header = FrameHeader::over(kind, &[Bytes::from_static(body)]).at(7).in_class(Class::Bulk);
    let mut bytes = header.encode(u32::try_from(body.len()).unwrap()).to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// What a reader says of a whole stream, with the number of frames that it gave first.
async fn read_all(bytes: &[u8]) -> (usize, Result<(), FrameError>) {
    let mut reader = reader(bytes, LinkLimits::device());
    let mut frames = 0;
    loop {
        match reader.next().await {
            Ok(Some(_)) => frames += 1,
            Ok(None) => return (frames, Ok(())),
            Err(ReadFailure::Frame(error)) => return (frames, Err(error)),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn every_kind_comes_whole_and_cut_at_every_byte_is_an_error() {
    let kinds = [Kind::Hello, Kind::Document, Kind::Delivery, Kind::Reply, Kind::End, Kind::Lane, Kind::Behind];
    for kind in kinds {
        let body: &[u8] = if matches!(kind, Kind::End | Kind::Lane | Kind::Behind) { b"" } else { b"<message/>" };
        let mut bytes = frame_bytes(Kind::Delivery, b"<before/>");
        let first = bytes.len();
        bytes.extend_from_slice(&frame_bytes(kind, body));
        for end in 0..=bytes.len() {
            let (frames, result) = read_all(&bytes[..end]).await;
            let whole = end == 0 || end == first || end == bytes.len();
            assert_eq!(result.is_ok(), whole, "{kind:?} cut at {end}");
            assert_eq!(frames, usize::from(end >= first) + usize::from(end == bytes.len()), "{kind:?} cut at {end}");
        }
    }
}

#[tokio::test]
async fn a_frame_in_one_byte_pieces_is_the_same_frame() {
    let (mut write, read) = tokio::io::duplex(1);
    let bytes = frame_bytes(Kind::Reply, b"<message/>");
    let writing = tokio::spawn(async move { write.write_all(&bytes).await });
    let frame = reader(read, LinkLimits::device()).next().await.unwrap().unwrap();
    assert_eq!(&frame.body[..], b"<message/>");
    assert_eq!((frame.header.kind, frame.header.position, frame.header.class), (Kind::Reply, 7, Class::Bulk));
    writing.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_read_loses_nothing() {
    let (mut write, read) = tokio::io::duplex(1024);
    let mut reader = reader(read, LinkLimits::device());
    for byte in frame_bytes(Kind::Document, b"<message/>") {
        // Polled once and dropped, as a `select!` does.
        let polled = tokio::time::timeout(Duration::ZERO, reader.next()).await;
        assert!(polled.is_err(), "not whole yet");
        tokio::io::AsyncWriteExt::write_all(&mut write, &[byte]).await.unwrap();
    }
    assert_eq!(&reader.next().await.unwrap().unwrap().body[..], b"<message/>");
}

/// P-6, at link level: the limit on a document's length.
#[tokio::test]
async fn p_6_a_frame_over_the_limit_is_refused_before_anything_is_allocated() {
    let budget = Budget::new(BUDGET, 0);
    let limits = LinkLimits { document_bytes_max: 1000, ..LinkLimits::device() };
    for length in [1001, u32::MAX] {
        // The header alone: with the body missing, an allocation would show as a wait for it.
        let bytes = FrameHeader::over(Kind::Document, &[]).encode(length);
        let error = FrameReader::new(&bytes[..], rules(&budget, limits.clone())).next().await.unwrap_err();
        let ReadFailure::Frame(error) = error else { panic!("{error:?}") };
        assert_eq!(error, FrameError::TooLong { length, limit: 1000 });
        assert_eq!(error.code(), crate::close::CloseCode::TooLarge);
        assert_eq!(budget.frame_bytes_left(), BUDGET);
    }
}

#[tokio::test]
async fn a_frame_that_the_budget_can_never_hold_is_refused_not_waited_for() {
    let bytes = FrameHeader::over(Kind::Document, &[]).encode(u32::try_from(BUDGET).unwrap() + 1);
    let error = reader(&bytes[..], LinkLimits::device()).next().await.unwrap_err();
    assert!(matches!(error, ReadFailure::Frame(FrameError::TooLong { .. })), "{error:?}");
}

#[tokio::test]
async fn a_body_that_is_not_its_digest_is_refused() {
    let mut bytes = frame_bytes(Kind::Delivery, b"<message/>");
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(read_all(&bytes).await, (0, Err(FrameError::Digest(Kind::Delivery))));
    let mut bytes = frame_bytes(Kind::End, b"");
    bytes[24] ^= 1;
    assert_eq!(read_all(&bytes).await, (0, Err(FrameError::Digest(Kind::End))));
}

/// P-6, at link level: the limit on what is held in memory.
#[tokio::test]
async fn p_6_a_body_stays_counted_until_its_last_slice_is_dropped() {
    let budget = Budget::new(20, 0);
    let bytes = [frame_bytes(Kind::Delivery, b"<message/>"), frame_bytes(Kind::Delivery, b"<another/>")].concat();
    let third = frame_bytes(Kind::Delivery, b"<third/>");
    let stream = [bytes, third].concat();
    let mut reader = FrameReader::new(&stream[..], rules(&budget, LinkLimits::device()));
    let first = reader.next().await.unwrap().unwrap();
    let slice = first.body.slice(1..3);
    let second = reader.next().await.unwrap().unwrap();
    assert_eq!(budget.frame_bytes_left(), 0);
    drop(first);
    let waiting = tokio::time::timeout(Duration::from_millis(20), reader.next()).await;
    assert!(waiting.is_err(), "the slice still holds the first body");
    drop((slice, second));
    assert_eq!(&reader.next().await.unwrap().unwrap().body[..], b"<third/>");
    assert_eq!(budget.frame_bytes_left(), 20);
}

#[tokio::test]
async fn a_frame_that_has_begun_must_end_in_time() {
    let limits = LinkLimits { frame_timeout: Duration::from_millis(30), ..LinkLimits::device() };
    for cut in [1, HEADER_BYTES, HEADER_BYTES + 3] {
        let (mut write, read) = tokio::io::duplex(1024);
        let bytes = frame_bytes(Kind::Delivery, b"<message/>");
        tokio::io::AsyncWriteExt::write_all(&mut write, &bytes[..cut]).await.unwrap();
        let error = reader(read, limits.clone()).next().await.unwrap_err();
        assert!(matches!(error, ReadFailure::Timeout), "cut at {cut}: {error:?}");
    }
}

/// On a path that carries 1 Mbit/s, an answer of some minutes goes before a lane whose frame has begun.
#[tokio::test]
async fn a_frame_may_wait_while_others_of_its_link_go_on() {
    for has_priorities in [false, true] {
        let limits = LinkLimits { frame_timeout: Duration::from_millis(500), ..LinkLimits::device() };
        let (wait, rate) = (limits.frame_timeout, limits.rate_min as usize);
        let rules = Rules { has_priorities, ..rules(&Budget::new(BUDGET, 0), limits) };
        let bytes = frame_bytes(Kind::Delivery, b"<message/>");
        let (mut write, read) = tokio::io::duplex(1024);
        write.write_all(&bytes[..HEADER_BYTES + 3]).await.unwrap();
        let others = rules.clone();
        let going_on = async {
            for _ in 0..40 {
                tokio::time::sleep(wait / 10).await;
                others.count_read(rate);
            }
            write.write_all(&bytes[HEADER_BYTES + 3..]).await
        };
        let mut reader = FrameReader::new(read, rules);
        let (read, _) = tokio::join!(reader.next(), going_on);
        assert_eq!(read.is_ok(), has_priorities, "{read:?}");
        if has_priorities {
            write.write_all(&bytes[..HEADER_BYTES + 3]).await.unwrap();
            assert!(matches!(reader.next().await, Err(ReadFailure::Timeout)), "nothing goes on any more");
        }
    }
}

const KIB: usize = 1 << 10;

/// The stream of a body of 512 KiB, of which so many bytes have come and no more will.
async fn stalled(sent: usize) -> (DuplexStream, DuplexStream) {
    let (mut write, read) = tokio::io::duplex(BUDGET);
    let header = FrameHeader::over(Kind::Document, &[]).encode(512 << 10);
    write.write_all(&header).await.unwrap();
    write.write_all(&vec![b' '; sent]).await.unwrap();
    (write, read)
}

#[tokio::test]
async fn who_announces_much_and_sends_little_holds_little() {
    let budget = Budget::new(BUDGET, 0);
    for (sent, most) in
        [(0, 4 * KIB), (1, 4 * KIB), (5 * KIB, 16 * KIB), (100 * KIB, 128 * KIB), (300 * KIB, 512 * KIB)]
    {
        let (_write, read) = stalled(sent).await;
        let mut reader = FrameReader::new(read, rules(&budget, LinkLimits::device()));
        assert!(tokio::time::timeout(Duration::from_millis(20), reader.next()).await.is_err(), "it cannot be whole");
        let held = BUDGET - budget.frame_bytes_left();
        assert!((sent..=most).contains(&held), "{held} are held for {sent}");
        assert!(reader.body.as_ref().is_some_and(|body| body.bytes.capacity() <= held), "memory beyond what was taken");
        drop(reader);
        assert_eq!(budget.frame_bytes_left(), BUDGET);
    }
}

#[tokio::test]
async fn a_frame_that_ends_badly_gives_its_room_back() {
    let budget = Budget::new(BUDGET, 0);
    let limits = LinkLimits { frame_timeout: Duration::ZERO, rate_min: u32::MAX, ..LinkLimits::device() };
    let (_write, read) = stalled(100).await;
    let late = FrameReader::new(read, rules(&budget, limits)).next().await.unwrap_err();
    assert!(matches!(late, ReadFailure::Timeout), "{late:?}");
    assert_eq!(budget.frame_bytes_left(), BUDGET);
    let mut cut = frame_bytes(Kind::Document, &[b' '; 100]);
    cut.pop();
    let failure = FrameReader::new(&cut[..], rules(&budget, LinkLimits::device())).next().await.unwrap_err();
    assert!(matches!(failure, ReadFailure::Frame(FrameError::Cut { missing: 1 })), "{failure:?}");
    assert_eq!(budget.frame_bytes_left(), BUDGET);
}

#[tokio::test]
async fn a_wait_for_room_ends_in_time_and_is_not_the_senders() {
    let budget = Budget::new(BUDGET, 0);
    let taken = budget.share(u32::MAX);
    let mut all = taken.admit(960 << 10).await.unwrap();
    all.grow(960 << 10).await.unwrap();
    let limits = LinkLimits { room_timeout: Duration::from_millis(40), ..LinkLimits::device() };
    let (_write, read) = stalled(100).await;
    let failure = FrameReader::new(read, rules(&budget, limits.clone())).next().await.unwrap_err();
    assert!(matches!(failure, ReadFailure::NoRoom), "{failure:?}");
    let body: &'static [u8] = vec![b' '; 100 * KIB].leak();
    let bytes = frame_bytes(Kind::Document, body);
    let limits = LinkLimits {
        frame_timeout: Duration::from_millis(300),
        rate_min: u32::MAX,
        room_timeout: Duration::from_secs(10),
        ..limits
    };
    // In pieces, so that what follows is not there yet when the deadline without the wait would be over.
    let (mut write, read) = tokio::io::duplex(KIB);
    let writing = tokio::spawn(async move { write.write_all(&bytes).await });
    let mut reader = FrameReader::new(read, rules(&budget, limits));
    assert!(tokio::time::timeout(Duration::from_millis(400), reader.next()).await.is_err(), "there is no room");
    drop(all);
    assert_eq!(reader.next().await.unwrap().unwrap().body.len(), 100 * KIB);
    writing.await.unwrap().unwrap();
}
