//! Who gets a link, and who does not.

use schemas::class::Class;
use schemas::digest::Digest;
use schemas::guid::ServerGuid;

use super::pair::{CLIENT, Pair, SERVER, Site, budget, client, pending, server, soon};
use crate::budget::Budget;
use crate::close::CloseCode;
use crate::connection::Side;
use crate::endpoint::{ConnectError, HandshakeError};
use crate::hello::{Hello, Partial, RequestPolicy, Resume};
use crate::identity::{Identity, IdentityError};
use crate::limits::LinkLimits;
use crate::pki::Role;
use schemas::mark::Mark;

/// What each side says when these two meet.
async fn meet(server_is: &Identity, client_is: &Identity, expected: u128) -> (Option<HandshakeError>, ConnectError) {
    let server = server(server_is, LinkLimits::server(), budget());
    let client = client(client_is, LinkLimits::device(), budget());
    let addr = server.local_addr().unwrap();
    let connecting = client.connect(addr, ServerGuid(expected), Hello::default());
    let (theirs, ours) = soon(async { tokio::join!(pending(&server), connecting) }).await;
    (theirs.err(), ours.map(|_| ()).expect_err("no link"))
}

#[tokio::test]
async fn each_side_knows_the_other_by_its_certificate() {
    let pair = Pair::new().await;
    assert_eq!((pair.up.peer().guid, pair.down.peer().guid), (SERVER, CLIENT));
    assert_ne!(pair.up.peer().fingerprint, pair.down.peer().fingerprint);
    assert_eq!((pair.up.side(), pair.down.side()), (Side::Client, Side::Server));
    assert_eq!((pair.up.version(), pair.down.version()), (1, 1));
}

/// P-12: an unknown certificate is refused, here the client's.
#[tokio::test]
async fn p_12_client_of_an_unknown_ca_is_refused() {
    let (ours, theirs) = (Site::new(), Site::new());
    let stranger = theirs.identity_trusting(CLIENT, Role::Client, &ours);
    let (at_server, at_client) = meet(&ours.identity(SERVER, Role::Server), &stranger, SERVER).await;
    assert!(matches!(at_server, Some(HandshakeError::Connection(_))), "{at_server:?}");
    assert!(matches!(at_client, ConnectError::CertificateRefused(_)), "{at_client:?}");
}

/// P-12: an unknown certificate is refused, here the server's.
#[tokio::test]
async fn p_12_server_of_an_unknown_ca_is_refused() {
    let (ours, theirs) = (Site::new(), Site::new());
    let stranger = theirs.identity_trusting(SERVER, Role::Server, &ours);
    let (_, at_client) = meet(&stranger, &ours.identity(CLIENT, Role::Client), SERVER).await;
    assert!(matches!(at_client, ConnectError::NotTheServer(_)), "{at_client:?}");
}

/// P-12: the GUID of another certificate is refused.
#[tokio::test]
async fn p_12_server_with_the_guid_of_another_certificate_is_refused() {
    let site = Site::new();
    let (_, at_client) =
        meet(&site.identity(SERVER, Role::Server), &site.identity(CLIENT, Role::Client), SERVER + 1).await;
    assert!(matches!(at_client, ConnectError::NotTheServer(_)), "{at_client:?}");
}

/// P-12: a client's certificate cannot pose as a server's, not even with the right GUID.
#[tokio::test]
async fn p_12_server_with_a_clients_certificate_is_refused() {
    let site = Site::new();
    let (_, at_client) = meet(&site.identity(SERVER, Role::Client), &site.identity(CLIENT, Role::Client), SERVER).await;
    assert!(matches!(at_client, ConnectError::NotTheServer(_)), "{at_client:?}");
}

/// P-12: who shows no certificate is refused.
#[tokio::test]
async fn p_12_client_without_certificate_is_refused() {
    let site = Site::new();
    let server = server(&site.identity(SERVER, Role::Server), LinkLimits::server(), budget());
    let endpoint = quinn::Endpoint::client(super::pair::loopback()).unwrap();
    let connecting = endpoint
        .connect_with(super::hostile::without_certificate(&site), server.local_addr().unwrap(), "x1206.invalid")
        .unwrap();
    let closed = async { connecting.await.unwrap().closed().await };
    let (at_server, at_client) = soon(async { tokio::join!(pending(&server), closed) }).await;
    assert!(matches!(at_server, Err(HandshakeError::Connection(_))));
    assert!(matches!(at_client, quinn::ConnectionError::ConnectionClosed(_)), "{at_client:?}");
}

/// P-12: a genuine certificate without a GUID names nobody.
#[tokio::test]
async fn p_12_client_certificate_without_guid_is_refused() {
    let site = Site::new();
    let server = server(&site.identity(SERVER, Role::Server), LinkLimits::server(), budget());
    let endpoint = quinn::Endpoint::client(super::pair::loopback()).unwrap();
    let connecting = endpoint
        .connect_with(super::hostile::without_guid(&site), server.local_addr().unwrap(), "x1206.invalid")
        .unwrap();
    let closed = async { connecting.await.unwrap().closed().await };
    let (at_server, at_client) = soon(async { tokio::join!(pending(&server), closed) }).await;
    assert!(matches!(at_server, Err(HandshakeError::Identity(IdentityError::Guids(0)))));
    let quinn::ConnectionError::ApplicationClosed(close) = at_client else { panic!("{at_client:?}") };
    assert_eq!(CloseCode::from_wire(close.error_code), CloseCode::Refused);
}

#[tokio::test]
async fn both_hear_what_the_other_said() {
    let says_client = Hello {
        incarnation: Some(42),
        resume: vec![Resume { class: Class::Critical, position: 17, digest: Digest([9; 32]) }],
        partials: Some(vec![Partial { digest: Digest([8; 32]), offset: 4096 }]),
        implementation: "a local server".to_owned(),
        path: Some(vec![Mark::of(CLIENT)]),
        ..Hello::default()
    };
    let says_server = Hello {
        incarnation: Some(43),
        policy: vec![RequestPolicy { cid: 2, accepts: vec!["Request:Full".to_owned()] }],
        behind: true,
        generation: Some(3),
        path: Some(vec![Mark::of(SERVER), Mark::of(1)]),
        ..Hello::default()
    };
    let pair = Pair::saying(LinkLimits::server(), LinkLimits::device(), says_server.clone(), says_client.clone()).await;
    let pair = pair.unwrap();
    assert_eq!(pair.up.peer_hello(), &says_server);
    assert_eq!(pair.down.peer_hello(), &says_client);
    assert_eq!(pair.down.peer_hello().resume_of(Class::Critical).unwrap().position, 17);
}

#[tokio::test]
async fn a_side_promises_no_longer_document_than_it_takes() {
    let server_limits = LinkLimits { document_bytes_max: 5000, ..LinkLimits::server() };
    let pair = Pair::with(server_limits, LinkLimits::device()).await;
    assert_eq!(pair.up.peer_hello().document_bytes_max, 5000);
}

#[tokio::test]
async fn without_a_common_version_there_is_no_link() {
    let site = Site::new();
    let server = server(&site.identity(SERVER, Role::Server), LinkLimits::server(), budget());
    let client = client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget());
    let addr = server.local_addr().unwrap();
    let accepting = async { pending(&server).await?.accept(Hello::default()).await };
    let future = Hello { versions: vec![2], ..Hello::default() };
    let (down, up) = soon(async { tokio::join!(accepting, client.connect(addr, ServerGuid(SERVER), future)) }).await;
    assert!(matches!(down, Err(HandshakeError::Version)));
    let Err(ConnectError::Refused(reason)) = up else { panic!("{up:?}") };
    assert_eq!(reason.code, CloseCode::Version);
}

#[tokio::test]
async fn who_is_not_welcome_is_told_so() {
    let site = Site::new();
    let server = server(&site.identity(SERVER, Role::Server), LinkLimits::server(), budget());
    let client = client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget());
    let addr = server.local_addr().unwrap();
    let refusing = async { pending(&server).await.unwrap().refuse(CloseCode::Refused, "not enrolled") };
    let connecting = client.connect(addr, ServerGuid(SERVER), Hello::default());
    let ((), up) = soon(async { tokio::join!(refusing, connecting) }).await;
    let Err(ConnectError::Refused(reason)) = up else { panic!("{up:?}") };
    assert_eq!((reason.code, reason.text.as_str()), (CloseCode::Refused, "not enrolled"));
}

/// P-6, at link level: the limit on granted credit.
#[tokio::test]
async fn p_6_without_credit_a_link_is_refused_as_busy() {
    let site = Site::new();
    // Enough for one link of 64 KiB.
    let budget_of_one = Budget::new(1 << 20, 100 << 10);
    let server = server(&site.identity(SERVER, Role::Server), LinkLimits::server(), budget_of_one.clone());
    let client = client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget());
    let addr = server.local_addr().unwrap();
    let accepting = async { pending(&server).await.unwrap().accept(Hello::default()).await };
    let connecting = client.connect(addr, ServerGuid(SERVER), Hello::default());
    let (first, _first_up) = soon(async { tokio::join!(accepting, connecting) }).await;
    let connecting = client.connect(addr, ServerGuid(SERVER), Hello::default());
    let (second, up) = soon(async { tokio::join!(pending(&server), connecting) }).await;
    assert!(matches!(second, Err(HandshakeError::Busy)));
    let Err(ConnectError::Refused(reason)) = up else { panic!("{up:?}") };
    assert_eq!(reason.code, CloseCode::Busy);
    assert_eq!(budget_of_one.credit_bytes_left(), 36 << 10);
    drop(first);
    soon(async {
        while budget_of_one.credit_bytes_left() < 100 << 10 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
