//! What both ends set alike: the transport, the key of stateless resets, connection identifiers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn_proto::crypto::{CryptoError, HmacKey};
use quinn_proto::{AckFrequencyConfig, EndpointConfig, IdleTimeout};
use quinn_proto::{ServerConfig, TransportConfig, VarInt, congestion};

use crate::identity::Identity;
use crate::limits::{Congestion, LinkLimits};
use crate::quic::{Endpoint, SharedWindow, Socket, SocketIds, listen};
use crate::tls::TlsError;
use crate::traffic::Traffic;

/// Why an endpoint could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be used.
    #[error("{addr}: {error}")]
    Socket {
        /// Which.
        addr: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The identity cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Acknowledge after so many packets at the latest: a third less work for a sender of small messages.
const ACK_EVERY: u32 = 10;

/// Binds an endpoint that dials, and the count of what crosses its socket.
pub(super) fn dialling(
    addr: SocketAddr,
    identity: &Identity,
    limits: &LinkLimits,
) -> Result<(Endpoint, Arc<Traffic>), BindError> {
    let socket = Socket::bind(addr, limits.socket_buffer_bytes).map_err(|error| BindError::Socket { addr, error })?;
    let traffic = Arc::clone(socket.traffic());
    Ok((Endpoint::dialling(config(identity, 0, 1), socket, shared_window(limits)), traffic))
}

/// Binds the endpoints that listen on a port, and the count of what crosses their sockets.
pub(super) fn listening(
    addr: SocketAddr,
    identity: &Identity,
    limits: &LinkLimits,
    server: &Arc<ServerConfig>,
) -> Result<(Vec<Endpoint>, Arc<Traffic>), BindError> {
    let sockets = Socket::bind_all(addr, limits.socket_buffer_bytes, limits.sockets);
    let sockets = sockets.map_err(|error| BindError::Socket { addr, error })?;
    let traffic = sockets.first().map(|socket| Arc::clone(socket.traffic())).unwrap_or_default();
    let config = |own| config(identity, own, limits.sockets);
    Ok((listen(sockets, config, server, shared_window(limits)), traffic))
}

fn shared_window(limits: &LinkLimits) -> Arc<SharedWindow> {
    SharedWindow::new(limits.send_window.into(), limits.send_window_of_all.into())
}

fn config(identity: &Identity, socket: u8, sockets: u8) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ResetKey(*identity.reset_key())));
    config.cid_generator(move || Box::new(SocketIds { socket, sockets }));
    config
}

/// What both sides set alike.
pub(super) fn transport(limits: &LinkLimits) -> TransportConfig {
    let mut config = TransportConfig::default();
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_EVERY));
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.streams_bidi))
        .max_concurrent_uni_streams(VarInt::from_u32(limits.streams_uni))
        .stream_receive_window(VarInt::from_u32(limits.stream_window))
        .receive_window(VarInt::from_u32(limits.connection_window))
        .send_window(u64::from(limits.send_window))
        // Too long to be said in QUIC is as good as never.
        .max_idle_timeout(IdleTimeout::try_from(limits.idle_timeout).ok())
        .keep_alive_interval(limits.keep_alive)
        .datagram_receive_buffer_size(None)
        .ack_frequency_config(Some(acks))
        .congestion_controller_factory(controller(limits.congestion));
    config
}

fn controller(congestion: Congestion) -> Arc<dyn congestion::ControllerFactory + Send + Sync> {
    match congestion {
        Congestion::Cubic => Arc::new(congestion::CubicConfig::default()),
        Congestion::NewReno => Arc::new(congestion::NewRenoConfig::default()),
        Congestion::Bbr => Arc::new(congestion::BbrConfig::default()),
    }
}

/// Signs stateless resets with a key that outlives the process: a server that was killed and is back tells its old
/// clients at their next packet that their links are gone, instead of leaving them to their idle timeout.
struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        let signature = blake3::keyed_hash(&self.0, data);
        let length = signature_out.len().min(signature.as_bytes().len());
        signature_out[..length].copy_from_slice(&signature.as_bytes()[..length]);
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let signature = <[u8; blake3::OUT_LEN]>::try_from(signature).map_err(|_| CryptoError)?;
        // Compares in constant time.
        if blake3::keyed_hash(&self.0, data) == signature { Ok(()) } else { Err(CryptoError) }
    }
}
