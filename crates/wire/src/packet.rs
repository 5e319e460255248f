//! A whole packet: IP header and what it carries.
//!
//! **Owns** the step between [`Datagram`] and [`Packet`], checksums included. **Invariants**:
//! payload is shared, never copied; what parses can be emitted. **Leaves out** anything that is
//! neither TCP nor an ICMP error about TCP.

use alloc::boxed::Box;
use core::net::IpAddr;

use manypath_base::Mss;
use smallvec::SmallVec;

use crate::checksum::Sum;
use crate::ip::{ICMP_V4, ICMP_V6, TCP, V6_LEN};
use crate::layout::{Layout, head, put16, slice};
use crate::segment::{CHECKSUM_AT, TCP_LEN};
use crate::{Checksum, Datagram, Error, IcmpError, IpHeader, Options, Segment, Writer};

/// The longest header that is ever emitted: IPv6 and TCP with all its options.
const MAX_HEADER: usize = V6_LEN + TCP_LEN + Options::MAX_LEN;

/// What the stack understands of an IP packet's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP. Boxed, since a segment is handed from layer to layer.
    Tcp(Box<Segment>),
    /// An ICMP or ICMPv6 error that quotes a TCP packet.
    Icmp(IcmpError),
}

impl From<Segment> for Transport {
    fn from(segment: Segment) -> Self {
        Self::Tcp(Box::new(segment))
    }
}

/// One IP packet that the stack understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// IP header.
    pub ip: IpHeader,
    /// What it carries.
    pub transport: Transport,
}

impl Packet {
    /// Reads a packet or super-segment. Bytes behind the length that IP tells are padding of the
    /// link and cut off. The payload shares the datagram's memory.
    ///
    /// The checksum of an IPv4 header and of ICMP is always verified, that of TCP unless it is
    /// [`Checksum::Offloaded`].
    ///
    /// # Errors
    /// Why the stack cannot use the packet: it is to be dropped and counted.
    pub fn parse(d: &Datagram) -> Result<Self, Error> {
        let layout = Layout::of(d)?;
        let transport = match (layout.protocol, layout.ip.src) {
            (TCP, _) => parse_tcp(d, &layout)?.into(),
            (ICMP_V4, IpAddr::V4(_)) | (ICMP_V6, IpAddr::V6(_)) => {
                Transport::Icmp(parse_icmp(d, &layout)?)
            }
            _ => return Err(Error::NotTcp),
        };
        Ok(Self { ip: layout.ip, transport })
    }

    /// Writes the packet, or a super-segment to be cut at `gso_mss`. With
    /// [`Checksum::Offloaded`] the TCP checksum field holds the sum of the pseudo-header, its
    /// length that of the whole super-segment, and not complemented, as virtio-net and Linux
    /// want it; ICMP checksums are always complete. The IPv4 header is complete, with "don't
    /// fragment" and identification 0.
    ///
    /// # Panics
    /// If the options need more than [`Options::MAX_LEN`] bytes: who makes a segment asks
    /// [`Options::len`] first. Parsed packets always fit. Debug builds also panic on a packet
    /// that is longer than IP can say.
    #[must_use]
    pub fn emit(&self, gso_mss: Option<Mss>, checksum: Checksum) -> Datagram {
        match &self.transport {
            Transport::Tcp(segment) => {
                let header = self.emit_tcp(segment, checksum);
                let header = header.expect("whoever makes a segment leaves its options room");
                Datagram { header, payload: segment.payload.clone(), gso_mss, checksum }
            }
            Transport::Icmp(error) => {
                let header = self.emit_icmp(error).expect("ICMP errors are shorter than headers");
                Datagram { header, ..Datagram::default() }
            }
        }
    }

    fn emit_tcp(
        &self,
        segment: &Segment,
        checksum: Checksum,
    ) -> Result<SmallVec<[u8; 104]>, Error> {
        let start = self.ip.wire_len();
        let len = segment.wire_len();
        debug_assert!(len <= self.ip.max_payload(), "IP cannot say {len} bytes");
        let mut place = [0; MAX_HEADER];
        let mut w = Writer::new(&mut place);
        self.ip.emit(TCP, len, &mut w)?;
        segment.emit(&mut w)?;
        let mut header = SmallVec::from_slice(w.written());
        let mut sum = Sum::pseudo_header(self.ip.src, self.ip.dst, TCP, len);
        let value = match checksum {
            Checksum::Offloaded => sum.folded(),
            Checksum::Complete => {
                sum.add(&header[start..]);
                sum.add_payload(&segment.payload);
                sum.checksum()
            }
        };
        put16(&mut header, start + CHECKSUM_AT, value);
        Ok(header)
    }

    fn emit_icmp(&self, error: &IcmpError) -> Result<SmallVec<[u8; 104]>, Error> {
        let (start, len) = (self.ip.wire_len(), error.wire_len());
        let protocol = if self.ip.src.is_ipv4() { ICMP_V4 } else { ICMP_V6 };
        let mut place = [0; MAX_HEADER];
        let mut w = Writer::new(&mut place);
        self.ip.emit(protocol, len, &mut w)?;
        error.emit(&mut w)?;
        let mut header = SmallVec::from_slice(w.written());
        let mut sum = icmp_sum(&self.ip, protocol, len);
        sum.add(&header[start..]);
        put16(&mut header, start + 2, sum.checksum());
        Ok(header)
    }
}

fn parse_tcp(d: &Datagram, layout: &Layout) -> Result<Segment, Error> {
    let data = layout.tcp_data(d)?;
    if !layout.tcp_intact(d) {
        return Err(Error::BadChecksum);
    }
    let header = head(d).get(layout.start..data).ok_or(Error::Truncated)?;
    let mut segment = Segment::parse(header)?;
    segment.payload = slice(d, data, layout.end);
    Ok(segment)
}

/// An error's message is short; it is copied where it lies in several pieces.
fn parse_icmp(d: &Datagram, layout: &Layout) -> Result<IcmpError, Error> {
    let message = slice(d, layout.start, layout.end);
    let mut sum = icmp_sum(&layout.ip, layout.protocol, message.len());
    sum.add_payload(&message);
    if sum.checksum() != 0 {
        return Err(Error::BadChecksum);
    }
    match message.chunks() {
        [whole] => IcmpError::parse(layout.protocol, whole),
        _ => IcmpError::parse(layout.protocol, &message.to_vec()),
    }
}

/// Only ICMPv6 has a pseudo-header in its checksum (RFC 4443 §2.3).
fn icmp_sum(ip: &IpHeader, protocol: u8, len: usize) -> Sum {
    if protocol == ICMP_V6 { Sum::pseudo_header(ip.src, ip.dst, protocol, len) } else { Sum::new() }
}
