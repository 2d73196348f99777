//! Every bound on a link, in one place, with its arithmetic.

use std::time::Duration;

/// A kibibyte.
const KIB: u32 = 1 << 10;
/// A mebibyte.
const MIB: u32 = 1 << 20;

/// What a receiver of pushes grants above the sum of its stream windows, so that unread bulk never stalls the control
/// stream or a critical lane.
pub const SPARE_WINDOW: u32 = MIB;

/// Bounds of one end of a link.
///
/// The memory that one link can take at this end is at most `connection_window_max` (bytes that arrived and nobody has
/// read), `held_bytes_max` (frames handed to the caller and not yet dropped) and a seventh of `send_window` (bytes that wait
/// for acknowledgement are shared slices, not copies; what QUIC remembers of each packet is not). The first two are counted
/// against the node's [`crate::budget::Budget`], as bytes arrive: of a body on its way in, at most twice what has come of it
/// and 4 KiB, and never more than 1 MiB beyond it. (An allocator that cannot extend a buffer in its place has the copy beside
/// it for as long as copying takes.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkLimits {
    /// Bytes of one document, the body of a frame. Said in Hello.
    pub document_bytes_max: u32,
    /// Bytes of frame bodies that one link may hold in memory: one largest document and a window of pushed items. A
    /// sixteenth is kept for short bodies (72 MiB: 4.5 MiB; see [`crate::budget::body_bytes_max`]), so that replies and
    /// requests never wait behind a long document.
    pub held_bytes_max: u32,
    /// Bidirectional streams that the peer may have open: exchanges and, at a server, the control stream among them.
    pub streams_bidi: u32,
    /// Unidirectional streams that the peer may have open. A server takes none: lanes only go down.
    pub streams_uni: u32,
    /// Unread bytes of one stream.
    pub stream_window: u32,
    /// Unread bytes of the connection at its start.
    pub connection_window: u32,
    /// To what the connection's window may be raised for long documents, while the budget allows.
    pub connection_window_max: u32,
    /// Bytes given to the transport and not yet acknowledged. The critical lane and the control stream share 64 KiB more, so
    /// that they do not wait for what is less urgent.
    pub send_window: u32,
    /// What links of a port that have more to send than that may have under way together, divided evenly, and at least 32 KiB
    /// each. When many begin at the same moment, the first of them have more until it is acknowledged.
    pub send_window_of_all: u32,
    /// Silence after which a link is lost.
    pub idle_timeout: Duration,
    /// How often this end breaks the silence. The end that dials does, also to keep its NAT mapping.
    pub keep_alive: Option<Duration>,
    /// From the first packet to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From there to the peer's Hello.
    pub hello_timeout: Duration,
    /// From an exchange's first byte to its whole document, and to the end of the stream after it. A long document has
    /// a second more for each [`LinkLimits::rate_min`] bytes.
    pub exchange_timeout: Duration,
    /// How long an exchange's opener waits for the next frame of the answer.
    pub reply_timeout: Duration,
    /// From a frame's first byte to its last, on any stream; with the same allowance for length.
    pub frame_timeout: Duration,
    /// How long a frame that has begun may wait for room in the node's [`crate::budget::Budget`], at each step of its
    /// growth. Then it is given up, so that frames that are half here never wait for each other for ever.
    pub room_timeout: Duration,
    /// Bytes a second below which a sender counts as stalled.
    pub rate_min: u32,
    /// Handshakes in progress at once; more are refused.
    pub handshakes_max: usize,
    /// Handshakes in progress above which an address must prove itself first (QUIC Retry).
    pub handshakes_unproven_max: usize,
    /// Connection attempts that wait to be looked at.
    pub incoming_max: usize,
    /// How fast this end sends when packets are lost.
    pub congestion: Congestion,
    /// What the kernel is asked to buffer for a UDP socket, each way; it may grant less.
    pub socket_buffer_bytes: usize,
    /// Sockets on which a server's port listens, each with a task of its own, at least 1. Who dials has one.
    pub sockets: u8,
}

/// What a sender takes for congestion, and what it does then. It concerns the sender alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Congestion {
    /// A lost packet is congestion (RFC 9438).
    #[default]
    Cubic,
    /// The same, and slower to recover (RFC 9002).
    NewReno,
    /// A rate and a round-trip time that grow no more are congestion; lost packets mean little.
    Bbr,
}

impl LinkLimits {
    /// Who dials with a device: 256 KiB a stream.
    ///
    /// Connection window: (8 bidirectional + 8 unidirectional inbound + 8 own bidirectional, control stream included)
    /// × 256 KiB + 1 MiB = 7 MiB.
    pub fn device() -> Self {
        Self::dialling(256 * KIB, MIB)
    }

    /// Who dials on a trunk (a local server, a provider): 8 MiB a stream.
    ///
    /// Connection window: 24 × 8 MiB + 1 MiB = 193 MiB.
    pub fn trunk() -> Self {
        Self::dialling(8 * MIB, 16 * MIB)
    }

    /// Who listens: 64 KiB for the connection, whatever its streams; raised to at most 8 MiB while a long document
    /// comes, by as much as has come of it.
    pub fn server() -> Self {
        Self {
            streams_uni: 0,
            stream_window: 8 * MIB,
            connection_window: 64 * KIB,
            connection_window_max: 8 * MIB,
            keep_alive: None,
            socket_buffer_bytes: 4 << 20,
            ..Self::dialling(8 * MIB, MIB)
        }
    }

    fn dialling(stream_window: u32, send_window: u32) -> Self {
        let (streams_bidi, streams_uni) = (8, 8);
        let connection_window = push_window(streams_bidi, streams_uni, stream_window);
        Self {
            document_bytes_max: 64 * MIB,
            held_bytes_max: 72 * MIB,
            streams_bidi,
            streams_uni,
            stream_window,
            connection_window,
            connection_window_max: connection_window,
            send_window,
            send_window_of_all: 512 * MIB,
            // Three keep-alives may be lost before a living link is taken for dead.
            idle_timeout: Duration::from_secs(30),
            keep_alive: Some(Duration::from_secs(8)),
            handshake_timeout: Duration::from_secs(10),
            hello_timeout: Duration::from_secs(10),
            exchange_timeout: Duration::from_secs(30),
            reply_timeout: Duration::from_secs(60),
            frame_timeout: Duration::from_secs(30),
            room_timeout: Duration::from_secs(10),
            rate_min: 16 * KIB,
            handshakes_max: 256,
            handshakes_unproven_max: 64,
            incoming_max: 1024,
            congestion: Congestion::default(),
            socket_buffer_bytes: MIB as usize,
            sockets: 1,
        }
    }

    /// The time that a body of so many bytes may take beyond `base`.
    pub(crate) fn allowance(&self, base: Duration, bytes: u32) -> Duration {
        base + Duration::from_secs(u64::from(bytes / self.rate_min.max(1)))
    }
}

/// The connection window of who receives pushes: every stream that can carry bytes towards it, full and unread (the
/// peer's streams of both kinds, and as many bidirectional ones of its own), and a spare mebibyte.
pub fn push_window(streams_bidi: u32, streams_uni: u32, stream_window: u32) -> u32 {
    (2 * streams_bidi + streams_uni).saturating_mul(stream_window).saturating_add(SPARE_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_of_pushes_grants_more_than_its_streams_can_fill() {
        assert_eq!(LinkLimits::device().connection_window, 7 * MIB);
        assert_eq!(LinkLimits::trunk().connection_window, 193 * MIB);
    }

    #[test]
    fn a_server_starts_a_device_at_64_kib() {
        assert_eq!(LinkLimits::server().connection_window, 64 * KIB);
    }

    #[test]
    fn a_long_document_has_more_time() {
        let limits = LinkLimits::device();
        assert_eq!(limits.allowance(Duration::from_secs(1), 0), Duration::from_secs(1));
        assert_eq!(limits.allowance(Duration::from_secs(1), 160 * KIB), Duration::from_secs(11));
    }
}
