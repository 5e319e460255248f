//! One line for a segment, much as tcpdump writes it, with relative numbers at both levels.

use std::fmt::Write as _;
use std::net::SocketAddr;

use manypath_wire::{Flags, IcmpError, IpHeader, Segment};

use super::Way;
use super::connection::Connection;
use super::flow::{Flow, Place};
use super::segment::Notes;

/// The segment with numbers that count from the handshake: what is shown.
pub(super) fn relative(
    flow: &Flow,
    connection: &Connection,
    way: Way,
    mut segment: Segment,
) -> Segment {
    segment.seq = flow.halves.at(way).relative(segment.seq);
    let ack = |seq| flow.halves.at(way.flip()).relative(seq);
    if segment.flags.has(Flags::ACK) {
        segment.ack = ack(segment.ack);
    }
    for block in &mut segment.options.sack {
        *block = ack(block.start)..ack(block.end);
    }
    let data_way = if flow.place.reversed { way.flip() } else { way };
    let options = &mut segment.options.mptcp;
    options.dss = options.dss.as_ref().map(|dss| connection.relative_dss(data_way, dss));
    if let Some(fail) = &mut options.fail {
        fail.dsn = connection.data.at(data_way.flip()).relative_seq(fail.dsn);
    }
    segment
}

/// The line of a segment: when, where, which connection and subflow, what, and what it means.
pub(super) fn tcp(
    prefix: &str,
    place: Place,
    (src, dst): (SocketAddr, SocketAddr),
    segment: &Segment,
    notes: Notes,
) -> String {
    let Place { connection, subflow, .. } = place;
    let mut line = format!("{prefix} {connection}.{subflow} {src} > {dst}: {segment}");
    let Notes { retransmitted, reinjected, unmapped } = notes;
    let named = [
        (retransmitted, "retransmission"),
        (reinjected, "reinjection"),
        (unmapped, "without mapping"),
    ];
    for (bytes, name) in named.into_iter().filter(|(bytes, _)| *bytes > 0) {
        // Writing to a string cannot fail.
        let _ = write!(line, " ({name} {bytes})");
    }
    line
}

/// The line of an ICMP error.
pub(super) fn icmp(prefix: &str, place: Option<Place>, ip: &IpHeader, error: &IcmpError) -> String {
    let place = place.map_or_else(
        || "-".to_owned(),
        |Place { connection, subflow, .. }| format!("{connection}.{subflow}"),
    );
    format!("{prefix} {place} {} > {}: {error}", ip.src, ip.dst)
}
