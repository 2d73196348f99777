//! Wire forms: who reads them and who does not get the same octets.

use link::hello::Hello;
use schemas::base64;
use schemas::digest::Digest;
use schemas::version::{Code, CodeContent, CodeKind, VersionInfo};
use tests::harness::{TestClient, draft};

use super::{Pair, SIBLING, pushed_to};

/// Items of every kind: text, code that compresses, code that does not, and base64 that no decoder gives back.
fn items() -> Vec<VersionInfo> {
    let noise: Vec<u8> = (0_u32..3000).flat_map(|number| Digest::of(&number.to_be_bytes()).0).collect();
    let with_code = |id: &str, text: String| {
        let mut item = draft::item(id, "a product");
        let content =
            CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text: text.into() };
        item.info[0].container.code = Some(Code { content: Some(content), ..Code::default() });
        item
    };
    let wrapped =
        base64::encode(&noise).as_bytes().chunks(76).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    vec![
        draft::commented(draft::item("text", "a product"), "Fixes a hole that an attacker may use.\nRevision: 1"),
        with_code("noise", base64::encode(&noise)),
        with_code("code", base64::encode(&b"mov eax, 1; ret; ".repeat(9000))),
        with_code("wrapped", wrapped),
    ]
}

/// Everything that a client got, pushed and in an answer.
async fn got(client: &TestClient, pair: &Pair) -> Vec<(String, Digest)> {
    let mut got = pushed_to(client, &pair.provider).await;
    let asked = client.ask(draft::request_full(&[draft::product("a product")])).await.succeeded();
    got.extend(asked.items());
    got.into_iter().map(|item| (item.id, item.digest)).collect()
}

// R-10.1.1-2: whoever knows no other form than XML gets XML.
#[tokio::test]
async fn clients_of_every_form_get_the_same_octets() {
    let pair = Pair::start().await;
    let hello = Hello::default().reading_all_forms();
    let modern = TestClient::connect_with(&pair.server, SIBLING, hello.clone()).await.expect("a link");
    for client in [&pair.client, &modern] {
        client.ask(draft::register(&[draft::product("a product"), draft::product(super::LAST)])).await.succeeded();
    }
    pair.publish(&items()).await;
    let plain = got(&pair.client, &pair).await;
    assert_eq!(plain.len(), 2 * items().len(), "{plain:?}");
    assert_eq!(got(&modern, &pair).await, plain);
    let bytes = |client: &TestClient| client.link().counters().received;
    let (long, short) = (bytes(&pair.client), bytes(&modern));
    assert!(short < long * 6 / 10, "{short} of {long} octets of frames");

    // One that knows no dictionary gets segments without.
    let alone = Hello { dictionaries: Vec::new(), ..hello };
    let alone = TestClient::connect_with(&pair.server, SIBLING, alone).await.expect("a link");
    let asked = alone.ask(draft::request_full(&[draft::product("a product")])).await.succeeded();
    let again: Vec<_> = asked.items().into_iter().map(|item| (item.id, item.digest)).collect();
    assert_eq!(again, plain[items().len()..]);
    assert!(bytes(&alone) < long * 4 / 10, "{} of {long} octets of frames", bytes(&alone));
}
