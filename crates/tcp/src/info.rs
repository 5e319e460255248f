//! A snapshot of a path, and what a flow counts.

use core::time::Duration;

use manypath_base::{Mss, PathId, Rate};

/// How a path does at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// Which path.
    pub id: PathId,
    /// Smoothed round-trip time; zero before the first sample.
    pub srtt: Duration,
    /// Mean deviation of the round-trip time.
    pub rtt_var: Duration,
    /// Smallest round-trip time seen.
    pub min_rtt: Duration,
    /// Retransmission timeout, backed off.
    pub rto: Duration,
    /// Congestion window in bytes.
    pub cwnd: u32,
    /// Slow-start threshold in bytes; `u32::MAX` before the first loss.
    pub ssthresh: u32,
    /// Bytes in flight.
    pub in_flight: u32,
    /// Payload of one packet without options.
    pub mss: Mss,
    /// Rate of delivery, as last measured.
    pub rate: Rate,
    /// Bytes sent, retransmissions included.
    pub sent: u64,
    /// Bytes sent on it that had been sent before, on whatever path.
    pub retransmitted: u64,
    /// Bytes delivered.
    pub delivered: u64,
    /// Bytes that were found lost.
    pub lost: u64,
    /// Whether nothing came back for so long that data goes elsewhere.
    pub suspect: bool,
    /// Whether the retransmission timer expired and nothing has come since.
    pub failed: bool,
    /// Whether it may carry data: of several paths of one flow each must be proven first, and may
    /// be barred later.
    pub usable: bool,
}

/// What a flow counts over its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Segments sent, a super-segment once.
    pub segments_sent: u64,
    /// Segments received, a super-segment once.
    pub segments_received: u64,
    /// Payload bytes sent, retransmissions included.
    pub bytes_sent: u64,
    /// Payload bytes received in order.
    pub bytes_received: u64,
    /// Payload bytes sent again.
    pub bytes_retransmitted: u64,
    /// Expired retransmission timers.
    pub timeouts: u64,
    /// Tail loss probes sent (RFC 8985 §7).
    pub tail_probes: u64,
    /// Pings of paths sent (a byte that was acknowledged before).
    pub pings_sent: u64,
    /// Recovery episodes that proved spurious and were undone.
    pub spurious_recoveries: u64,
    /// Segments dropped by PAWS (RFC 7323 §5).
    pub paws_dropped: u64,
    /// Segments outside the window.
    pub out_of_window: u64,
    /// Data segments received that were marked for congestion (RFC 3168).
    pub ce_received: u64,
    /// Reductions of the window because the peer echoed a mark (RFC 3168 §6.1.2).
    pub ecn_reductions: u64,
    /// Challenge acknowledgments sent (RFC 5961).
    pub challenge_acks: u64,
}
