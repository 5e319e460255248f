//! Cutting a super-segment into packets, as a network card does (TCP segmentation offload).
//!
//! **Invariants**: the payloads of the packets joined are that of the super-segment, in order and
//! not copied; every packet is complete and says what the super-segment said, options included,
//! so a DSS mapping that covers all of it stands on each part (RFC 8684 §3.3.1 foresees that).
//! **Leaves out** the path's MTU: `gso_mss` is what was decided.

use manypath_base::{Payload, SeqNum, len32};
use smallvec::SmallVec;

use crate::layout::{Layout, head, put16, slice};
use crate::segment::{FLAGS_AT, SEQ_AT};
use crate::{Checksum, Datagram, Flags};

/// Offset of the identification in an IPv4 header.
const ID_AT: usize = 4;

/// Cuts a super-segment at its `gso_mss` and completes the checksums.
///
/// Sequence number and IPv4 identification advance from packet to packet; FIN and PSH stay on
/// the last one, CWR on the first (RFC 3168 §6.1.2: the window was reduced once). What is not a
/// super-segment comes out alone, with its checksum completed; what is not TCP comes out as it is.
pub fn segment(d: Datagram) -> Segments {
    let cut = d.gso_mss.is_some() || d.checksum == Checksum::Offloaded;
    Segments::new(d, cut, Checksum::Complete)
}

/// As [`segment`], for a carrier that harms no bits: the packets of a super-segment whose TCP
/// checksum is [`Checksum::Offloaded`] have theirs offloaded too, and no payload is summed.
pub fn segment_offloaded(d: Datagram) -> Segments {
    let (cut, checksum) = (d.gso_mss.is_some(), d.checksum);
    Segments::new(d, cut, checksum)
}

/// The packets of a super-segment, from [`segment`].
#[derive(Debug)]
pub struct Segments(State);

impl Segments {
    fn new(d: Datagram, cut: bool, checksum: Checksum) -> Self {
        match if cut { Cutter::new(&d, checksum) } else { None } {
            Some(cutter) => Self(State::Cut(cutter)),
            None => Self(State::Whole(Some(d))),
        }
    }
}

#[derive(Debug)]
enum State {
    Whole(Option<Datagram>),
    Cut(Cutter),
}

impl Iterator for Segments {
    type Item = Datagram;

    fn next(&mut self) -> Option<Datagram> {
        match &mut self.0 {
            State::Whole(d) => d.take(),
            State::Cut(cutter) => cutter.next(),
        }
    }
}

#[derive(Debug)]
struct Cutter {
    layout: Layout,
    /// The headers of the super-segment.
    header: SmallVec<[u8; 104]>,
    payload: Payload,
    /// Payload bytes of each packet but the last.
    mss: usize,
    /// What each packet is to say of its TCP checksum.
    checksum: Checksum,
    /// Payload bytes that are out already; `None` if all are.
    at: Option<usize>,
    /// Packets that are out already.
    count: u16,
}

impl Cutter {
    /// `None` if there is no TCP to cut.
    fn new(d: &Datagram, checksum: Checksum) -> Option<Self> {
        let layout = Layout::of(d).ok()?;
        let data = layout.tcp_data(d).ok()?;
        let header = SmallVec::from_slice(head(d).get(..data)?);
        let payload = slice(d, data, layout.end);
        let mss = d.gso_mss.map_or(payload.len(), |mss| usize::from(mss.0)).max(1);
        Some(Self { layout, header, payload, mss, checksum, at: Some(0), count: 0 })
    }

    fn next(&mut self) -> Option<Datagram> {
        let start = self.at?;
        let end = (start + self.mss).min(self.payload.len());
        let last = end == self.payload.len();
        let payload = self.payload.slice(start, end);
        let header = self.header_at(start, last, &payload);
        self.at = if last { None } else { Some(end) };
        self.count = self.count.wrapping_add(1);
        Some(Datagram { header, payload, gso_mss: None, checksum: self.checksum })
    }

    /// The headers of the packet that carries `payload`, which starts at `start`.
    fn header_at(&self, start: usize, last: bool, payload: &Payload) -> SmallVec<[u8; 104]> {
        let mut header = self.header.clone();
        let (tcp, tcp_len) = (self.layout.start, self.header.len() - self.layout.start);
        if self.layout.ip.src.is_ipv4() {
            let id = u16::from_be_bytes([header[ID_AT], header[ID_AT + 1]]);
            put16(&mut header, ID_AT, id.wrapping_add(self.count));
        }
        self.layout.set_len(&mut header, tcp_len + payload.len());
        advance_seq(&mut header[tcp..], start);
        let mut flags = Flags(header[tcp + FLAGS_AT]);
        if start > 0 {
            flags = flags.without(Flags::CWR);
        }
        if !last {
            flags = flags.without(Flags::FIN | Flags::PSH);
        }
        header[tcp + FLAGS_AT] = flags.0;
        match self.checksum {
            Checksum::Complete => self.layout.set_tcp_checksum(&mut header, payload),
            Checksum::Offloaded => self.layout.leave_tcp_checksum(&mut header, payload.len()),
        }
        header
    }
}

/// Moves the sequence number of a TCP header on by `n`.
fn advance_seq(tcp: &mut [u8], n: usize) {
    let seq = seq(tcp).wrapping_add(len32(n)).0.to_be_bytes();
    tcp[SEQ_AT..SEQ_AT + 4].copy_from_slice(&seq);
}

/// The sequence number of a TCP header.
pub(crate) fn seq(tcp: &[u8]) -> SeqNum {
    let field = tcp.get(SEQ_AT..).and_then(|rest| rest.first_chunk());
    SeqNum(field.map_or(0, |bytes| u32::from_be_bytes(*bytes)))
}
