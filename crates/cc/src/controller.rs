//! The contract between a path and its congestion controller.

use core::fmt;
use core::time::Duration;

use manypath_base::{Instant, Mss, PathId, Rate};

/// What a controller is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Largest payload of one packet.
    pub mss: Mss,
    /// Initial congestion window in bytes (RFC 6928: min(10 MSS, max(2 MSS, 14,600))).
    pub initial_window: u32,
}

impl Config {
    /// The initial window of RFC 6928 §2 for this MSS.
    #[must_use]
    pub fn new(mss: Mss) -> Self {
        let m = mss.bytes();
        Self { mss, initial_window: (10 * m).min((2 * m).max(14_600)) }
    }
}

/// One acknowledgment of new data, after the scoreboard took it in.
#[derive(Clone, Copy, Debug)]
pub struct AckSample {
    /// When it came.
    pub now: Instant,
    /// The path it is about; its row in `flows` has this id.
    pub path: PathId,
    /// Bytes newly acknowledged, cumulatively or selectively.
    pub acked: u32,
    /// Bytes delivered on the path so far, these included.
    pub delivered: u64,
    /// Bytes found lost on the path so far.
    pub lost: u64,
    /// Bytes that were in flight when the first of what is newly found lost was sent, itself
    /// included.
    pub lost_flight: Option<u32>,
    /// Bytes in flight on the path before this acknowledgment.
    pub prior_in_flight: u32,
    /// Bytes in flight on the path after it.
    pub in_flight: u32,
    /// The newest round-trip time sample, if this acknowledgment gave one.
    pub rtt: Option<Duration>,
    /// Smoothed round-trip time.
    pub srtt: Duration,
    /// Smallest round-trip time seen.
    pub min_rtt: Duration,
    /// Whether this is the first acknowledgment of a new round trip.
    pub round_start: bool,
    /// Whether the window, and not the application or the peer's window, limited sending; where
    /// not, the window must not grow (RFC 9293 §3.8.2, RFC 7661).
    pub cwnd_limited: bool,
    /// Whether these bytes were sent while there was not always something to send, so that the
    /// rate of delivery may be the application's and not the path's.
    pub app_limited: bool,
    /// Rate at which the bytes of this acknowledgment were delivered, if known.
    pub delivery_rate: Option<Rate>,
    /// The peer is on this host, or on one beside it: there is no link whose queue would fill.
    pub beside: bool,
}

/// One path of a connection, as every coupled controller of the connection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowView {
    /// Which path.
    pub path: PathId,
    /// Its congestion window in bytes.
    pub cwnd: u32,
    /// Its smoothed round-trip time; zero before the first sample.
    pub srtt: Duration,
    /// Largest payload of one packet.
    pub mss: Mss,
    /// Bytes acknowledged since its last loss.
    pub since_loss: u64,
    /// Bytes acknowledged between its last two losses.
    pub between_losses: u64,
}

/// A sign of congestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Packets were lost (RFC 5681 §3.2). Sent once an episode, not once a packet.
    Loss,
    /// The peer echoed a congestion-experienced mark (RFC 3168, RFC 8511).
    Ecn,
    /// The retransmission timer expired (RFC 5681 §3.1).
    Timeout,
}

/// Decides how many bytes one path may have in flight. Pure: no clock, no I/O, no sharing.
pub trait Controller: fmt::Debug + Send {
    /// The name users select it by, as in `--cc`.
    fn name(&self) -> &'static str;

    /// New data was acknowledged, outside of loss recovery or where
    /// [`Controller::governs_recovery`]. `flows` is a read-only view of every
    /// path, this one included, so a coupled algorithm (RFC 6356) needs no shared mutable state.
    fn on_ack(&mut self, ack: &AckSample, flows: &[FlowView]);

    /// Whether window and pace hold within loss recovery too, and [`Controller::on_ack`] hears of what
    /// is acknowledged there: for algorithms that measure, and answer to each loss by themselves. For
    /// others recovery is metered by what is delivered (RFC 6937).
    fn governs_recovery(&self) -> bool {
        false
    }

    /// Congestion. `in_flight` are the bytes outstanding when it was found. After it returns,
    /// [`Controller::ssthresh`] is the new target; after [`Signal::Timeout`] the window is one
    /// segment.
    fn on_signal(&mut self, now: Instant, signal: Signal, in_flight: u32, flows: &[FlowView]);

    /// The last signal was spurious: take its reduction back (RFC 4015 §3.2, RFC 5682).
    fn on_spurious(&mut self);

    /// The path was idle for longer than its retransmission timeout (RFC 9293 §3.8.2).
    fn on_idle(&mut self);

    /// More than one SYN was sent in vain: the window before anything is acknowledged is one segment
    /// (RFC 6928 §2). For algorithms that begin with a window.
    fn on_lossy_handshake(&mut self) {}

    /// The largest payload of one packet changed: SMSS of RFC 5681 §2, without options.
    fn set_mss(&mut self, mss: Mss);

    /// Bytes that may be in flight; never below one segment.
    fn cwnd(&self) -> u32;

    /// Slow-start threshold in bytes; `u32::MAX` before the first signal.
    fn ssthresh(&self) -> u32;

    /// How fast to send, where the algorithm paces; `None` sends as acknowledgments come.
    fn pacing_rate(&self) -> Option<Rate> {
        None
    }

    /// Halves the window because this path blocks the shared receive window: penalisation
    /// (Raiciu et al., NSDI 2012 §4.2). In slow start the threshold stays.
    fn penalise(&mut self);
}
