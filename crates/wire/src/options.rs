//! The TCP options of one segment, parsed afresh for each segment.

use core::ops::Range;

use manypath_base::SeqNum;
use smallvec::SmallVec;

use crate::MptcpOptions;

/// The timestamps option (RFC 7323 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the last TSval that the sender saw; meaningful with ACK.
    pub echo: u32,
}

/// Up to four SACK blocks (RFC 2018 §3); the first may be a D-SACK (RFC 2883).
pub type SackBlocks = SmallVec<[Range<SeqNum>; 4]>;

/// The user timeout option (RFC 5482 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserTimeout {
    /// Whether `value` counts minutes instead of seconds.
    pub minutes: bool,
    /// The timeout, 15 bits.
    pub value: u16,
}

/// An option that the stack does not know, kept so that it can be shown and sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOption {
    /// Kind.
    pub kind: u8,
    /// What follows kind and length.
    pub body: SmallVec<[u8; 38]>,
}

/// The options of one segment. Where an option stands twice, the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Maximum segment size (RFC 9293 §3.2), only on SYN.
    pub mss: Option<u16>,
    /// Window scale shift (RFC 7323 §2.2), only on SYN.
    pub window_scale: Option<u8>,
    /// SACK permitted (RFC 2018 §2), only on SYN.
    pub sack_permitted: bool,
    /// Timestamps (RFC 7323 §3.2).
    pub timestamps: Option<Timestamps>,
    /// SACK blocks (RFC 2018 §3).
    pub sack: SackBlocks,
    /// User timeout (RFC 5482).
    pub user_timeout: Option<UserTimeout>,
    /// Fast Open cookie, empty to ask for one (RFC 7413 §4.1.1).
    pub fast_open: Option<SmallVec<[u8; 16]>>,
    /// MPTCP (RFC 8684 §3).
    pub mptcp: MptcpOptions,
    /// Options that the stack does not know.
    pub unknown: SmallVec<[UnknownOption; 0]>,
}
