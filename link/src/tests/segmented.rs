//! Deliveries in segments: restored for whoever reads them, refused where they are not what they say.

use bytes::Bytes;
use schemas::class::Class;

use super::pair::{Pair, soon};
use crate::close::CloseCode;
use crate::error::{RecvError, SendError};
use crate::frame::{Form, Frame, FrameError, FrameHeader, Kind};
use crate::hello::Hello;
use crate::limits::LinkLimits;
use crate::segments::{self, Dictionary, Prelude, SegmentError};

/// A client that reads every form.
async fn reading(limits: LinkLimits) -> Pair {
    let hello = Hello::default().reading_all_forms();
    Pair::saying(LinkLimits::server(), limits, Hello::default(), hello).await.unwrap()
}

/// A document that is packed, compressed and copied.
fn document() -> Bytes {
    let noise: Vec<u8> = (0_u32..80_000).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    let code = base64_simd::STANDARD.encode_to_string(noise);
    format!("<a/>{}<code>{code}</code>", include_str!("../../testdata/advisory.xml")).into()
}

/// The frame of a document in segments, with the dictionary that the client has.
fn segmented(document: &Bytes) -> (FrameHeader, Vec<Bytes>) {
    let dictionary = Some(Dictionary::advisories());
    let prelude = Prelude { document_bytes: u32::try_from(document.len()).unwrap(), dictionary };
    let mut body = vec![Bytes::copy_from_slice(&prelude.to_wire())];
    body.extend(segments::make(document, dictionary));
    let header = FrameHeader::over(Kind::Delivery, std::slice::from_ref(document));
    (header.in_form(Form::Segmented).at(7), body)
}

async fn received(pair: &Pair, header: &FrameHeader, body: &[Bytes]) -> Result<Frame, RecvError> {
    let sending = async {
        let mut lane = pair.down.open_lane(Class::Normal).await.unwrap();
        lane.deliver(header, body).await.unwrap();
        // The lane must not end before it is read.
        pair.down.closed().await
    };
    let receiving = async {
        let mut lane = pair.up.accept_lane().await.unwrap();
        lane.recv().await.map(|frame| frame.expect("a delivery"))
    };
    soon(async {
        tokio::select! {
            result = receiving => result,
            reason = sending => panic!("{reason:?}"),
        }
    })
    .await
}

#[tokio::test]
async fn what_comes_in_segments_is_handed_on_plain() {
    let pair = reading(LinkLimits::device()).await;
    let document = document();
    let (header, body) = segmented(&document);
    let frame = received(&pair, &header, &body).await.unwrap();
    assert_eq!((frame.header.clone(), frame.body.clone()), (header.in_form(Form::Plain), document.clone()));
    let held = (256 << 20) - pair.client_budget.frame_bytes_left();
    assert!(held >= document.len() && held <= 2 * document.len() + (8 << 10), "{held} for {}", document.len());
    drop(frame);
    assert_eq!(pair.client_budget.frame_bytes_left(), 256 << 20);
}

#[tokio::test]
async fn an_answer_may_come_in_segments() {
    let pair = reading(LinkLimits::device()).await;
    let (header, body) = segmented(&document());
    let answering = async {
        let mut exchange = pair.down.accept_exchange().await.unwrap().document().await.unwrap();
        exchange.reply(1, &[]).await.unwrap();
        exchange.deliver(&header, &body).await.unwrap();
        exchange.end().await.unwrap();
    };
    let asking = async {
        let mut asked = pair.up.open_exchange(&[Bytes::from_static(b"<request/>")]).await.unwrap();
        asked.recv().await.unwrap();
        let delivery = asked.recv().await.unwrap().unwrap();
        assert_eq!(asked.recv().await.unwrap(), None);
        delivery.body
    };
    let ((), delivered) = soon(async { tokio::join!(answering, asking) }).await;
    assert_eq!(delivered, document());
}

#[tokio::test]
async fn who_did_not_ask_for_segments_is_sent_none_and_takes_none() {
    let pair = Pair::new().await;
    let (header, body) = segmented(&document());
    let mut lane = pair.down.open_lane(Class::Normal).await.unwrap();
    assert!(matches!(lane.deliver(&header, &body).await, Err(SendError::Order(_))));
    let refused = raw(&pair, &header, &body.concat()).await;
    assert_eq!(refused, Err(RecvError::Frame(FrameError::Form(1))));
}

/// Sends these bytes on a lane, whatever they are.
async fn raw(pair: &Pair, header: &FrameHeader, body: &[u8]) -> Result<Frame, RecvError> {
    let lane = FrameHeader::over(Kind::Lane, &[]).in_class(Class::Bulk);
    let header = header.clone().in_class(Class::Bulk);
    let mut send = pair.down.inner().connection.open_uni().await.unwrap();
    let bytes = [&lane.encode(0)[..], &header.encode(u32::try_from(body.len()).unwrap()), body].concat();
    let sending = async {
        // Fails if the client closes first.
        let _ = send.write_all(&bytes).await;
        pair.down.closed().await
    };
    let receiving = async {
        loop {
            // The lane that `who_did_not_ask` opened is the other.
            let mut lane = pair.up.accept_lane().await?;
            if lane.class() == Class::Bulk {
                break lane.recv().await.map(|frame| frame.expect("a delivery"));
            }
        }
    };
    soon(async { tokio::join!(receiving, sending).0 }).await
}

async fn refused(header: &FrameHeader, body: &[u8], code: CloseCode) -> FrameError {
    let pair = reading(LinkLimits { document_bytes_max: 4 << 20, ..LinkLimits::device() }).await;
    let refused = raw(&pair, header, body).await;
    assert_eq!(pair.up.close_reason().unwrap().code, code);
    assert_eq!(pair.client_budget.frame_bytes_left(), 256 << 20, "what was taken is given back");
    match refused {
        Err(RecvError::Frame(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn segments_that_lie_close_the_link() {
    let (header, body) = segmented(&document());
    let whole = body.concat();
    let with = |at: usize, bytes: &[u8]| [&whole[..at], bytes, &whole[at + bytes.len()..]].concat();
    // Another document than its digest says.
    let other = FrameHeader { digest: FrameHeader::over(Kind::Delivery, &[]).digest, ..header.clone() };
    assert!(matches!(refused(&other, &whole, CloseCode::Digest).await, FrameError::Digest(_)));
    // A document longer than the client takes, with little in it; one that is longer, or shorter, than its segments.
    let long = with(0, &(5_u32 << 20).to_be_bytes());
    assert!(matches!(refused(&header, &long, CloseCode::TooLarge).await, FrameError::TooLong { .. }));
    let longer = with(0, &(4_u32 << 20).to_be_bytes());
    let error = refused(&header, &longer, CloseCode::Protocol).await;
    assert!(matches!(error, FrameError::Segments(SegmentError::Cut(_))), "{error}");
    let shorter = with(0, &3_u32.to_be_bytes());
    let error = refused(&header, &shorter, CloseCode::Protocol).await;
    assert!(matches!(error, FrameError::Segments(SegmentError::Length { .. })), "{error}");
    // A dictionary and a transform that nobody knows.
    let error = refused(&header, &with(4, &[7; 8]), CloseCode::Protocol).await;
    assert_eq!(error, FrameError::Segments(SegmentError::Dictionary));
    let error = refused(&header, &with(12, &[9]), CloseCode::Protocol).await;
    assert_eq!(error, FrameError::Segments(SegmentError::Transform(9)));
}

#[tokio::test]
async fn a_bomb_costs_one_piece_at_most() {
    let bomb = zstd::bulk::compress(&vec![b' '; 8 << 20], 3).unwrap();
    let prelude = Prelude { document_bytes: 1 << 20, dictionary: None };
    let length = u32::try_from(bomb.len()).unwrap().to_be_bytes();
    let body = [&prelude.to_wire()[..], &[2, 0x10, 0, 0], &length[1..], &bomb].concat();
    let header = FrameHeader::over(Kind::Delivery, &[]).in_form(Form::Segmented);
    let error = refused(&header, &body, CloseCode::Protocol).await;
    assert!(matches!(error, FrameError::Segments(SegmentError::Coded(_))), "{error}");
}
