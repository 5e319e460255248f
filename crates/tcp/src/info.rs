//! A snapshot of a path, and what a flow counts.

use alloc::boxed::Box;
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

/// [`Counters`] as a flow keeps them: what hardly ever happens is counted in a box.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) segments_sent: u64,
    pub(crate) segments_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    seldom: Option<Box<Seldom>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Seldom {
    pub(crate) bytes_retransmitted: u64,
    pub(crate) timeouts: u64,
    pub(crate) tail_probes: u64,
    pub(crate) pings_sent: u64,
    pub(crate) spurious_recoveries: u64,
    pub(crate) paws_dropped: u64,
    pub(crate) out_of_window: u64,
    pub(crate) ce_received: u64,
    pub(crate) ecn_reductions: u64,
    pub(crate) challenge_acks: u64,
}

impl Counts {
    /// What hardly ever happens, to be counted.
    pub(crate) fn seldom(&mut self) -> &mut Seldom {
        self.seldom.get_or_insert_default()
    }

    pub(crate) fn counters(&self) -> Counters {
        let Self { segments_sent, segments_received, bytes_sent, bytes_received, seldom } = self;
        let none = Seldom::default();
        let seldom = seldom.as_deref().unwrap_or(&none);
        Counters {
            segments_sent: *segments_sent,
            segments_received: *segments_received,
            bytes_sent: *bytes_sent,
            bytes_received: *bytes_received,
            bytes_retransmitted: seldom.bytes_retransmitted,
            timeouts: seldom.timeouts,
            tail_probes: seldom.tail_probes,
            pings_sent: seldom.pings_sent,
            spurious_recoveries: seldom.spurious_recoveries,
            paws_dropped: seldom.paws_dropped,
            out_of_window: seldom.out_of_window,
            ce_received: seldom.ce_received,
            ecn_reductions: seldom.ecn_reductions,
            challenge_acks: seldom.challenge_acks,
        }
    }
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
