//! Clause 11: whose schema counts.

use std::io::ErrorKind;
use std::net::TcpListener;

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::names::{CORE, VERSION};
use tests::harness::draft;

use super::{Pair, REQUEST, assert_status, by_hand, message_by_hand};

/// The same document, saying that its schemas are to be had at this address.
fn hinted(document: &Bytes, address: &str) -> Bytes {
    let text = std::str::from_utf8(document).unwrap();
    let hints = format!(
        "<m:Message_Core xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"{CORE} {address}/core.xsd {VERSION} {address}/version.xsd\" \
         xsi:noNamespaceSchemaLocation=\"{address}/any.xsd\" "
    );
    text.replacen("<m:Message_Core ", &hints, 1).into()
}

// R-11.2-3: where a document says that its schema lies is neither looked up nor believed.
#[tokio::test]
async fn c11_2_schema_locations_are_not_fetched() {
    let pair = Pair::start().await;
    pair.publish(&[draft::item("item", "P")]).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let request = by_hand("", REQUEST);
    let plain = pair.ask(request.clone()).await.ids();
    assert_eq!(plain, ["item"]);
    assert_eq!(pair.ask(hinted(&request, &address)).await.ids(), plain);
    // What our schema does not know stays unknown, whatever another one may say.
    let bogus = by_hand("", &message_by_hand("<v:Major_Message>Request</v:Major_Message><v:Bogus/>"));
    assert_status(&pair.client.ask(hinted(&bogus, &address)).await, &ReplyStatus::Failed);
    // On its way to others it is not looked up either.
    pair.ask(draft::register(&[draft::product("P")])).await;
    pair.deliver(hinted(&draft::deliver(&[draft::item("hinted", "P")]), &address)).await;
    assert_eq!(pair.pushed_ids().await, ["hinted"]);
    // Whoever had dialled would stand in the queue: a connection on loopback is there before its dialler goes on.
    listener.set_nonblocking(true).unwrap();
    let nobody = listener.accept().map(|(_, from)| from);
    assert!(nobody.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{nobody:?}");
}
