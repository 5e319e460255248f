//! Questions and answers about link addresses in IPv6: neighbour solicitations and advertisements
//! (RFC 4861 §4.3, §4.4).
//!
//! **Leaves out** routers, prefixes, redirects and duplicate addresses: those are the kernel's.

use std::net::Ipv6Addr;

use manypath_wire::Sum;

use super::frame;
use crate::Mac;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const ICMPV6: u8 = 58;
/// Who has another hop limit came over a router (RFC 4861 §7.1).
const HOP_LIMIT: u8 = 255;
const OPTION_SOURCE: u8 = 1;
const OPTION_TARGET: u8 = 2;
/// An answer to a question, and one that replaces what was known (RFC 4861 §4.4).
const SOLICITED_OVERRIDE: u8 = 0x60;
const HEADER: usize = 40;
/// Type, code, checksum, flags and the address that it is about.
const MESSAGE: usize = 24;

/// A solicitation or an advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// Whether it asks.
    pub(super) asks: bool,
    /// Who speaks.
    pub(super) src: Ipv6Addr,
    /// The address that it is about.
    pub(super) target: Ipv6Addr,
    /// The link address that it tells: of whoever asks, or of the target.
    pub(super) mac: Option<Mac>,
}

/// The group that hears questions about `addr` (RFC 4291 §2.7.1).
pub(super) fn solicited_node(addr: Ipv6Addr) -> Ipv6Addr {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).to_bits();
    Ipv6Addr::from_bits(group | (addr.to_bits() & 0xff_ffff))
}

impl Neighbour {
    /// `None` if the packet is something else, or not as RFC 4861 §7.1 has it.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let (header, rest) = packet.split_at_checked(HEADER)?;
        if header[6] != ICMPV6 || header[7] != HOP_LIMIT {
            return None;
        }
        let message = rest.get(..usize::from(u16::from_be_bytes([header[4], header[5]])))?;
        let (fixed, options) = message.split_at_checked(MESSAGE)?;
        let asks = match (fixed[0], fixed[1]) {
            (SOLICITATION, 0) => true,
            (ADVERTISEMENT, 0) => false,
            _ => return None,
        };
        let (&src, dst) = header[8..].split_first_chunk::<16>()?;
        if checksum(src, *dst.first_chunk::<16>()?, message) != 0 {
            return None;
        }
        let target = Ipv6Addr::from(*fixed[8..].first_chunk::<16>()?);
        let mac = link_address(options, if asks { OPTION_SOURCE } else { OPTION_TARGET });
        Some(Self { asks, src: src.into(), target, mac })
    }

    /// The whole frame that says it: to `to`, or as a question to the group of its target.
    pub(super) fn frame(&self, own: Mac, to: Option<(Mac, Ipv6Addr)>) -> Vec<u8> {
        let (dst_mac, dst) = to.unwrap_or_else(|| {
            let group = solicited_node(self.target);
            let [.., a, b, c, d] = group.octets();
            (Mac([0x33, 0x33, a, b, c, d]), group)
        });
        let (kind, flags, option) = match self.asks {
            true => (SOLICITATION, 0, OPTION_SOURCE),
            false => (ADVERTISEMENT, SOLICITED_OVERRIDE, OPTION_TARGET),
        };
        let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
        message.extend(self.target.octets());
        if let Some(mac) = self.mac {
            message.extend([option, 1]);
            message.extend(mac.0);
        }
        let sum = checksum(self.src.octets(), dst.octets(), &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let len = u16::try_from(message.len()).expect("a few bytes").to_be_bytes();
        let link = frame::header(dst_mac, own, frame::IPV6);
        let ip = [0x60, 0, 0, 0, len[0], len[1], ICMPV6, HOP_LIMIT];
        [&link[..], &ip, &self.src.octets(), &dst.octets(), &message].concat()
    }
}

/// RFC 4443 §2.3; 0 over a message whose checksum holds.
fn checksum(src: [u8; 16], dst: [u8; 16], message: &[u8]) -> u16 {
    let mut sum = Sum::new();
    sum.add(&src);
    sum.add(&dst);
    sum.add(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    sum.add(&[0, 0, 0, ICMPV6]);
    sum.add(message);
    sum.checksum()
}

/// The link address among the options; one of length 0 ends them (RFC 4861 §4.6).
fn link_address(mut options: &[u8], wanted: u8) -> Option<Mac> {
    loop {
        let &[kind, len, ..] = options else { return None };
        let (option, rest) = options.split_at_checked(usize::from(len) * 8)?;
        if len == 0 {
            return None;
        }
        if kind == wanted {
            return option.get(2..8)?.first_chunk().copied().map(Mac);
        }
        options = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);

    fn addr(text: &str) -> Ipv6Addr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_question_goes_to_the_group_of_its_target() {
        let asks = Neighbour {
            asks: true,
            src: addr("fd00::7"),
            target: addr("fd00::12:3456"),
            mac: Some(MAC),
        };
        let frame = asks.frame(MAC, None);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        let (kind, packet) = frame::parse(&frame).expect("a frame");
        assert_eq!((kind, Neighbour::parse(packet)), (frame::IPV6, Some(asks)));
        assert!((0..packet.len()).all(|n| Neighbour::parse(&packet[..n]).is_none()), "cut short");
    }

    #[test]
    fn what_came_over_a_router_or_is_damaged_is_ignored() {
        let says = Neighbour {
            asks: false,
            src: addr("fd00::1"),
            target: addr("fd00::1"),
            mac: Some(MAC),
        };
        let frame = says.frame(MAC, Some((MAC, addr("fd00::7"))));
        let (_, packet) = frame::parse(&frame).expect("a frame");
        assert_eq!(Neighbour::parse(packet), Some(says));
        for (at, value) in [(7, 64), (HEADER + 2, !packet[HEADER + 2]), (HEADER, 134)] {
            let mut wrong = packet.to_vec();
            wrong[at] = value;
            assert_eq!(Neighbour::parse(&wrong), None, "byte {at}");
        }
    }
}
