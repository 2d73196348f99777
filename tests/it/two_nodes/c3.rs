//! Clause 3: what an asset, a client, a server and a vulnerability are.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use schemas::core::ReplyStatus;
use schemas::version::{Info, Major, Minor, VersionInfo};
use schemas::write::MessageDraft;
use tests::faults::Random;
use tests::harness::draft::{self, said};
use tokio::net::UdpSocket;

use super::Pair;

/// A translator in front of `inside`'s peer: the server sees its outer address only, and datagrams pass inwards only
/// to whoever called last. Where a client dials to.
pub(super) async fn translator(server: SocketAddr) -> SocketAddr {
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let (inner, outer) = (Arc::new(bind().await.unwrap()), Arc::new(bind().await.unwrap()));
    let inside = inner.local_addr().unwrap();
    outer.connect(server).await.unwrap();
    tokio::spawn(async move {
        let mut called: Option<SocketAddr> = None;
        let (mut up, mut down) = ([0; 65_536], [0; 65_536]);
        loop {
            tokio::select! {
                Ok((length, from)) = inner.recv_from(&mut up) => {
                    called = Some(from);
                    outer.send(&up[..length]).await.unwrap();
                }
                Ok(length) = outer.recv(&mut down), if called.is_some() => {
                    inner.send_to(&down[..length], called.unwrap()).await.unwrap();
                }
            }
        }
    });
    inside
}

// R-3.1.2-1: whatever can be named can be registered.
#[tokio::test]
async fn c3_1_2_an_asset_may_be_hardware_a_system_a_library_or_a_script() {
    let pair = Pair::start().await;
    let top = |product: &str, version: &str, file: &str| VersionInfo {
        product_version: Some(version.into()),
        info: vec![draft::component(file, version)],
        ..draft::product(product)
    };
    let assets = [
        top("DVD-RW 4551 firmware", "A106", "dvdrw4551.rom"),
        top("Penguin OS", "12.4", "os-release"),
        top("libzed", "1.2.8", "libzed.so.1"),
        top("backup script", "r17", "backup.sh"),
    ];
    pair.ask(draft::register(&assets)).await;
    for asset in &assets {
        let affected = &asset.info[0].container;
        let file = affected.file_name.as_deref().unwrap();
        pair.publish(&[draft::component_item(file, file, &affected.version)]).await;
        pair.publish(&[draft::component_item("other version", file, "0")]).await;
    }
    let files = assets.map(|asset| asset.info[0].container.file_name.as_deref().unwrap().to_owned());
    assert_eq!(pair.pushed_ids().await, files);
}

// R-3.1.12-1: an act, a process or a place has no product, file or code.
#[tokio::test]
async fn c3_1_12_an_item_without_product_reaches_who_filters_for_none() {
    let pair = Pair::start().await;
    pair.ask(draft::message(Major::Request, Some(Minor::Full), None)).await;
    let description = schemas::core::Description {
        reference: Some("data:,Lock%20the%20server%20room.".into()),
        ..Default::default()
    };
    let info = said("ACT-1", Info { description: Some(description), ..Info::default() });
    pair.publish(&[VersionInfo { info: vec![info], ..VersionInfo::default() }]).await;
    assert_eq!(pair.pushed_ids().await, ["ACT-1"]);
}

/// A valid message of any kind, with one to three leaves to be expected.
fn any_message(random: &mut Random) -> (bytes::Bytes, usize) {
    let majors = [Major::Register, Major::Request, Major::Deliver, Major::Analyse, Major::Other("Audit".into())];
    let minors = [None, Some(Minor::Full), Some(Minor::Catalog), Some(Minor::End), Some(Minor::Other("Most".into()))];
    let data = [draft::item("item", "P"), draft::product("P"), draft::component_item("c", "lib.so", "1.0")];
    let below = |random: &mut Random, bound: usize| usize::try_from(random.below(bound as u64)).unwrap();
    let count = 1 + below(random, 3);
    let drafts: Vec<MessageDraft<'_>> = (0..count)
        .map(|_| {
            let (major, minor) = (majors[below(random, 5)].clone(), minors[below(random, 5)].clone());
            let length = below(random, 4);
            MessageDraft { major, minor, data: (length > 0).then(|| &data[..length]) }
        })
        .collect();
    (draft::messages(&drafts), count)
}

// R-3.1.11-1: whatever is asked, there is one answer to each message.
#[tokio::test]
async fn c3_1_11_every_valid_request_ends_in_exactly_one_reply() {
    let pair = Pair::start().await;
    let seed = u64::from(std::process::id());
    let mut random = Random::new(seed);
    for _ in 0..300 {
        let (document, expected) = if random.one_in(3) {
            let parts: Vec<_> = (0..1 + random.below(4)).map(|_| any_message(&mut random)).collect();
            let expected = parts.iter().map(|(_, count)| count).sum();
            (draft::bundle(&parts.into_iter().map(|(part, _)| part).collect::<Vec<_>>()), expected)
        } else {
            any_message(&mut random)
        };
        let who = if random.one_in(2) { &pair.client } else { &pair.provider };
        let leaves = who.ask(document).await.leaves();
        assert_eq!(leaves.len(), expected, "seed {seed}: {leaves:?}");
        let known = leaves.iter().all(|leaf| !matches!(leaf.status, ReplyStatus::Other(_)));
        assert!(known && leaves.iter().all(|leaf| leaf.reply_id.is_some()), "seed {seed}: {leaves:?}");
    }
}
