//! Joining packets that were cut apart, for devices that do not (generic receive offload).
//!
//! **Invariants**: packets come out in the order they went in; a super-segment, cut again by
//! [`crate::segment`], gives the packets it was made of, but for the IPv4 identification.
//! **Leaves out** packets of several flows that alternate: only neighbours are joined, which is
//! what arrives when a sender's super-segments were cut on the way.

use core::ops::Range;

use manypath_base::{Mss, SeqNum, len32};
use smallvec::SmallVec;

use crate::checksum::checksum;
use crate::gso::seq;
use crate::layout::{Layout, head, put16, slice};
use crate::segment::{CHECKSUM_AT, FLAGS_AT, SEQ_AT};
use crate::{Checksum, Datagram, Flags};

/// Joins neighbouring packets of one flow into super-segments, as datagrams of shared slices. Who
/// owns the memory that packets arrive in joins their payload in one piece, with [`Run`].
#[derive(Debug, Default)]
pub struct Coalescer {
    held: Option<(Datagram, Option<Run>)>,
}

impl Coalescer {
    /// Takes the next packet. Gives out the one before it, or the super-segment before it, if the
    /// packet does not continue that. Data whose checksum holds comes out as
    /// [`Checksum::Offloaded`]: verified.
    #[must_use]
    pub fn push(&mut self, mut d: Datagram) -> Option<Datagram> {
        let may_join = d.gso_mss.is_none() && tcp_intact(&d);
        if let Some((held, Some(run))) = &mut self.held
            && may_join
        {
            let first = (!run.is_joined()).then(|| run.payload_at());
            if let Some(payload) = run.take(head(&d), d.len()) {
                if let Some(Range { start, end }) = first {
                    held.payload = slice(held, start, end);
                }
                held.payload.append(slice(&d, payload.start, payload.end));
                return None;
            }
        }
        let next = if may_join { Run::begin(head(&d), d.len()) } else { None };
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
        if let Some(run) = run.filter(Run::is_joined) {
            (held.gso_mss, held.header) = (run.gso_mss(), run.into_header());
        }
        Some(held)
    }
}

/// Whether the TCP checksum holds, or somebody vouches for it.
fn tcp_intact(d: &Datagram) -> bool {
    Layout::of(d).is_ok_and(|layout| layout.tcp_intact(d))
}

/// Whether the TCP checksum of a contiguous packet holds; what is not TCP has none.
#[must_use]
pub fn tcp_checksum_holds(packet: &[u8]) -> bool {
    let Ok(layout) = Layout::of_head(packet, packet.len()) else { return false };
    let mut sum = layout.pseudo_header(layout.end - layout.start);
    sum.add(packet.get(layout.start..layout.end).unwrap_or_default());
    layout.tcp_data_in(packet).is_ok() && sum.checksum() == 0
}

/// Packets of one flow that follow each other, and that one super-segment stands for.
///
/// Joined are packets whose headers are equal in everything that a super-segment says once:
/// addresses, hop limit, ECN, acknowledgment, window and every byte of the options. So a DSS
/// mapping is never lost: one that differs ends the super-segment, as in Linux.
#[derive(Debug)]
pub struct Run {
    layout: Layout,
    /// The headers of the first packet.
    header: SmallVec<[u8; 104]>,
    /// Which bits of them those of every packet must have in common.
    mask: SmallVec<[u8; 104]>,
    seq: SeqNum,
    flags: Flags,
    /// Payload of the first packet: all but the last have as much.
    mss: u16,
    /// Payload so far.
    len: usize,
    /// Whether more may follow: the last was full and said neither PSH nor FIN.
    open: bool,
}

impl Run {
    /// Longest super-segment, in bytes, headers included.
    pub const MAX_LEN: usize = 65_000;

    /// Begins with a packet of `len` bytes whose first bytes, its headers at least, are `head`.
    /// `None` if it must stay alone: no data, SYN, RST or URG, or no TCP. Whether its TCP checksum
    /// holds is the caller's to know.
    #[must_use]
    pub fn begin(head: &[u8], len: usize) -> Option<Self> {
        let layout = Layout::of_head(head, len).ok()?;
        let data = layout.tcp_data_in(head).ok()?;
        let header = head.get(..data)?;
        let flags = Flags(header[layout.start + FLAGS_AT]);
        let mss = u16::try_from(layout.end - data).ok().filter(|&len| len > 0)?;
        let plain = flags.without(OF_SOME | Flags::ECE) == Flags::ACK;
        plain.then(|| Self {
            header: SmallVec::from_slice(header),
            mask: mask(header, &layout),
            seq: seq(&header[layout.start..]),
            open: flags.without(ENDS) == flags,
            len: usize::from(mss),
            layout,
            flags,
            mss,
        })
    }

    /// Takes a packet in, given as to [`Run::begin`], if it continues the run, and says where its
    /// payload lies. One with CWR does not: the window was reduced before it.
    #[must_use]
    pub fn take(&mut self, head: &[u8], len: usize) -> Option<Range<usize>> {
        let (start, data) = (self.layout.start, self.header.len());
        let header = head.get(..data).filter(|_| self.open)?;
        let pairs = header.iter().zip(&self.header).zip(&self.mask);
        if pairs.fold(0, |differs, ((a, b), mask)| differs | ((a ^ b) & mask)) != 0 {
            return None;
        }
        // The same in the first bytes, so that all offsets are the same.
        let end = Layout::end(header)?;
        let flags = Flags(header[start + FLAGS_AT]);
        let mss = end.checked_sub(data).and_then(|n| u16::try_from(n).ok()).filter(|&n| n > 0)?;
        let follows = seq(&header[start..]) == self.seq.wrapping_add(len32(self.len))
            && mss <= self.mss
            && end <= len
            && data + self.len + usize::from(mss) <= Self::MAX_LEN
            && !flags.has(Flags::CWR)
            && (self.layout.ip.src.is_ipv6() || checksum(&header[..start]) == 0);
        if !follows {
            return None;
        }
        self.len += usize::from(mss);
        self.flags |= flags;
        self.open = mss == self.mss && flags.without(ENDS) == flags;
        Some(data..end)
    }

    /// Whether a further packet may continue it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Where the payload lies in the first packet; all of it, where that is the only one.
    #[must_use]
    pub fn payload_at(&self) -> Range<usize> {
        self.header.len()..self.header.len() + usize::from(self.mss)
    }

    /// Payload bytes of each packet but the last, where there are several.
    #[must_use]
    pub fn gso_mss(&self) -> Option<Mss> {
        self.is_joined().then_some(Mss(self.mss))
    }

    fn is_joined(&self) -> bool {
        self.len > usize::from(self.mss)
    }

    /// The header of the whole. The TCP checksum of a super-segment is the sum of the
    /// pseudo-header, so that it may also be sent.
    #[must_use]
    pub fn into_header(mut self) -> SmallVec<[u8; 104]> {
        if self.is_joined() {
            let tcp = self.layout.start;
            let len = self.header.len() - tcp + self.len;
            self.layout.set_len(&mut self.header, len);
            self.header[tcp + FLAGS_AT] = self.flags.0;
            let sum = self.layout.pseudo_header(len).folded();
            put16(&mut self.header, tcp + CHECKSUM_AT, sum);
        }
        self.header
    }
}

/// Flags that end a super-segment.
const ENDS: Flags = Flags(Flags::PSH.0 | Flags::FIN.0);
/// Flags that only its first or last packet has.
const OF_SOME: Flags = Flags(ENDS.0 | Flags::CWR.0);

/// Ones but for lengths, checksums, IPv4 identification, sequence number and the flags that only
/// the first or last packet has.
fn mask(header: &[u8], layout: &Layout) -> SmallVec<[u8; 104]> {
    let mut mask: SmallVec<[u8; 104]> = SmallVec::from_elem(0xff, header.len());
    let tcp = layout.start;
    let fields: &[_] = if layout.ip.src.is_ipv4() { &[2, 4, 10] } else { &[4] };
    for at in fields.iter().copied().chain([tcp + SEQ_AT, tcp + SEQ_AT + 2, tcp + CHECKSUM_AT]) {
        put16(&mut mask, at, 0);
    }
    mask[tcp + FLAGS_AT] = !OF_SOME.0;
    mask
}
