//! One connection of a capture: keys, data sequence numbers, what was sent on several subflows.

use std::ops::Range;

use manypath_base::{DataOffset, DataSeq, Key, RangeSet, Token};
use manypath_wire::{Dss, DssMapping, DssNumber, MpCapable};
use serde::Serialize;

use super::{Both, Way, keys};

/// Offsets beyond this are nonsense: it would take centuries to send so much.
const MAX_OFFSET: u64 = 1 << 62;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Protocol {
    /// The handshake is not complete.
    Negotiating,
    /// MPTCP.
    Multipath,
    /// Multipath was asked for and is not spoken.
    FellBack,
    /// Multipath was not asked for.
    Tcp,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// What it speaks.
    pub(crate) protocol: Protocol,
    /// Why it fell back.
    pub(crate) fallback: Option<&'static str>,
    /// Whether its keys are known, from its handshake.
    pub(crate) keys: Both<Option<Key>>,
    /// The tokens of the keys, or the one that an MP_JOIN named.
    pub(crate) tokens: Both<Option<Token>>,
    /// The data of each way.
    pub(crate) data: Both<DataHalf>,
    /// Indexes of its flows, in the order of their appearance.
    pub(crate) flows: Vec<usize>,
    /// Addresses that a side announced, and withdrew, as the options say it.
    pub(crate) announcements: Both<Vec<String>>,
    /// Whether MP_FASTCLOSE was seen.
    pub(crate) fast_close: bool,
}

impl Connection {
    /// A connection without flows.
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            fallback: None,
            keys: Both::default(),
            tokens: Both::default(),
            data: Both::default(),
            flows: Vec::new(),
            announcements: Both::default(),
            fast_close: false,
        }
    }

    /// Falls back, unless it has before; a connection that never was multipath cannot.
    pub(crate) fn fall_back(&mut self, why: &'static str) {
        match self.protocol {
            Protocol::Negotiating | Protocol::Multipath => {
                self.protocol = Protocol::FellBack;
                self.fallback = Some(why);
            }
            Protocol::FellBack | Protocol::Tcp => {}
        }
    }

    /// Takes an MP_CAPABLE in that goes `way`: keys give tokens and initial numbers.
    pub(crate) fn note_capable(&mut self, way: Way, option: &MpCapable) {
        match *option {
            MpCapable::Syn { .. } => {}
            MpCapable::SynAck { sender_key, .. } => self.learn_key(way, sender_key),
            MpCapable::Ack { sender_key, receiver_key, .. } => {
                self.learn_key(way, sender_key);
                self.learn_key(way.flip(), receiver_key);
                if self.protocol == Protocol::Negotiating {
                    self.protocol = Protocol::Multipath;
                }
            }
        }
    }

    fn learn_key(&mut self, way: Way, key: Key) {
        if self.keys.at(way).is_none() {
            *self.keys.at_mut(way) = Some(key);
            *self.tokens.at_mut(way) = Some(keys::token(key));
            self.data.at_mut(way).idsn = Some(keys::idsn(key));
        }
    }

    /// Takes a DSS in that goes `way`; returns its mapping with offsets, if it has one.
    pub(crate) fn note_dss(&mut self, way: Way, dss: &Dss) -> Option<Mapped> {
        if let Some(ack) = dss.data_ack {
            let acked = self.data.at_mut(way.flip());
            if let Some(offset) = acked.offset(ack) {
                acked.acked = acked.acked.max(offset);
            }
        }
        let mapping = dss.mapping?;
        let data = self.data.at_mut(way);
        let start = data.offset(mapping.dsn)?;
        if mapping.len == 0 {
            self.fall_back("infinite mapping");
            return Some(Mapped { ssn: mapping.ssn, len: u64::from(u32::MAX), start });
        }
        let len = u64::from(mapping.len) - u64::from(dss.data_fin);
        if dss.data_fin {
            data.fin = Some(start + len);
        }
        Some(Mapped { ssn: mapping.ssn, len, start })
    }

    /// The DSS with offsets instead of data sequence numbers, as far as they are known.
    pub(crate) fn relative_dss(&self, way: Way, dss: &Dss) -> Dss {
        let relative = |half: &DataHalf, number| half.relative(number);
        Dss {
            data_fin: dss.data_fin,
            data_ack: dss.data_ack.map(|ack| relative(self.data.at(way.flip()), ack)),
            mapping: dss.mapping.map(|mapping| DssMapping {
                dsn: relative(self.data.at(way), mapping.dsn),
                ..mapping
            }),
        }
    }
}

/// A mapping, with an offset for its data sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// Relative subflow sequence number of the first byte.
    pub(crate) ssn: u32,
    /// Bytes, without the DATA_FIN.
    pub(crate) len: u64,
    /// Data offset of the first byte.
    pub(crate) start: DataOffset,
}

/// The data of one way.
#[derive(Debug, Default)]
pub(crate) struct DataHalf {
    /// The initial data sequence number; where the handshake lies before the capture, the number
    /// before the first one seen.
    idsn: Option<DataSeq>,
    /// The largest offset seen, to unwrap against.
    near: DataOffset,
    seen: RangeSet<u64>,
    /// Bytes of data, each counted once.
    pub(crate) bytes: u64,
    /// Bytes that were sent again with other subflow sequence numbers, mostly on another subflow.
    pub(crate) reinjected: u64,
    /// Bytes in no mapping.
    pub(crate) unmapped: u64,
    /// Offset of the DATA_FIN, once it was seen.
    pub(crate) fin: Option<DataOffset>,
    /// The largest DATA_ACK.
    pub(crate) acked: DataOffset,
}

impl DataHalf {
    fn offset(&mut self, number: DssNumber) -> Option<DataOffset> {
        let before = || match number {
            DssNumber::Four(n) => DataSeq(u64::from(n)).wrapping_add(u64::MAX),
            DssNumber::Eight(n) => DataSeq(n).wrapping_add(u64::MAX),
        };
        let idsn = *self.idsn.get_or_insert_with(before);
        let offset = match number {
            DssNumber::Four(n) => DataOffset::from_seq32(n, idsn, self.near),
            DssNumber::Eight(n) => DataOffset::from_seq(DataSeq(n), idsn, self.near),
        };
        offset.filter(|offset| offset.0 < MAX_OFFSET)
    }

    /// The offset as a number of 8 bytes; the number itself where it has none.
    fn relative(&self, number: DssNumber) -> DssNumber {
        let Some(idsn) = self.idsn else { return number };
        let offset = match number {
            DssNumber::Four(n) => DataOffset::from_seq32(n, idsn, self.near),
            DssNumber::Eight(n) => DataOffset::from_seq(DataSeq(n), idsn, self.near),
        };
        offset.map_or(number, |offset| DssNumber::Eight(offset.0))
    }

    /// The number as an offset, if any is known.
    pub(crate) fn relative_seq(&self, seq: DataSeq) -> DataSeq {
        DataSeq(seq.0.wrapping_sub(self.idsn.unwrap_or_default().0))
    }

    /// Takes bytes in that a subflow sent for the first time; returns how many of them another
    /// one had sent before.
    pub(crate) fn note(&mut self, range: Range<u64>) -> u64 {
        let fresh: u64 = self.seen.gaps(range.clone()).map(|part| part.end - part.start).sum();
        let again = (range.end - range.start) - fresh;
        self.bytes += fresh;
        self.reinjected += again;
        self.near = self.near.max(DataOffset(range.end));
        self.seen.insert(range);
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_four_bytes_are_unwrapped_near_the_last() {
        let mut half = DataHalf { idsn: Some(DataSeq(0xffff_fff0)), ..DataHalf::default() };
        assert_eq!(half.offset(DssNumber::Four(0xffff_fff1)), Some(DataOffset(1)));
        assert_eq!(half.note(1..0x21), 0);
        assert_eq!(half.offset(DssNumber::Four(0x11)), Some(DataOffset(0x21)));
        assert_eq!(half.relative(DssNumber::Four(0x11)), DssNumber::Eight(0x21));
    }

    #[test]
    fn what_was_sent_before_is_reinjected() {
        let mut half = DataHalf::default();
        assert_eq!((half.note(1..101), half.note(51..151)), (0, 50));
        assert_eq!((half.bytes, half.reinjected), (150, 50));
    }

    #[test]
    fn only_what_was_multipath_falls_back() {
        let mut plain = Connection::new(Protocol::Tcp);
        plain.fall_back("infinite mapping");
        assert_eq!((plain.protocol, plain.fallback), (Protocol::Tcp, None));
    }

    #[test]
    fn numbers_out_of_this_world_are_no_offsets() {
        let mut half = DataHalf { idsn: Some(DataSeq(1)), ..DataHalf::default() };
        assert_eq!(half.offset(DssNumber::Eight(0)), None);
        assert_eq!(half.offset(DssNumber::Eight(1 << 62 | 1)), None);
    }
}
