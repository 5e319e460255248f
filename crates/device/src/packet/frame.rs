//! Ethernet frames: what stands before a packet (IEEE 802.3, RFC 894, RFC 2464).

use crate::Mac;

/// Length of the link header in bytes.
pub(super) const LEN: usize = 14;
/// Where the type stands.
pub(super) const TYPE_AT: usize = 12;

/// Types of frames.
pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV6: u16 = 0x86dd;

pub(super) const BROADCAST: Mac = Mac([0xff; 6]);

/// A link header.
pub(super) fn header(dst: Mac, src: Mac, kind: u16) -> [u8; LEN] {
    let mut header = [0; LEN];
    header[..6].copy_from_slice(&dst.0);
    header[6..TYPE_AT].copy_from_slice(&src.0);
    header[TYPE_AT..].copy_from_slice(&kind.to_be_bytes());
    header
}

/// The type of a frame and what it carries; `None` if it is too short.
pub(super) fn parse(frame: &[u8]) -> Option<(u16, &[u8])> {
    let (header, body) = frame.split_at_checked(LEN)?;
    Some((u16::from_be_bytes([header[TYPE_AT], header[TYPE_AT + 1]]), body))
}
