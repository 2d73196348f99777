//! Two nodes and a real link between them: what a server and its clients owe each other, clause by clause.
//!
//! Names begin with the clause; a comment names the rows of the conformance matrix that a test shows.

pub(crate) mod agents;
mod apart;
mod arrivals;
mod asked;
mod c1;
mod c10_1_1;
mod c10_1_2;
mod c10_1_4;
mod c10_1_6;
mod c10_2_1;
mod c10_2_10;
mod c10_2_5;
mod c11;
mod c3;
mod c7;
mod c8_2_2;
mod c8_3;
mod c9;
mod forms;
mod lanes;
mod limits;
pub(crate) mod observed;
mod project;

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::names::{CORE, VERSION};
use schemas::version::VersionInfo;
use tests::harness::{Answered, Got, TestClient, TestServer, draft};

const SERVER: ServerGuid = ServerGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c01);
const PROVIDER: ClientGuid = ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c99);
const CLIENT: ClientGuid = ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c21);
const SIBLING: ClientGuid = ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c22);

/// A product that only the end of a test is about.
const LAST: &str = "the last word";

/// A server, a provider, and a client that hears the last word of a test.
struct Pair {
    server: TestServer,
    provider: TestClient,
    client: TestClient,
}

impl Pair {
    async fn start() -> Self {
        let server = TestServer::with_providers(SERVER, &[PROVIDER]).await;
        let provider = TestClient::connect(&server, PROVIDER).await;
        let client = listener(&server, CLIENT).await;
        Self { server, provider, client }
    }

    /// Delivers items, each in a document of its own.
    async fn publish(&self, items: &[VersionInfo]) {
        for item in items {
            self.deliver(draft::deliver(std::slice::from_ref(item))).await;
        }
    }

    async fn deliver(&self, document: Bytes) -> Answered {
        self.provider.ask(document).await.succeeded()
    }

    async fn ask(&self, document: Bytes) -> Answered {
        self.client.ask(document).await.succeeded()
    }

    /// What has been pushed to the client and was not looked at yet.
    async fn pushed(&self) -> Vec<Got> {
        pushed_to(&self.client, &self.provider).await
    }

    async fn pushed_ids(&self) -> Vec<String> {
        ids(&self.pushed().await)
    }
}

/// A client with a standing subscription for the last word.
async fn listener(server: &TestServer, guid: ClientGuid) -> TestClient {
    let client = TestClient::connect(server, guid).await;
    client.ask(draft::register(&[draft::product(LAST)])).await.succeeded();
    client
}

/// What has been pushed to a client: a lane keeps the log's order, so all of it comes before what is published last.
async fn pushed_to(client: &TestClient, provider: &TestClient) -> Vec<Got> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let id = format!("last-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    provider.ask(draft::deliver(&[draft::item(&id, LAST)])).await.succeeded();
    let mut got = client.take_until(&id).await;
    got.retain(|item| !item.id.starts_with("last-"));
    got
}

fn ids(items: &[Got]) -> Vec<String> {
    items.iter().map(|item| item.id.clone()).collect()
}

fn example(path: &str) -> Bytes {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/testdata/examples/");
    std::fs::read(format!("{folder}{path}")).unwrap().into()
}

/// A document written by hand: fields of the Header after the PID, and the Payload.
fn by_hand(header: &str, payload: &str) -> Bytes {
    format!(
        "<m:Message_Core xmlns:m=\"{CORE}\" xmlns:v=\"{VERSION}\"><m:Header><m:PID>#h00000001</m:PID>{header}</m:Header>\
         <m:Payload>{payload}</m:Payload></m:Message_Core>"
    )
    .into()
}

/// A version message written by hand: what stands behind the CID.
fn message_by_hand(rest: &str) -> String {
    format!("<v:Message><v:CID>#h02</v:CID>{rest}</v:Message>")
}

const REQUEST: &str = "<v:Message><v:CID>#h02</v:CID><v:Major_Message>Request</v:Major_Message></v:Message>";

#[track_caller]
fn assert_status(answered: &Answered, status: &ReplyStatus) {
    let leaf = answered.leaf();
    assert_eq!(leaf.status, *status, "{}", leaf.why);
}
