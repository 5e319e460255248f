//! The order in which the connections of one host send.

mod common;

use bytes::Bytes;
use common::{addr, pattern, unpaced_host};
use manypath_base::Instant;
use manypath_mptcp::{ConnectOptions, Endpoint, ListenOptions};
use manypath_wire::{Packet, Transport};
use std::time::Duration;

const PORT: u16 = 80;
const LARGE: usize = 32 << 10;

/// What one host has to send goes to the other: the port and the payload of each packet.
fn carry(now: Instant, from: &mut Endpoint, to: &mut Endpoint) -> Vec<(u16, usize)> {
    let mut packets = Vec::new();
    while let Some(transmit) = from.poll_transmit(now) {
        packets.push(transmit);
    }
    let mut seen = Vec::new();
    for transmit in packets {
        let packet = Packet::parse(&transmit.datagram).expect("it is whole");
        if let Transport::Tcp(segment) = &packet.transport {
            seen.push((segment.src_port, segment.payload.len()));
        }
        to.handle_datagram(now, transmit.iface, &transmit.datagram);
    }
    seen
}

/// Two connections that have enough to send: the order in which their packets leave, from time to time.
fn orders(half_trip: Duration) -> Vec<Vec<(u16, usize)>> {
    let (mut client, mut server) = (unpaced_host(1), unpaced_host(2));
    let mut now = Instant::from_millis(1);
    let to = (addr(0, 2), PORT).into();
    let listener = server.listen(to, ListenOptions::default()).expect("nobody listens there");
    let options = ConnectOptions::default();
    let mut opened = || client.connect(now, to, &options).expect("there is a port");
    let ids = [opened(), opened()];
    let (mut accepted, mut orders) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        for &id in &ids {
            let mut chunk: Bytes = pattern(1, 0, 4 << 20);
            // Not before the handshake, and as much as there is room for.
            let _full = client.write(now, id, &mut chunk);
        }
        orders.push(carry(now, &mut client, &mut server));
        now += half_trip;
        accepted.extend(server.accept(listener));
        for &id in &accepted {
            while server.read(now, id).is_ok_and(|chunk| chunk.is_some()) {}
        }
        carry(now, &mut server, &mut client);
        now += half_trip;
    }
    orders
}

/// Lengths of runs of large packets of one connection.
fn runs(order: &[(u16, usize)]) -> Vec<usize> {
    let large = order.chunk_by(|a, b| a.0 == b.0 && a.1 >= LARGE && b.1 >= LARGE);
    large.map(<[_]>::len).collect()
}

#[test]
fn a_connection_sends_a_few_large_packets_in_a_row_and_small_ones_by_turns() {
    let orders = orders(Duration::from_millis(1));
    let first = orders.iter().find(|order| order.len() >= 8).expect("windows grew");
    let small: Vec<u16> = first[..4].iter().map(|&(port, _)| port).collect();
    assert!(first[0].1 < LARGE && small[0] != small[1] && small[0] == small[2], "{first:?}");
    let last = orders.iter().rev().find(|order| order.len() >= 16).expect("windows are large");
    assert_eq!(runs(&last[..8]), [4, 4], "{last:?}");
}

#[test]
fn to_a_peer_beside_this_host_more_packets_leave_in_a_row() {
    let order: Vec<_> = orders(Duration::from_micros(50)).concat();
    let runs = runs(&order[order.len() - 500..]);
    // The first and the last are cut; a window ends a turn, too.
    let turns = &runs[1..runs.len() - 1];
    assert!(turns.len() > 9 && turns.iter().all(|run| (17..=32).contains(run)), "{runs:?}");
}
