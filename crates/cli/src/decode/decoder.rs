//! Packets in, lines out: finds the flow and the connection of each segment.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use manypath_base::Token;
use manypath_device::CapturedPacket;
use manypath_wire::{Error, Flags, MpJoin, Segment, Transport};

use super::connection::{Connection, Protocol};
use super::flow::{Flow, Place, State};
use super::segment::{Notes, take};
use super::summary::{ConnectionSummary, Summary};
use super::{Both, Way, line, packet};

/// What a packet turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A segment of a connection, or an ICMP error about one, as a line of text.
    Line {
        /// Number of the connection; `None` for an ICMP error about one that was not seen.
        connection: Option<usize>,
        /// The line.
        text: String,
    },
    /// A packet that is not understood.
    Malformed(Error),
    /// Not TCP.
    Other,
}

/// The analysis of a capture.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    flows: Vec<Flow>,
    connections: Vec<Connection>,
    /// The latest flow between two addresses, from either.
    index: HashMap<(SocketAddr, SocketAddr), usize>,
    packets: u64,
    segments: u64,
    not_tcp: u64,
    malformed: BTreeMap<Error, u64>,
    /// When the first packet was captured, in nanoseconds.
    first: Option<u64>,
}

impl Decoder {
    /// Takes the next packet in.
    pub(crate) fn packet(&mut self, captured: &CapturedPacket) -> Decoded {
        self.packets += 1;
        let first = *self.first.get_or_insert(captured.timestamp_nanos);
        let time = packet::seconds(first, captured.timestamp_nanos);
        let prefix = format!("{time} {}", captured.interface_name);
        let packet = match packet::read(captured) {
            Ok(packet) => packet,
            Err(Error::NotTcp) => {
                self.not_tcp += 1;
                return Decoded::Other;
            }
            Err(error) => {
                *self.malformed.entry(error).or_default() += 1;
                return Decoded::Malformed(error);
            }
        };
        match packet.transport {
            Transport::Icmp(error) => {
                let flow = self.index.get(&(error.local, error.remote));
                let place = flow.map(|&flow| self.flows[flow].place);
                let text = line::icmp(&prefix, place, &packet.ip, &error);
                Decoded::Line { connection: place.map(|place| place.connection), text }
            }
            Transport::Tcp(segment) => {
                let src = SocketAddr::new(packet.ip.src, segment.src_port);
                let dst = SocketAddr::new(packet.ip.dst, segment.dst_port);
                let (flow, notes) = self.segment(captured, src, dst, &segment);
                let (flow, place) = (&self.flows[flow], self.flows[flow].place);
                let connection = &self.connections[place.connection];
                let segment = line::relative(flow, connection, flow.way_from(src), *segment);
                let text = line::tcp(&prefix, place, (src, dst), &segment, notes);
                Decoded::Line { connection: Some(place.connection), text }
            }
        }
    }

    /// What the capture held; `skipped` packets of it were not IP.
    pub(crate) fn summary(&self, skipped: u64) -> Summary {
        let malformed = self.malformed.iter().map(|(reason, &n)| (reason.to_string(), n));
        let connections = self.connections.iter().enumerate();
        Summary {
            packets: self.packets,
            segments: self.segments,
            not_tcp: self.not_tcp,
            not_ip: skipped,
            malformed: malformed.collect(),
            connections: connections
                .map(|(id, connection)| ConnectionSummary::of(id, connection, &self.flows))
                .collect(),
        }
    }

    fn segment(
        &mut self,
        captured: &CapturedPacket,
        src: SocketAddr,
        dst: SocketAddr,
        segment: &Segment,
    ) -> (usize, Notes) {
        self.segments += 1;
        let index = self.flow_of(src, dst, segment).unwrap_or_else(|| {
            let new = self.new_flow(captured, src, dst, segment);
            self.index.insert((src, dst), new);
            self.index.insert((dst, src), new);
            new
        });
        let flow = &mut self.flows[index];
        let way = flow.way_from(src);
        flow.times.end = captured.timestamp_nanos;
        let connection = &mut self.connections[flow.place.connection];
        let notes = take(connection, flow, way, segment);
        (index, notes)
    }

    /// The flow that a segment belongs to, unless it begins one.
    fn flow_of(&self, src: SocketAddr, dst: SocketAddr, segment: &Segment) -> Option<usize> {
        let &index = self.index.get(&(src, dst))?;
        let flow = &self.flows[index];
        let begins = segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::ACK);
        let known = flow.halves.at(flow.way_from(src)).isn();
        let again = begins && known.is_some_and(|isn| isn != segment.seq);
        (!again).then_some(index)
    }

    fn new_flow(
        &mut self,
        captured: &CapturedPacket,
        src: SocketAddr,
        dst: SocketAddr,
        segment: &Segment,
    ) -> usize {
        let (syn, ack) = (segment.flags.has(Flags::SYN), segment.flags.has(Flags::ACK));
        let (opener, peer) = if syn && ack { (dst, src) } else { (src, dst) };
        let (connection, reversed) = self.connection_for(segment);
        let flows = &mut self.connections[connection].flows;
        let index = self.flows.len();
        flows.push(index);
        self.flows.push(Flow {
            place: Place { connection, subflow: flows.len() - 1, reversed },
            opener,
            peer,
            interface: captured.interface_name.clone(),
            state: if syn { State::Requested } else { State::Established },
            halves: Both::default(),
            times: captured.timestamp_nanos..captured.timestamp_nanos,
        });
        index
    }

    /// The connection of a flow that begins with `segment`, and whether it is reversed.
    fn connection_for(&mut self, segment: &Segment) -> (usize, bool) {
        let options = &segment.options.mptcp;
        if let Some(MpJoin::Syn { token, .. }) = options.join {
            return self.connection_by_token(token);
        }
        let capable = options.capable.is_some();
        let protocol = match segment.flags.has(Flags::SYN) {
            true if capable => Protocol::Negotiating,
            false if !options.is_empty() => Protocol::Multipath,
            _ => Protocol::Tcp,
        };
        self.connections.push(Connection::new(protocol));
        (self.connections.len() - 1, false)
    }

    /// The connection that an MP_JOIN names by its receiver's token. One whose handshake lies
    /// before the capture begins here; the joining side counts as its opener.
    fn connection_by_token(&mut self, token: Token) -> (usize, bool) {
        let known = self.connections.iter().enumerate().rev().find_map(|(index, connection)| {
            let has = |way| *connection.tokens.at(way) == Some(token);
            [(Way::Down, false), (Way::Up, true)]
                .into_iter()
                .find(|&(way, _)| has(way))
                .map(|(_, reversed)| (index, reversed))
        });
        known.unwrap_or_else(|| {
            let mut connection = Connection::new(Protocol::Multipath);
            connection.tokens.down = Some(token);
            self.connections.push(connection);
            (self.connections.len() - 1, false)
        })
    }
}

#[cfg(test)]
mod tests {
    use manypath_base::{AddrId, Key};
    use manypath_wire::{CapableFlags, Dss, DssMapping, DssNumber, MpCapable, MptcpOptions};

    use super::*;
    use crate::decode::keys;
    use crate::decode::testing::{Build, Side, captured, segment};

    const A: Key = Key([1; 8]);
    const B: Key = Key([2; 8]);
    const FLAGS: CapableFlags = CapableFlags::HMAC_SHA256;

    fn capable(option: MpCapable) -> MptcpOptions {
        MptcpOptions { capable: Some(option), ..MptcpOptions::default() }
    }

    fn syn() -> Build {
        segment().flags(Flags::SYN).mptcp(capable(MpCapable::Syn { version: 1, flags: FLAGS }))
    }

    fn syn_ack() -> Build {
        let option = MpCapable::SynAck { version: 1, flags: FLAGS, sender_key: B };
        segment().flags(Flags::SYN | Flags::ACK).seq(500).ack(1).mptcp(capable(option))
    }

    fn third_ack() -> Build {
        let (version, flags, sender_key, receiver_key) = (1, FLAGS, A, B);
        let option = MpCapable::Ack { version, flags, sender_key, receiver_key, data: None };
        segment().seq(1).ack(501).mptcp(capable(option))
    }

    fn data(seq: u32, ssn: u32, offset: u64, len: u16, fin: bool) -> Build {
        let dsn = DssNumber::Eight(keys::idsn(A).wrapping_add(offset).0);
        let mapping = DssMapping { dsn, ssn, len: len + u16::from(fin), checksum: None };
        let dss = Dss { data_fin: fin, data_ack: None, mapping: Some(mapping) };
        let options = MptcpOptions { dss: Some(dss), ..MptcpOptions::default() };
        segment().seq(seq).ack(501).mptcp(options).payload(&vec![7; usize::from(len)])
    }

    fn join(token: Token) -> Build {
        let join = MpJoin::Syn { backup: false, addr_id: AddrId(2), token, nonce: 9 };
        let options = MptcpOptions { join: Some(join), ..MptcpOptions::default() };
        segment().flags(Flags::SYN).seq(9_000).mptcp(options)
    }

    fn decode(packets: &[(Side, Build)]) -> (Summary, Vec<String>) {
        let mut decoder = Decoder::default();
        let lines = packets.iter().filter_map(|(side, build)| {
            match decoder.packet(&captured(*side, build)) {
                Decoded::Line { text, .. } => Some(text),
                Decoded::Malformed(_) | Decoded::Other => None,
            }
        });
        let lines = lines.collect();
        (decoder.summary(0), lines)
    }

    fn handshake() -> Vec<(Side, Build)> {
        vec![(Side::A, syn()), (Side::ServerToA, syn_ack()), (Side::A, third_ack())]
    }

    #[test]
    fn a_join_finds_its_connection_by_the_token() {
        let mut packets = handshake();
        packets.push((Side::B, join(keys::token(B))));
        let (summary, lines) = decode(&packets);
        assert_eq!(summary.connections.len(), 1);
        let connection = &summary.connections[0];
        assert_eq!((connection.protocol, connection.handshake), (Protocol::Multipath, true));
        assert_eq!(connection.subflows[1].opener, "10.0.0.2:2000");
        assert!(!connection.subflows[1].reversed);
        assert!(lines[3].contains(" 0.1 10.0.0.2:2000 > 10.0.0.9:80: Flags [S]"), "{}", lines[3]);
    }

    #[test]
    fn a_join_by_the_server_is_reversed() {
        let mut packets = handshake();
        packets.push((Side::ServerToB, join(keys::token(A))));
        let (summary, _) = decode(&packets);
        let subflow = &summary.connections[0].subflows[1];
        assert_eq!((subflow.reversed, &subflow.opener[..]), (true, "10.0.0.2:2000"));
    }

    #[test]
    fn a_join_with_an_unknown_token_begins_a_connection_without_handshake() {
        let (summary, _) = decode(&[(Side::B, join(Token(7))), (Side::B, join(Token(7)))]);
        let connection = &summary.connections[0];
        assert_eq!((summary.connections.len(), connection.subflows.len()), (1, 1));
        assert_eq!(
            (connection.handshake, connection.tokens.down.as_deref()),
            (false, Some("00000007"))
        );
    }

    #[test]
    fn numbers_count_from_the_handshake_at_both_levels() {
        let mut packets = handshake();
        packets.push((Side::A, data(1, 1, 1, 100, false)));
        let (summary, lines) = decode(&packets);
        assert!(lines[3].contains("seq 1:101, ack 1,"), "{}", lines[3]);
        assert!(lines[3].contains("dss seq 1 subseq 1 len 100"), "{}", lines[3]);
        assert_eq!(summary.connections[0].bytes, Both { up: 100, down: 0 });
    }

    #[test]
    fn sent_again_is_told_from_sent_on_another_subflow() {
        let mut packets = handshake();
        packets.extend([
            (Side::A, data(1, 1, 1, 100, false)),
            (Side::A, data(1, 1, 1, 100, false)),
            (Side::B, join(keys::token(B))),
            (Side::B, data(9_001, 1, 51, 100, true)),
        ]);
        let (summary, lines) = decode(&packets);
        let connection = &summary.connections[0];
        assert_eq!((connection.bytes.up, connection.retransmitted.up), (150, 100));
        assert_eq!((connection.reinjected.up, connection.data_fin.up), (50, true));
        assert!(lines[4].ends_with("(retransmission 100)"), "{}", lines[4]);
        assert!(lines[6].ends_with("(reinjection 50)"), "{}", lines[6]);
        assert_eq!(connection.subflows[1].bytes, Both { up: 100, down: 0 });
    }

    #[test]
    fn each_way_of_falling_back_has_its_name() {
        let plain = segment().flags(Flags::SYN | Flags::ACK).seq(500).ack(1);
        let why = |packets: &[(Side, Build)]| decode(packets).0.connections[0].fallback;
        assert_eq!(
            why(&[(Side::A, syn()), (Side::ServerToA, plain)]),
            Some("SYN/ACK without MP_CAPABLE")
        );
        assert_eq!(
            why(&[(Side::A, syn()), (Side::A, segment().flags(Flags::SYN))]),
            Some("SYN repeated without MP_CAPABLE")
        );
        let mut packets = handshake();
        packets[2].1 = segment().seq(1).ack(501);
        assert_eq!(why(&packets), Some("third ACK without MP_CAPABLE"));
        let mut packets = handshake();
        packets.push((Side::A, data(1, 1, 1, 0, false)));
        assert_eq!(why(&packets), Some("infinite mapping"));
    }

    #[test]
    fn data_without_mapping_is_counted() {
        let mut packets = handshake();
        packets.push((Side::A, segment().seq(1).ack(501).payload(&[7; 30])));
        let (summary, lines) = decode(&packets);
        assert_eq!(summary.connections[0].unmapped.up, 30);
        assert!(lines[3].ends_with("(without mapping 30)"), "{}", lines[3]);
    }

    #[test]
    fn a_capture_from_the_middle_finds_its_numbers_in_a_mapping() {
        let ack = segment().seq(70_000).ack(501);
        let (summary, lines) =
            decode(&[(Side::A, ack), (Side::A, data(70_000, 4_001, 9, 100, false))]);
        let connection = &summary.connections[0];
        assert_eq!((connection.protocol, connection.handshake), (Protocol::Multipath, false));
        assert_eq!((connection.bytes.up, connection.unmapped.up), (100, 0));
        assert!(lines[1].contains("seq 4001:4101"), "{}", lines[1]);
    }

    #[test]
    fn a_port_used_again_is_another_connection() {
        let mut packets = handshake();
        packets.push((Side::A, segment().flags(Flags::SYN).seq(77)));
        let (summary, _) = decode(&packets);
        assert_eq!(summary.connections.len(), 2);
        assert_eq!(summary.connections[1].protocol, Protocol::Tcp);
    }

    #[test]
    fn what_is_not_understood_is_counted_by_reason() {
        let mut decoder = Decoder::default();
        let mut broken = captured(Side::A, &syn());
        broken.data.truncate(10);
        assert_eq!(decoder.packet(&broken), Decoded::Malformed(Error::Truncated));
        broken.data = bytes::Bytes::from_static(&[0x20; 40]);
        assert_eq!(decoder.packet(&broken), Decoded::Malformed(Error::IpVersion));
        let malformed = decoder.summary(0).malformed;
        assert_eq!(malformed.values().copied().collect::<Vec<_>>(), [1, 1]);
    }
}
