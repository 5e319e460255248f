//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers.
//!
//! **Owns** finding the transport header: IPv4 options and IPv6 extension headers are walked and
//! forgotten. **Invariant**: nothing is read beyond the header's own lengths. **Leaves out**
//! fragments, which are refused, and routing headers with segments left, which are a router's.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use manypath_base::len16;

use crate::checksum::checksum;
use crate::{Error, Reader, Writer};

/// Protocol number of TCP.
pub(crate) const TCP: u8 = 6;
/// Protocol number of ICMP for IPv4.
pub(crate) const ICMP_V4: u8 = 1;
/// Protocol number of ICMP for IPv6.
pub(crate) const ICMP_V6: u8 = 58;

/// Length of an IPv4 header without options, in bytes.
pub(crate) const V4_LEN: usize = 20;
/// Length of an IPv6 header without extension headers, in bytes.
pub(crate) const V6_LEN: usize = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Don't fragment: the stack finds the path's MTU itself (RFC 1191), and the identification of
/// a packet that is never cut may be anything (RFC 6864 §4.1).
const DONT_FRAGMENT: u16 = 0x4000;

/// The two ECN bits of the IP header (RFC 3168 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct,
    /// ECN-capable, ECT(1).
    Ect1,
    /// ECN-capable, ECT(0).
    Ect0,
    /// Congestion experienced.
    Ce,
}

impl Ecn {
    fn from_bits(traffic_class: u8) -> Self {
        match traffic_class & 0b11 {
            0b00 => Self::NotEct,
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0b00,
            Self::Ect1 => 0b01,
            Self::Ect0 => 0b10,
            Self::Ce => 0b11,
        }
    }
}

/// What the stack reads and writes of an IP header, for both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same version.
    pub dst: IpAddr,
    /// Congestion notification bits.
    pub ecn: Ecn,
    /// Differentiated services code point, 6 bits.
    pub dscp: u8,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// IPv6 flow label, 20 bits (RFC 6437); 0 with IPv4.
    pub flow_label: u32,
}

/// What an IP header says of that which follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpPayload {
    /// Protocol number.
    pub(crate) protocol: u8,
    /// Where it starts, in bytes from the start of the packet.
    pub(crate) start: usize,
    /// Where it ends: maybe further than there are bytes, if the packet is only quoted.
    pub(crate) end: usize,
}

impl IpHeader {
    /// Reads the header at the start of `bytes`. An IPv4 header's checksum is not verified here.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Self, IpPayload), Error> {
        match bytes.first().ok_or(Error::Truncated)? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => Err(Error::IpVersion),
        }
    }

    // version|IHL, traffic class, total length | identification, flags|fragment offset |
    // TTL, protocol, checksum | source | destination | options (RFC 791 §3.1).
    fn parse_v4(bytes: &[u8]) -> Result<(Self, IpPayload), Error> {
        let mut r = Reader::new(bytes);
        let start = usize::from(r.u8()? & 0x0f) * 4;
        let traffic_class = r.u8()?;
        let end = usize::from(r.u16()?);
        let (_id, fragment) = (r.u16()?, r.u16()?);
        let (hop_limit, protocol) = (r.u8()?, r.u8()?);
        let _checksum = r.u16()?;
        let (src, dst) = (r.array::<4>()?, r.array::<4>()?);
        if start < V4_LEN || end < start {
            return Err(Error::BadLength);
        }
        r.bytes(start - V4_LEN)?;
        if fragment & !DONT_FRAGMENT & 0x7fff != 0 {
            return Err(Error::Fragment);
        }
        let ip = Self::new(src.into(), dst.into(), traffic_class, hop_limit, 0);
        Ok((ip, IpPayload { protocol, start, end }))
    }

    // version|traffic class|flow label | payload length, next header, hop limit | source |
    // destination (RFC 8200 §3).
    fn parse_v6(bytes: &[u8]) -> Result<(Self, IpPayload), Error> {
        let mut r = Reader::new(bytes);
        let first = r.u32()?;
        let end = V6_LEN + usize::from(r.u16()?);
        let (next, hop_limit) = (r.u8()?, r.u8()?);
        let (src, dst) = (r.array::<16>()?, r.array::<16>()?);
        let protocol = skip_extensions(&mut r, next)?;
        let start = bytes.len() - r.len();
        if end < start {
            return Err(Error::BadLength);
        }
        let [traffic_class, ..] = (first << 4).to_be_bytes();
        let ip = Self::new(src.into(), dst.into(), traffic_class, hop_limit, first & 0xf_ffff);
        Ok((ip, IpPayload { protocol, start, end }))
    }

    fn new(src: IpAddr, dst: IpAddr, class: u8, hop_limit: u8, flow_label: u32) -> Self {
        let (ecn, dscp) = (Ecn::from_bits(class), class >> 2);
        Self { src, dst, ecn, dscp, hop_limit, flow_label }
    }

    /// Length of the header that [`IpHeader::emit`] writes.
    pub(crate) fn wire_len(&self) -> usize {
        match self.addrs() {
            Addrs::V4(..) => V4_LEN,
            Addrs::V6(..) => V6_LEN,
        }
    }

    /// The most bytes that may follow the header: IPv4's length counts the header itself.
    pub(crate) fn max_payload(&self) -> usize {
        match self.addrs() {
            Addrs::V4(..) => usize::from(u16::MAX) - V4_LEN,
            Addrs::V6(..) => usize::from(u16::MAX),
        }
    }

    /// Writes the header of a packet with `len` bytes behind it; an IPv4 header with its checksum
    /// and "don't fragment".
    ///
    /// # Errors
    /// [`Error::NoSpace`] if it does not fit.
    pub(crate) fn emit(&self, protocol: u8, len: usize, w: &mut Writer<'_>) -> Result<(), Error> {
        match self.addrs() {
            Addrs::V4(src, dst) => w.bytes(&self.v4(protocol, len, src, dst)?),
            Addrs::V6(src, dst) => self.emit_v6(protocol, len, [src, dst], w),
        }
    }

    fn v4(
        &self,
        protocol: u8,
        len: usize,
        src: Ipv4Addr,
        dst: Ipv4Addr,
    ) -> Result<[u8; V4_LEN], Error> {
        let mut header = [0; V4_LEN];
        let mut w = Writer::new(&mut header);
        w.u8(0x45)?;
        w.u8(self.traffic_class())?;
        w.u16(len16(V4_LEN + len))?;
        w.u16(0)?;
        w.u16(DONT_FRAGMENT)?;
        w.u8(self.hop_limit)?;
        w.u8(protocol)?;
        w.u16(0)?;
        w.bytes(&src.octets())?;
        w.bytes(&dst.octets())?;
        set_v4_checksum(&mut header);
        Ok(header)
    }

    fn emit_v6(
        &self,
        protocol: u8,
        len: usize,
        addrs: [Ipv6Addr; 2],
        w: &mut Writer<'_>,
    ) -> Result<(), Error> {
        let class = u32::from(self.traffic_class());
        w.u32(6 << 28 | class << 20 | self.flow_label & 0xf_ffff)?;
        w.u16(len16(len))?;
        w.u8(protocol)?;
        w.u8(self.hop_limit)?;
        addrs.iter().try_for_each(|addr| w.bytes(&addr.octets()))
    }

    fn traffic_class(&self) -> u8 {
        self.dscp << 2 | self.ecn.bits()
    }

    /// Both addresses as one version; where they differ against the rule, IPv4 is mapped.
    fn addrs(&self) -> Addrs {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Addrs::V4(src, dst),
            (src, dst) => Addrs::V6(mapped(src), mapped(dst)),
        }
    }
}

enum Addrs {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

fn mapped(addr: IpAddr) -> Ipv6Addr {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped(),
        IpAddr::V6(addr) => addr,
    }
}

/// Walks extension headers (RFC 8200 §4) and gives the protocol number behind them.
fn skip_extensions(r: &mut Reader<'_>, mut next: u8) -> Result<u8, Error> {
    loop {
        match next {
            FRAGMENT => return Err(Error::Fragment),
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let [following, words, _kind, segments_left] = r.array()?;
                if next == ROUTING && segments_left != 0 {
                    return Err(Error::NotTcp);
                }
                r.bytes(4 + usize::from(words) * 8)?;
                next = following;
            }
            protocol => return Ok(protocol),
        }
    }
}

/// Writes the checksum of an IPv4 header, options included, into its place.
pub(crate) fn set_v4_checksum(header: &mut [u8]) {
    if let Some(field) = header.get_mut(10..12) {
        field.fill(0);
    }
    let sum = checksum(header);
    if let Some(field) = header.get_mut(10..12) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn v6_with(next: u8, extensions: &[u8]) -> Vec<u8> {
        let len = len16(extensions.len() + 20).to_be_bytes();
        let fixed = [&[0x6a, 0xb1, 0x23, 0x45][..], &len, &[next, 64]].concat();
        [&fixed[..], &[1; 16], &[2; 16], extensions, &[0; 20]].concat()
    }

    #[test]
    fn extension_headers_are_walked() {
        let hop_by_hop = [DESTINATION_OPTIONS, 0, 1, 4, 0, 0, 0, 0];
        let destination = [[TCP, 1, 1, 12, 0, 0, 0, 0], [0; 8]].concat();
        let bytes = v6_with(HOP_BY_HOP, &[&hop_by_hop[..], &destination].concat());
        let (ip, payload) = IpHeader::parse(&bytes).unwrap();
        assert_eq!(payload, IpPayload { protocol: TCP, start: 64, end: 84 });
        assert_eq!((ip.flow_label, ip.dscp, ip.ecn), (0x12345, 0xab >> 2, Ecn::Ce));
    }

    #[test]
    fn what_is_not_a_whole_packet_for_us_is_refused() {
        let fragment = [TCP, 0, 0, 0, 0, 0, 0, 9];
        let routing = [TCP, 0, 4, 1, 0, 0, 0, 0];
        let cases = [
            ("IPv6 fragment", v6_with(FRAGMENT, &fragment), Error::Fragment),
            ("segments left", v6_with(ROUTING, &routing), Error::NotTcp),
            ("extension beyond the end", v6_with(HOP_BY_HOP, &[TCP, 99]), Error::Truncated),
            ("version 5", [0x50; 40].to_vec(), Error::IpVersion),
            ("header of 16 bytes", [0x44; 40].to_vec(), Error::BadLength),
            ("nothing", Vec::new(), Error::Truncated),
        ];
        for (name, bytes, error) in cases {
            assert_eq!(IpHeader::parse(&bytes).unwrap_err(), error, "{name}");
        }
    }

    #[test]
    fn ipv4_fragments_are_refused_and_dont_fragment_is_not() {
        let ip = IpHeader::new([1, 2, 3, 4].into(), [5, 6, 7, 8].into(), 0, 64, 0);
        let mut place = [0; V4_LEN];
        ip.emit(TCP, 0, &mut Writer::new(&mut place)).unwrap();
        assert_eq!(checksum(&place), 0);
        assert!(IpHeader::parse(&place).is_ok());
        for (flags, offset) in [(0x20, 0), (0x00, 1), (0x1f, 0)] {
            (place[6], place[7]) = (flags, offset);
            assert_eq!(IpHeader::parse(&place), Err(Error::Fragment));
        }
    }
}
