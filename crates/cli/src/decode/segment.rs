//! What a segment does to its flow and its connection: handshake, announcements, mappings, bytes.

use std::net::SocketAddr;

use manypath_base::{DataOffset, SubflowOffset};
use manypath_wire::{Flags, MpCapable, MptcpOptions, Segment};

use super::Way;
use super::connection::{Connection, Mapped, Protocol};
use super::flow::Flow;
use super::packet::payload_len;

/// What a segment did, to be told behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Payload bytes sent again on the same subflow.
    pub(crate) retransmitted: u64,
    /// Payload bytes that another subflow had sent before.
    pub(crate) reinjected: u64,
    /// Payload bytes of a multipath connection in no mapping.
    pub(crate) unmapped: u64,
}

/// Takes a segment in that went `way` on `flow` of `connection`.
pub(super) fn take(
    connection: &mut Connection,
    flow: &mut Flow,
    way: Way,
    segment: &Segment,
) -> Notes {
    flow.note_flags(way, segment.flags);
    let data_way = if flow.place.reversed { way.flip() } else { way };
    let options = &segment.options.mptcp;
    if flow.place.subflow == 0 {
        negotiate(connection, way, segment);
    }
    announce(connection, data_way, options);
    if let Some(mapped) = mapping(connection, data_way, options) {
        if !segment.payload.is_empty() {
            flow.halves.at_mut(way).learn_isn(segment.seq, mapped.ssn);
        }
        flow.halves.at_mut(way).map(mapped.ssn, mapped.len, mapped.start);
    }
    payload(connection, flow, way, segment)
}

/// Follows the handshake on the first flow of a connection (RFC 8684 §3.1, §3.7).
fn negotiate(connection: &mut Connection, way: Way, segment: &Segment) {
    let (flags, options) = (segment.flags, &segment.options.mptcp);
    if let Some(capable) = &options.capable {
        connection.note_capable(way, capable);
    }
    if connection.protocol == Protocol::Tcp && options.dss.is_some() {
        connection.protocol = Protocol::Multipath;
    }
    if connection.protocol != Protocol::Negotiating || flags.has(Flags::RST) {
        return;
    }
    match (flags.has(Flags::SYN), way, options.capable) {
        (true, Way::Up, None) => connection.fall_back("SYN repeated without MP_CAPABLE"),
        (true, Way::Down, None) => connection.fall_back("SYN/ACK without MP_CAPABLE"),
        (false, Way::Up, None) if options.dss.is_none() => {
            connection.fall_back("third ACK without MP_CAPABLE");
        }
        _ => {}
    }
}

/// Notes what one side tells the other about its addresses, and the end.
fn announce(connection: &mut Connection, way: Way, options: &MptcpOptions) {
    let list = connection.announcements.at_mut(way);
    let added = options.add_addr.as_ref().filter(|add| add.hmac.is_some());
    let text = added.map(|add| {
        let addr = add
            .port
            .map_or(add.addr.to_string(), |port| SocketAddr::new(add.addr, port).to_string());
        format!("add id {} {addr}", add.id.0)
    });
    let removed = options.remove_addr.as_ref().map(|remove| {
        let ids: Vec<String> = remove.ids.iter().map(|id| id.0.to_string()).collect();
        format!("remove id {}", ids.join(" "))
    });
    for text in text.into_iter().chain(removed) {
        if list.last() != Some(&text) {
            list.push(text);
        }
    }
    if options.fastclose.is_some() {
        connection.fast_close = true;
    }
    if options.fail.is_some() {
        connection.fall_back("MP_FAIL");
    }
}

/// The mapping of a segment: of its DSS, or of an MP_CAPABLE that carries data, which is mapped
/// to the first data sequence number (RFC 8684 §3.1).
fn mapping(connection: &mut Connection, way: Way, options: &MptcpOptions) -> Option<Mapped> {
    if let Some(MpCapable::Ack { data: Some((len, _)), .. }) = options.capable {
        let start = DataOffset(1);
        return Some(Mapped { ssn: 1, len: u64::from(len), start });
    }
    connection.note_dss(way, options.dss.as_ref()?)
}

fn payload(connection: &mut Connection, flow: &mut Flow, way: Way, segment: &Segment) -> Notes {
    let (syn, len) = (segment.flags.has(Flags::SYN), payload_len(segment));
    let data = connection.data.at_mut(if flow.place.reversed { way.flip() } else { way });
    let half = flow.halves.at_mut(way);
    half.segments += 1;
    let Some(at) = half.offset(segment.seq, syn).filter(|_| len > 0) else {
        return Notes::default();
    };
    let at = SubflowOffset(at.0 + u64::from(syn));
    let before = half.retransmitted;
    let mut notes = Notes::default();
    for part in half.note_payload(at, len) {
        let (ranges, unmapped) = half.data_of(&part);
        if connection.protocol == Protocol::Multipath {
            notes.unmapped += unmapped;
        }
        notes.reinjected += ranges.into_iter().map(|range| data.note(range)).sum::<u64>();
    }
    data.unmapped += notes.unmapped;
    notes.retransmitted = half.retransmitted - before;
    notes
}
