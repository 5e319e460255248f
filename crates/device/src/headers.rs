//! Where the headers of an outgoing TCP packet lie: as much as the virtio-net header asks for.
//!
//! **Leaves out** everything else about packets: that is the wire crate's.

use std::iter;
use std::net::IpAddr;

use manypath_wire::Datagram;

const PROTOCOL_TCP: u8 = 6;
/// Hop-by-hop, routing and destination options (RFC 8200 §4.1); each has its own length field.
const V6_EXTENSIONS: [u8; 3] = [0, 43, 60];
/// CWR (RFC 3168 §6.1.2) among the flags of byte 13 of the TCP header.
const FLAG_CWR: u8 = 0x80;

/// Offsets in bytes from the start of the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpLayout {
    /// Whether the packet is IPv6.
    pub(crate) v6: bool,
    /// Where the TCP header begins.
    pub(crate) tcp_at: u16,
    /// Where the TCP payload begins.
    pub(crate) payload_at: u16,
    /// Whether the CWR flag is set: it belongs to the first packet of a super-segment only.
    pub(crate) cwr: bool,
}

/// The contiguous bytes at the start of the packet, which hold its headers.
pub(crate) fn head(datagram: &Datagram) -> &[u8] {
    if datagram.header.is_empty() {
        datagram.payload.chunks().first().map_or(&[], |chunk| chunk)
    } else {
        &datagram.header
    }
}

/// All pieces of the packet in order, the header first.
pub(crate) fn pieces(datagram: &Datagram) -> impl Iterator<Item = &[u8]> {
    let payload = datagram.payload.chunks().iter().map(|chunk| &chunk[..]);
    iter::once(&datagram.header[..]).filter(|h| !h.is_empty()).chain(payload)
}

/// Where the packet goes; `None` if it is no IP packet, or too short.
pub(crate) fn destination(datagram: &Datagram) -> Option<IpAddr> {
    let head = head(datagram);
    match head.first()? >> 4 {
        4 => head.get(16..)?.first_chunk::<4>().map(|&addr| addr.into()),
        6 => head.get(24..)?.first_chunk::<16>().map(|&addr| addr.into()),
        _ => None,
    }
}

/// Finds the TCP header; `None` if this is not TCP or ends too early.
pub(crate) fn tcp_layout(head: &[u8]) -> Option<TcpLayout> {
    let v6 = head.first()? >> 4 == 6;
    let tcp_at = if v6 { tcp_in_v6(head)? } else { tcp_in_v4(head)? };
    let offset = usize::from(head.get(tcp_at + 12)? >> 4) * 4;
    let cwr = head.get(tcp_at + 13)? & FLAG_CWR != 0;
    let payload_at = u16::try_from(tcp_at + offset).ok()?;
    Some(TcpLayout { v6, tcp_at: u16::try_from(tcp_at).ok()?, payload_at, cwr })
}

fn tcp_in_v4(head: &[u8]) -> Option<usize> {
    let is_tcp = head.first()? >> 4 == 4 && *head.get(9)? == PROTOCOL_TCP;
    is_tcp.then_some(usize::from(head[0] & 0xf) * 4)
}

fn tcp_in_v6(head: &[u8]) -> Option<usize> {
    let (mut next, mut at) = (*head.get(6)?, 40);
    while V6_EXTENSIONS.contains(&next) {
        next = *head.get(at)?;
        at += (usize::from(*head.get(at + 1)?) + 1) * 8;
    }
    (next == PROTOCOL_TCP).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(protocol: u8, flags: u8) -> Vec<u8> {
        let mut packet = vec![0; 52];
        (packet[0], packet[9], packet[32], packet[33]) = (0x45, protocol, 0x80, flags);
        packet
    }

    #[test]
    fn tcp_behind_ipv4_is_found_and_udp_is_not() {
        let layout = TcpLayout { v6: false, tcp_at: 20, payload_at: 52, cwr: true };
        assert_eq!(tcp_layout(&v4(6, 0x90)), Some(layout));
        assert_eq!(tcp_layout(&v4(17, 0)), None);
    }

    #[test]
    fn extension_headers_are_walked() {
        let mut packet = vec![0; 40 + 16 + 20];
        (packet[0], packet[6]) = (0x60, 60);
        (packet[40], packet[41], packet[56 + 12]) = (6, 1, 0x50);
        let layout = TcpLayout { v6: true, tcp_at: 56, payload_at: 76, cwr: false };
        assert_eq!(tcp_layout(&packet), Some(layout));
    }

    #[test]
    fn no_prefix_of_a_packet_panics() {
        let packet = v4(6, 0);
        assert!((0..34).all(|n| tcp_layout(&packet[..n]).is_none()));
    }
}
