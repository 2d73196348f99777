//! How bytes go out to clients.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{ConfigError, bad};

/// QUIC towards clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transport {
    /// What counts as congestion on the way to clients.
    pub congestion: Congestion,
    /// The same for clients that dial from these networks; the narrowest that an address is in counts.
    pub congestion_by_network: BTreeMap<IpNet, Congestion>,
    /// Sockets among which links are spread, at most 128; 0 is one for each core that this process may use.
    pub sockets: u8,
}

impl Transport {
    /// More than any server has use for; the identifiers of connections have room for twice as many.
    const SOCKETS_MAX: u8 = 128;

    /// How many sockets there are.
    pub fn sockets(&self) -> u8 {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get().min(255) as u8);
        let sockets = if self.sockets == 0 { cores() } else { self.sockets };
        sockets.min(Self::SOCKETS_MAX)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.congestion_by_network.keys().find(|network| !is_network(network)) {
            Some(network) => {
                let why = "networks without bits beyond their length, IPv4 as such";
                bad("transport.congestion_by_network", network, why)
            }
            None => Ok(()),
        }
    }
}

/// Whether an address can be in it as it is written: no bits behind the prefix, and IPv4 not in the form of IPv6.
fn is_network(network: &IpNet) -> bool {
    let is_mapped = |network: &Ipv6Net| network.addr().to_ipv4_mapped().is_some();
    *network == network.trunc() && !matches!(network, IpNet::V6(network) if is_mapped(network))
}

/// See [`link::limits::Congestion`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Congestion {
    /// Lost packets: for networks that lose few.
    #[default]
    Cubic,
    /// The same, and slower to recover.
    NewReno,
    /// Growing delay: for networks that lose packets without being full, such as radio.
    Bbr,
}

impl From<Congestion> for link::limits::Congestion {
    fn from(congestion: Congestion) -> Self {
        match congestion {
            Congestion::Cubic => Self::Cubic,
            Congestion::NewReno => Self::NewReno,
            Congestion::Bbr => Self::Bbr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn congestion_goes_by_network() {
        let config =
            "[transport]\ncongestion_by_network = { \"10.64.0.0/10\" = \"bbr\", \"2001:db8::/32\" = \"newreno\" }";
        let transport = toml::from_str::<Config>(config).expect("parses").transport;
        let by_network = transport.congestion_by_network.values().copied().collect::<Vec<_>>();
        assert_eq!((transport.congestion, by_network), (Congestion::Cubic, vec![Congestion::Bbr, Congestion::NewReno]));
        let error = toml::from_str::<Config>(&config.replace("/10", "/99")).expect_err("refused").to_string();
        assert!(error.contains("line 2"), "{error}");
        for network in ["10.64.0.1/10", "::ffff:10.0.0.0/104"] {
            let config = toml::from_str::<Config>(&config.replace("10.64.0.0/10", network)).expect("parses");
            let error = config.check().expect_err(network).to_string();
            assert!(error.starts_with("transport.congestion_by_network") && error.contains("networks"), "{error}");
        }
    }
}
