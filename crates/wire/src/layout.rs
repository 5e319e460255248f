//! Where the parts of a datagram's bytes lie.
//!
//! **Owns** the lengths of IP against those that are there, and the TCP checksum over several
//! slices. **Invariant**: what [`Layout::of`] accepts, every range it names exists.

use bytes::Bytes;
use manypath_base::{Payload, len16};

use crate::checksum::{Sum, checksum};
use crate::ip::{IpPayload, TCP, V6_LEN, set_v4_checksum};
use crate::segment::CHECKSUM_AT;
use crate::{Checksum, Datagram, Error, IpHeader, Segment};

/// An IP packet with contiguous headers, and where its parts start, in bytes from its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// The IP header.
    pub(crate) ip: IpHeader,
    /// Protocol number of what the packet carries.
    pub(crate) protocol: u8,
    /// Where the transport header starts.
    pub(crate) start: usize,
    /// Where the packet ends; behind that is padding of the link.
    pub(crate) end: usize,
}

impl Layout {
    /// Reads the IP header, checks its lengths and, for IPv4, its checksum.
    pub(crate) fn of(d: &Datagram) -> Result<Self, Error> {
        Self::of_head(head(d), d.len())
    }

    /// As [`Layout::of`], of a packet of `len` bytes that begins with `head`.
    pub(crate) fn of_head(head: &[u8], len: usize) -> Result<Self, Error> {
        let (ip, IpPayload { protocol, start, end }) = IpHeader::parse(head)?;
        if end > len {
            return Err(Error::Truncated);
        }
        if ip.src.is_ipv4() && head.get(..start).is_none_or(|header| checksum(header) != 0) {
            return Err(Error::BadChecksum);
        }
        Ok(Self { ip, protocol, start, end })
    }

    /// Where the payload of TCP starts. The whole TCP header is contiguous.
    ///
    /// # Errors
    /// [`Error::NotTcp`], or what is wrong with the data offset.
    pub(crate) fn tcp_data(&self, d: &Datagram) -> Result<usize, Error> {
        self.tcp_data_in(head(d))
    }

    /// As [`Layout::tcp_data`], of a packet that begins with `head`.
    pub(crate) fn tcp_data_in(&self, head: &[u8]) -> Result<usize, Error> {
        if self.protocol != TCP {
            return Err(Error::NotTcp);
        }
        let data = self.start + Segment::header_len(head.get(self.start..).unwrap_or_default())?;
        if data > self.end {
            return Err(Error::BadLength);
        }
        if data > head.len() { Err(Error::Truncated) } else { Ok(data) }
    }

    /// Where a packet with this IP header ends, as that says.
    pub(crate) fn end(header: &[u8]) -> Option<usize> {
        let v6 = header.first()? >> 4 == 6;
        let (at, before) = if v6 { (4, V6_LEN) } else { (2, 0) };
        let field = header.get(at..)?.first_chunk()?;
        Some(before + usize::from(u16::from_be_bytes(*field)))
    }

    /// The sum over pseudo-header, TCP header and payload: its checksum is 0 if it is right.
    pub(crate) fn tcp_sum(&self, d: &Datagram) -> Sum {
        let mut sum = self.pseudo_header(self.end - self.start);
        sum_range(&mut sum, d, self.start, self.end);
        sum
    }

    /// Whether the TCP checksum holds, or somebody vouches for it.
    pub(crate) fn tcp_intact(&self, d: &Datagram) -> bool {
        match d.checksum {
            Checksum::Offloaded => true,
            Checksum::Complete => self.tcp_sum(d).checksum() == 0,
        }
    }

    /// Makes a header say that `len` bytes follow the IP header, and completes that.
    pub(crate) fn set_len(&self, header: &mut [u8], len: usize) {
        if self.ip.src.is_ipv4() {
            put16(header, 2, len16(self.start + len));
            if let Some(ip) = header.get_mut(..self.start) {
                set_v4_checksum(ip);
            }
        } else {
            put16(header, 4, len16(self.start - V6_LEN + len));
        }
    }

    /// Completes the TCP checksum of a packet with this header and payload.
    pub(crate) fn set_tcp_checksum(&self, header: &mut [u8], payload: &Payload) {
        put16(header, self.start + CHECKSUM_AT, 0);
        let tcp = header.get(self.start..).unwrap_or_default();
        let mut sum = self.pseudo_header(tcp.len() + payload.len());
        sum.add(tcp);
        sum.add_payload(payload);
        put16(header, self.start + CHECKSUM_AT, sum.checksum());
    }

    /// Leaves the TCP checksum of a packet with this header and so much payload to others: the
    /// field holds the sum of the pseudo-header ([`Checksum::Offloaded`]).
    pub(crate) fn leave_tcp_checksum(&self, header: &mut [u8], payload: usize) {
        let sum = self.pseudo_header(header.len() - self.start + payload);
        put16(header, self.start + CHECKSUM_AT, sum.folded());
    }

    /// The sum of the pseudo-header in front of `len` bytes.
    pub(crate) fn pseudo_header(&self, len: usize) -> Sum {
        Sum::pseudo_header(self.ip.src, self.ip.dst, self.protocol, len)
    }
}

/// The bytes that hold the headers.
pub(crate) fn head(d: &Datagram) -> &[u8] {
    if d.header.is_empty() {
        d.payload.chunks().first().map_or(&[], |chunk| chunk)
    } else {
        &d.header
    }
}

/// The bytes from `start` to `end` of a datagram as shared slices. A device may have read some
/// payload into `header`; only that is copied.
pub(crate) fn slice(d: &Datagram, start: usize, end: usize) -> Payload {
    let header = d.header.len();
    let behind = d.payload.slice(start.saturating_sub(header), end.saturating_sub(header));
    match d.header.get(start..end.min(header)) {
        None | Some([]) => behind,
        Some(bytes) => {
            let mut out = Payload::from(Bytes::copy_from_slice(bytes));
            out.append(behind);
            out
        }
    }
}

/// Adds the bytes from `start` to `end` of a datagram.
fn sum_range(sum: &mut Sum, d: &Datagram, start: usize, end: usize) {
    let mut at = 0;
    let chunks = d.payload.chunks().iter().map(|chunk| &chunk[..]);
    for part in core::iter::once(&d.header[..]).chain(chunks) {
        let (from, to) = (start.max(at), end.min(at + part.len()));
        if from < to {
            sum.add(&part[from - at..to - at]);
        }
        at += part.len();
    }
}

/// Overwrites two bytes; nothing happens where there are none.
pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
