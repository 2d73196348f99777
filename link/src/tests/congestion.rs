//! What counts as congestion on a link goes by where its client dials from.

use ipnet::IpNet;
use schemas::guid::ServerGuid;

use super::pair::{CLIENT, SERVER, Site, budget, client, pending, server, soon};
use crate::hello::Hello;
use crate::limits::{Congestion, LinkLimits};
use crate::pki::Role;

/// Bytes that a server sends at once on a new link from loopback.
async fn first_window(by_network: &[(&str, Congestion)]) -> u64 {
    let site = Site::new();
    let networks = by_network.iter().map(|(network, congestion)| (network.parse::<IpNet>().unwrap(), *congestion));
    let server = server(&site.identity(SERVER, Role::Server), LinkLimits::server(), budget()).with_congestion(networks);
    let client = client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget());
    let accepting = async { pending(&server).await.unwrap().accept(Hello::default()).await.unwrap() };
    let addr = server.local_addr().unwrap();
    let connecting = client.connect(addr, ServerGuid(SERVER), Hello::default());
    let (down, up) = soon(async { tokio::join!(accepting, connecting) }).await;
    let window = down.congestion_window();
    drop(up);
    window
}

#[tokio::test]
async fn the_narrowest_network_that_a_client_dials_from_counts() {
    use Congestion::{Bbr, Cubic};
    // BBR begins with more than ten times what the others begin with.
    let is_bbr = async |by_network| first_window(by_network).await > 150_000;
    assert!(!is_bbr(&[]).await);
    assert!(is_bbr(&[("127.0.0.0/8", Bbr)]).await);
    assert!(!is_bbr(&[("10.0.0.0/8", Bbr), ("::/0", Bbr)]).await, "others");
    assert!(is_bbr(&[("0.0.0.0/0", Cubic), ("127.0.0.1/32", Bbr), ("127.0.0.0/8", Cubic)]).await);
    assert!(!is_bbr(&[("127.0.0.0/8", Bbr), ("127.0.0.0/16", Cubic)]).await);
}
