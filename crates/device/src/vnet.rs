//! The virtio-net header that stands before every packet of an offloading TUN interface.
//!
//! ```text
//! flags: u8 | gso_type: u8 | hdr_len: u16 | gso_size: u16 | csum_start: u16 | csum_offset: u16
//! ```
//!
//! Virtual I/O Device (VIRTIO) 1.2, §5.1.6, in the legacy form: the host's byte order, 10 bytes.

use manypath_base::Mss;
use manypath_wire::{Checksum, Datagram};

use crate::headers::{TcpLayout, head, tcp_layout};

/// Length in bytes.
pub(crate) const LEN: usize = 10;

/// The checksum at `csum_start + csum_offset` holds the pseudo-header's sum only.
const NEEDS_CSUM: u8 = 1;
/// The checksum was verified.
const DATA_VALID: u8 = 2;

const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
/// CWR is set, and belongs to the first packet only (RFC 3168 §6.1.2).
const GSO_ECN: u8 = 0x80;

/// Offset of the checksum in a TCP header (RFC 9293 §3.1).
const TCP_CHECKSUM_OFFSET: u16 = 16;

/// The header, decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VnetHeader {
    flags: u8,
    gso_type: u8,
    hdr_len: u16,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
}

impl VnetHeader {
    /// What stands before `datagram`; `None` where it asks for offload and is not TCP.
    pub(crate) fn of(datagram: &Datagram) -> Option<Self> {
        if datagram.checksum == Checksum::Complete && datagram.gso_mss.is_none() {
            return Some(Self::default());
        }
        let layout = tcp_layout(head(datagram))?;
        let (gso_type, gso_size) = match datagram.gso_mss {
            Some(Mss(mss))
                if datagram.len() > usize::from(layout.payload_at) + usize::from(mss) =>
            {
                (gso_type(layout), mss)
            }
            Some(_) | None => (GSO_NONE, 0),
        };
        Some(Self {
            flags: if datagram.checksum == Checksum::Offloaded { NEEDS_CSUM } else { 0 },
            gso_type,
            hdr_len: layout.payload_at,
            gso_size,
            csum_start: layout.tcp_at,
            csum_offset: TCP_CHECKSUM_OFFSET,
        })
    }

    /// The same with a link header of `len` bytes before the packet.
    pub(crate) fn behind(self, len: u16) -> Self {
        if self.hdr_len == 0 {
            return self;
        }
        Self { hdr_len: self.hdr_len + len, csum_start: self.csum_start + len, ..self }
    }

    pub(crate) fn emit(self) -> [u8; LEN] {
        let Self { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset } = self;
        let mut out = [flags, gso_type, 0, 0, 0, 0, 0, 0, 0, 0];
        for (i, value) in [hdr_len, gso_size, csum_start, csum_offset].into_iter().enumerate() {
            out[2 + 2 * i..4 + 2 * i].copy_from_slice(&value.to_ne_bytes());
        }
        out
    }

    pub(crate) fn parse(bytes: [u8; LEN]) -> Self {
        let word = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Self {
            flags: bytes[0],
            gso_type: bytes[1],
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        }
    }

    /// MSS of a super-segment that was received.
    pub(crate) fn gso_mss(self) -> Option<Mss> {
        let tcp = matches!(self.gso_type & !GSO_ECN, GSO_TCPV4 | GSO_TCPV6);
        (tcp && self.gso_size > 0).then_some(Mss(self.gso_size))
    }

    /// What is known of the checksum of a packet that was received. One with a partial checksum
    /// comes from this host and never was on a wire.
    pub(crate) fn checksum(self) -> Checksum {
        if self.flags & (NEEDS_CSUM | DATA_VALID) == 0 {
            Checksum::Complete
        } else {
            Checksum::Offloaded
        }
    }
}

fn gso_type(layout: TcpLayout) -> u8 {
    let version = if layout.v6 { GSO_TCPV6 } else { GSO_TCPV4 };
    if layout.cwr { version | GSO_ECN } else { version }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn datagram(payload: usize, mss: u16, checksum: Checksum) -> Datagram {
        let mut header = smallvec::SmallVec::from_elem(0, 52);
        (header[0], header[9], header[32]) = (0x45, 6, 0x80);
        let payload = Bytes::from(vec![0; payload]).into();
        Datagram { header, payload, gso_mss: Some(Mss(mss)), checksum }
    }

    #[test]
    fn a_super_segment_is_described_and_read_back() {
        let header = VnetHeader::of(&datagram(5000, 1448, Checksum::Offloaded)).expect("is TCP");
        let expected = VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: GSO_TCPV4,
            hdr_len: 52,
            gso_size: 1448,
            csum_start: 20,
            csum_offset: 16,
        };
        assert_eq!(header, expected);
        assert_eq!(VnetHeader::parse(header.emit()), expected);
        assert_eq!(expected.gso_mss(), Some(Mss(1448)));
        assert_eq!(expected.checksum(), Checksum::Offloaded);
    }

    #[test]
    fn what_fits_one_packet_is_no_super_segment() {
        let header = VnetHeader::of(&datagram(1448, 1448, Checksum::Offloaded)).expect("is TCP");
        assert_eq!((header.gso_type, header.gso_mss()), (GSO_NONE, None));
    }

    #[test]
    fn a_complete_packet_needs_no_parsing() {
        let icmp = Datagram { payload: Bytes::from_static(&[0x45]).into(), ..Datagram::default() };
        assert_eq!(VnetHeader::of(&icmp), Some(VnetHeader::default()));
    }
}
