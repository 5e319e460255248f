//! Joining packets that were cut apart, for devices that do not (generic receive offload).
//!
//! **Invariants**: packets come out in the order they went in; a super-segment, cut again by
//! [`crate::segment`], gives the packets it was made of, but for the IPv4 identification.
//! **Leaves out** packets of several flows that alternate: only neighbours are joined, which is
//! what arrives when a sender's super-segments were cut on the way.

use manypath_base::{Mss, SeqNum, len32};
use smallvec::SmallVec;

use crate::gso::seq;
use crate::layout::{Layout, head, put16, slice};
use crate::segment::{CHECKSUM_AT, FLAGS_AT, SEQ_AT};
use crate::{Checksum, Datagram, Flags};

/// Joins neighbouring packets of one flow into super-segments.
///
/// Joined are packets whose headers are equal in everything that a super-segment says once:
/// addresses, hop limit, ECN, acknowledgment, window and every byte of the options. So a DSS
/// mapping is never lost: one that differs ends the super-segment, as in Linux.
#[derive(Debug, Default)]
pub struct Coalescer {
    held: Option<(Datagram, Option<Run>)>,
}

impl Coalescer {
    /// Longest super-segment, in bytes, headers included.
    pub const MAX_LEN: usize = 65_000;

    /// Takes the next packet. Gives out the one before it, or the super-segment before it, if the
    /// packet does not continue that. Data whose checksum holds comes out as
    /// [`Checksum::Offloaded`]: verified.
    #[must_use]
    pub fn push(&mut self, mut d: Datagram) -> Option<Datagram> {
        let next = Run::of(&d);
        if let Some((held, Some(run))) = &mut self.held
            && let Some(next) = &next
            && run.continues_with(next)
        {
            run.join(held, &d, next);
            return None;
        }
        if next.is_some() {
            d.checksum = Checksum::Offloaded;
        }
        let before = self.flush();
        self.held = Some((d, next));
        before
    }

    /// Gives out what is held: to be called when no packet waits.
    #[must_use]
    pub fn flush(&mut self) -> Option<Datagram> {
        let (mut held, run) = self.held.take()?;
        if let Some(run) = run.filter(|run| run.joined) {
            run.finish(&mut held);
        }
        Some(held)
    }
}

/// What is known of a packet with data that may be joined with others.
#[derive(Debug)]
struct Run {
    layout: Layout,
    /// Where the payload starts in the packet.
    data: usize,
    /// The headers, with 0 where packets of one super-segment may differ.
    same: SmallVec<[u8; 104]>,
    seq: SeqNum,
    flags: Flags,
    /// Payload of the first packet: all but the last have as much.
    mss: u16,
    /// Payload so far.
    len: usize,
    /// Whether more may follow: the last was full and said neither PSH nor FIN.
    open: bool,
    joined: bool,
}

impl Run {
    /// `None` if the packet must stay alone: no data, a checksum that fails, SYN, RST or URG.
    fn of(d: &Datagram) -> Option<Self> {
        let layout = Layout::of(d).ok()?;
        let data = layout.tcp_data(d).ok()?;
        let header = head(d).get(..data)?;
        let flags = Flags(header[layout.start + FLAGS_AT]);
        let mss = u16::try_from(layout.end - data).ok().filter(|&len| len > 0)?;
        let ends = Flags::PSH | Flags::FIN;
        let plain = flags.without(ends | Flags::ECE | Flags::CWR) == Flags::ACK;
        if !plain || d.gso_mss.is_some() || !layout.tcp_intact(d) {
            return None;
        }
        Some(Self {
            same: same(header, &layout),
            seq: seq(&header[layout.start..]),
            open: flags.without(ends) == flags,
            len: usize::from(mss),
            joined: false,
            layout,
            data,
            flags,
            mss,
        })
    }

    /// A packet with CWR starts anew: the window was reduced before it.
    fn continues_with(&self, next: &Self) -> bool {
        self.open
            && next.seq == self.seq.wrapping_add(len32(self.len))
            && next.mss <= self.mss
            && self.data + self.len + next.len <= Coalescer::MAX_LEN
            && !next.flags.has(Flags::CWR)
            && self.same == next.same
    }

    fn join(&mut self, held: &mut Datagram, d: &Datagram, next: &Self) {
        if !self.joined {
            self.joined = true;
            *held = Datagram {
                header: SmallVec::from_slice(&head(held)[..self.data]),
                payload: slice(held, self.data, self.layout.end),
                gso_mss: Some(Mss(self.mss)),
                checksum: Checksum::Offloaded,
            };
        }
        held.payload.append(slice(d, next.data, next.layout.end));
        self.len += next.len;
        self.flags |= next.flags;
        self.open = next.open && next.mss == self.mss;
    }

    /// Makes the header that of the whole. The TCP checksum becomes the sum of the pseudo-header,
    /// so the super-segment may also be sent.
    fn finish(&self, held: &mut Datagram) {
        let tcp = self.layout.start;
        let len = self.data - tcp + self.len;
        self.layout.set_len(&mut held.header, len);
        held.header[tcp + FLAGS_AT] = self.flags.0;
        let sum = self.layout.pseudo_header(len).folded();
        put16(&mut held.header, tcp + CHECKSUM_AT, sum);
    }
}

/// A header with 0 for lengths, checksums, IPv4 identification, sequence number and the flags
/// that only the first or last packet has.
fn same(header: &[u8], layout: &Layout) -> SmallVec<[u8; 104]> {
    let mut same: SmallVec<[u8; 104]> = SmallVec::from_slice(header);
    let tcp = layout.start;
    let fields: &[_] = if layout.ip.src.is_ipv4() { &[2, 4, 10] } else { &[4] };
    for at in fields.iter().copied().chain([tcp + SEQ_AT, tcp + SEQ_AT + 2, tcp + CHECKSUM_AT]) {
        put16(&mut same, at, 0);
    }
    let flags = Flags(same[tcp + FLAGS_AT]);
    same[tcp + FLAGS_AT] = flags.without(Flags::PSH | Flags::FIN | Flags::CWR).0;
    same
}
