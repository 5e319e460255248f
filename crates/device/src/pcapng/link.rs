//! Link-layer headers, as far as they stand before IP packets.

use bytes::Bytes;

/// Raw IP: what this project writes.
pub(super) const LINKTYPE_RAW: u16 = 101;
const LINKTYPE_ETHERNET: u16 = 1;
const LINKTYPE_LINUX_SLL: u16 = 113;
const LINKTYPE_IPV4: u16 = 228;
const LINKTYPE_IPV6: u16 = 229;
const LINKTYPE_LINUX_SLL2: u16 = 276;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// IEEE 802.1Q, 802.1ad, and what came before 802.1ad.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// The IP packet in a frame, without the link's padding; `None` if it is no IP packet, or the
/// link type is not known.
pub(super) fn ip_packet(link_type: u16, frame: &Bytes) -> Option<Bytes> {
    let packet = match link_type {
        LINKTYPE_RAW | LINKTYPE_IPV4 | LINKTYPE_IPV6 => frame.clone(),
        LINKTYPE_ETHERNET => behind_ethertype(frame, 12, 14)?,
        LINKTYPE_LINUX_SLL => behind_ethertype(frame, 14, 16)?,
        LINKTYPE_LINUX_SLL2 => behind_ethertype(frame, 0, 20)?,
        _ => return None,
    };
    without_padding(packet)
}

/// What follows a link header of `header` bytes with the EtherType at `at`, and VLAN tags.
fn behind_ethertype(frame: &Bytes, at: usize, header: usize) -> Option<Bytes> {
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let (mut ethertype, mut start) = (word(at)?, header);
    while ETHERTYPES_VLAN.contains(&ethertype) {
        ethertype = word(start + 2)?;
        start += 4;
    }
    let is_ip = ethertype == ETHERTYPE_IPV4 || ethertype == ETHERTYPE_IPV6;
    (is_ip && start <= frame.len()).then(|| frame.slice(start..))
}

/// Cuts what follows the end of the IP packet. A length of 0 stands for a super-segment longer
/// than the field can say.
fn without_padding(packet: Bytes) -> Option<Bytes> {
    let word =
        |at: usize| Some(usize::from(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?])));
    let len = match packet.first()? >> 4 {
        4 => word(2).unwrap_or(0),
        6 => word(4).filter(|&len| len > 0).map_or(0, |len| len + 40),
        _ => return None,
    };
    Some(if len == 0 { packet } else { packet.slice(..len.min(packet.len())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: [u8; 4] = [0x45, 0, 0, 4];

    fn frame(parts: &[&[u8]]) -> Bytes {
        Bytes::from(parts.concat())
    }

    #[test]
    fn every_link_type_is_stripped_to_the_ip_packet() {
        let tag: &[u8] = &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0];
        let cases: [(&str, u16, Bytes); 7] = [
            ("raw", 101, frame(&[&IP])),
            ("IPv4", 228, frame(&[&IP])),
            ("Ethernet", 1, frame(&[&[0; 12], &[8, 0], &IP])),
            ("Ethernet with padding", 1, frame(&[&[0; 12], &[8, 0], &IP, &[0; 26]])),
            ("Ethernet with two VLAN tags", 1, frame(&[&[0; 12], tag, &IP])),
            ("cooked", 113, frame(&[&[0; 14], &[8, 0], &IP])),
            ("cooked, version 2", 276, frame(&[&[8, 0], &[0; 18], &IP])),
        ];
        for (name, link_type, frame) in cases {
            assert_eq!(ip_packet(link_type, &frame).as_deref(), Some(&IP[..]), "{name}");
        }
    }

    #[test]
    fn what_is_not_ip_is_nothing() {
        assert_eq!(ip_packet(1, &frame(&[&[0; 12], &[8, 6], &[0; 28]])), None, "ARP");
        assert_eq!(ip_packet(1, &frame(&[&[0; 12], &[8]])), None, "half an EtherType");
        assert_eq!(ip_packet(1, &frame(&[&[0; 12], &[0x81, 0], &[0; 3]])), None, "half a tag");
        assert_eq!(ip_packet(220, &frame(&[&IP])), None, "USB");
        assert_eq!(ip_packet(101, &Bytes::new()), None, "empty");
    }
}
