//! What a flow is told at birth.

use alloc::boxed::Box;
use core::time::Duration;

use manypath_base::{Mss, PathId};
use manypath_cc::Controller;

use crate::{EcnMode, Keepalive, UserTimeoutLimits};

/// Settings of one flow. All have defaults that suit the public Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Offer and use SACK (RFC 2018).
    pub sack: bool,
    /// Offer and use timestamps (RFC 7323).
    pub timestamps: bool,
    /// Offer and use window scaling (RFC 7323).
    pub window_scale: bool,
    /// Explicit congestion notification (RFC 3168).
    pub ecn: EcnMode,
    /// Bytes of the receive buffer at first; it grows as the application reads.
    pub recv_buffer: u32,
    /// Largest receive buffer in bytes; it decides the window scale.
    pub recv_buffer_max: u32,
    /// How long an acknowledgment may wait. RFC 9293 §3.8.6.3 allows 500 ms; **Choice:** 40 ms,
    /// as Linux, since every millisecond here is one more in the sender's retransmission timer.
    pub delayed_ack: Duration,
    /// Smallest retransmission timeout. **Differs** from RFC 6298 (2.4), which says 1 second:
    /// 200 ms, as every common system has it, because spurious timeouts are undone.
    pub min_rto: Duration,
    /// Retransmissions of a SYN before the attempt fails: the last wait ends three minutes after
    /// the first SYN (RFC 9293 §3.8.3, MUST-23).
    pub syn_retries: u8,
    /// How long data may stay unacknowledged before the flow is given up (RFC 9293 §3.8.3, R2).
    pub user_timeout: Duration,
    /// Tell the peer the user timeout, and follow the peer's within limits (RFC 5482). Off by
    /// default (§3, `ENABLED`).
    pub user_timeout_option: Option<UserTimeoutLimits>,
    /// Probe the peer while the flow is idle (RFC 9293 §3.8.4). Off by default (MUST-25).
    pub keepalive: Option<Keepalive>,
    /// Maximum segment lifetime: TIME-WAIT lasts twice as long (RFC 9293 §3.4.2). **Choice:**
    /// 30 seconds, as common systems have it.
    pub msl: Duration,
    /// Differentiated services code point of every packet, 6 bits (RFC 9293 §3.9.1.9, MUST-48);
    /// [`crate::Flow::set_dscp`] changes it.
    pub dscp: u8,
    /// Time to live, or hop limit, of every packet (RFC 9293 §3.9.2, MUST-49).
    pub hop_limit: u8,
    /// Spread new data over the round trip.
    pub pacing: bool,
    /// Hold back small segments while data is in flight (RFC 9293 §3.7.4).
    pub nagle: bool,
    /// Largest super-segment in payload bytes; 1 makes every segment fit one packet.
    pub max_burst: u32,
    /// Bytes that may be in flight to a peer beside this host, whatever fills the path to it: what
    /// a cache of both holds. **Choice:** 2 MB, as less does not last while a thread waits for a
    /// processor.
    pub near_flight: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sack: true,
            timestamps: true,
            window_scale: true,
            ecn: EcnMode::default(),
            recv_buffer: 1 << 20,
            recv_buffer_max: 32 << 20,
            delayed_ack: Duration::from_millis(40),
            min_rto: Duration::from_millis(200),
            syn_retries: 7,
            user_timeout: Duration::from_secs(300),
            user_timeout_option: None,
            keepalive: None,
            msl: Duration::from_secs(30),
            dscp: 0,
            hop_limit: 64,
            pacing: true,
            nagle: true,
            // An IP packet of at most 65,500 bytes with the longest headers.
            max_burst: 65_500 - 100,
            near_flight: 2 << 20,
        }
    }
}

/// One path of a flow.
#[derive(Debug)]
pub struct PathConfig {
    /// The caller's name for it.
    pub id: PathId,
    /// Largest payload of one packet without TCP options: the interface's MTU less the IP and TCP
    /// headers.
    pub mss: Mss,
    /// How much it may carry.
    pub controller: Box<dyn Controller>,
}
