//! Ports of loopback that are free, and stay so while their owner is down.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use anyhow::ensure;

use dialler::clock;

/// Below the ports that systems hand out by themselves: nobody takes one by chance while a killed server is away.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// Addresses for servers, each free for UDP and for TCP when it was looked at.
pub(super) fn free(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let length = u32::from(RANGE.end - RANGE.start);
    // A random place to begin at keeps trees on one machine out of each other's way.
    let begin = (clock::random_128() % u128::from(length)) as u32;
    let turn = |step: u32| RANGE.start + ((begin + step) % length) as u16;
    let mut held = Vec::new();
    for port in (0..length).map(turn) {
        if held.len() == count {
            break;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if let (Ok(udp), Ok(tcp)) = (UdpSocket::bind(address), TcpListener::bind(address)) {
            held.push((address, udp, tcp));
        }
    }
    ensure!(held.len() == count, "only {} ports of {count} are free on loopback", held.len());
    Ok(held.into_iter().map(|(address, ..)| address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_below_those_that_systems_hand_out() {
        let mut ports = free(50).expect("50 free ports");
        ports.sort();
        ports.dedup();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|address| address.ip().is_loopback() && RANGE.contains(&address.port())));
    }
}
