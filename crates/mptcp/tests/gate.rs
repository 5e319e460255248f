//! Many connections to a host beside this one: what they have in flight together, and whose turn it is.

mod common;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use common::{addr, pattern, unpaced_host};
use manypath_base::Instant;
use manypath_mptcp::{ConnId, ConnectOptions, Endpoint, ListenOptions, ListenerId};
use manypath_wire::{Datagram, Packet, Segment, Transport};

const PORT: u16 = 80;
/// What all may have in flight when one begins its turn, and with that turn.
const LIMIT: RangeInclusive<u64> = (1 << 20)..=(1 << 20) + (2 << 20);

struct Pair {
    now: Instant,
    client: Endpoint,
    server: Endpoint,
    half_trip: Duration,
    listener: ListenerId,
    senders: Vec<ConnId>,
    readers: Vec<ConnId>,
    block: Bytes,
    /// What the server said last to each port of the client.
    windows: BTreeMap<u16, u16>,
}

fn segment(datagram: &Datagram) -> Box<Segment> {
    let parsed = Packet::parse(datagram).expect("it is whole");
    let Transport::Tcp(segment) = parsed.transport else { panic!("of TCP") };
    segment
}

impl Pair {
    fn new(half_trip: Duration, connections: usize) -> Self {
        let now = Instant::from_millis(1);
        let (mut client, mut server) = (unpaced_host(1), unpaced_host(2));
        let to = (addr(0, 2), PORT).into();
        let listener = server.listen(to, ListenOptions::default()).expect("nobody listens there");
        let options = ConnectOptions::default();
        let open = |_| client.connect(now, to, &options).expect("there is a port");
        let senders = (0..connections).map(open).collect();
        let (readers, block, windows) = (Vec::new(), pattern(1, 0, 4 << 20), BTreeMap::new());
        let mut pair =
            Self { now, client, server, half_trip, listener, senders, readers, block, windows };
        for _ in 0..4 {
            pair.round();
        }
        pair
    }

    /// As much of 4 MB as there is room for.
    fn write(&mut self, sender: usize) {
        let mut chunk = self.block.clone();
        let _full = self.client.write(self.now, self.senders[sender], &mut chunk);
    }

    /// A round trip; the payload bytes that each port of the client sent.
    fn round(&mut self) -> BTreeMap<u16, u64> {
        let mut sent = BTreeMap::new();
        let Self { now, client, server, half_trip, .. } = self;
        client.handle_timeout(*now);
        let packets: Vec<_> = std::iter::from_fn(|| client.poll_transmit(*now)).collect();
        *now += *half_trip;
        for packet in packets {
            let segment = segment(&packet.datagram);
            *sent.entry(segment.src_port).or_default() += segment.payload.len() as u64;
            server.handle_datagram(*now, packet.iface, &packet.datagram);
        }
        self.readers.extend(std::iter::from_fn(|| server.accept(self.listener)));
        for &id in &self.readers {
            while server.read(*now, id).is_ok_and(|chunk| chunk.is_some()) {}
        }
        server.handle_timeout(*now);
        let packets: Vec<_> = std::iter::from_fn(|| server.poll_transmit(*now)).collect();
        *now += *half_trip;
        for packet in packets {
            let segment = segment(&packet.datagram);
            self.windows.insert(segment.dst_port, segment.window);
            client.handle_datagram(*now, packet.iface, &packet.datagram);
        }
        sent
    }

    /// Rounds in which each always has more to send: what each port sent in every one.
    fn rounds(&mut self, rounds: usize) -> Vec<BTreeMap<u16, u64>> {
        let one = |_| {
            (0..self.senders.len()).for_each(|sender| self.write(sender));
            self.round()
        };
        (0..rounds).map(one).collect()
    }
}

const NEAR: Duration = Duration::from_micros(50);

#[test]
fn what_is_in_flight_to_a_host_beside_this_one_has_a_limit_for_all_together() {
    let all = |pair: &mut Pair| {
        let rounds = pair.rounds(60);
        rounds[40..].iter().map(|sent| sent.values().sum::<u64>()).max().expect("there are rounds")
    };
    let near = all(&mut Pair::new(NEAR, 16));
    assert!(LIMIT.contains(&near), "{near}");
    let far = all(&mut Pair::new(Duration::from_millis(1), 16));
    assert!(far > 2 * LIMIT.end(), "{far} of a host that is not");
}

#[test]
fn those_that_wait_have_their_turns_in_order() {
    let mut pair = Pair::new(NEAR, 16);
    pair.rounds(40);
    let mut sent = BTreeMap::<u16, u64>::new();
    for round in pair.rounds(64) {
        round.into_iter().for_each(|(port, bytes)| *sent.entry(port).or_default() += bytes);
    }
    let (least, most) = (sent.values().min(), sent.values().max());
    let (least, most) = (least.expect("all sent"), most.expect("all sent"));
    assert_eq!(sent.len(), 16);
    assert!(most - least <= 2 << 20, "a turn apart at most: {least} to {most}");
}

#[test]
fn a_request_waits_for_no_turn() {
    let mut pair = Pair::new(NEAR, 17);
    pair.senders.rotate_right(1);
    let asker = pair.senders.pop().expect("there is one");
    pair.rounds(40);
    (0..16).for_each(|sender| pair.write(sender));
    let mut request = pattern(1, 0, 100);
    pair.client.write(pair.now, asker, &mut request).expect("there is room");
    assert!(pair.round().values().any(|&bytes| bytes == 100), "in the same round");
}

#[test]
fn everything_arrives_when_those_before_are_done() {
    let mut pair = Pair::new(NEAR, 16);
    (0..16).for_each(|sender| pair.write(sender));
    let sent: u64 = (0..200).map(|_| pair.round().values().sum::<u64>()).sum();
    let read = pair.readers.iter().filter_map(|&id| pair.server.info(id));
    assert_eq!(read.map(|info| info.bytes_received).sum::<u64>(), 16 * (4 << 20), "{sent} sent");
}

#[test]
fn a_host_is_beside_where_all_connections_together_are_fast_enough() {
    let mut pair = Pair::new(NEAR, 100);
    // Both are busy from now on: a turn of one megabyte in 10 ms is less than 1 Gbit/s.
    pair.half_trip = Duration::from_millis(5);
    for late in &pair.rounds(40)[20..] {
        let all: u64 = late.values().sum();
        assert!(LIMIT.contains(&all), "{all}: {late:?}");
    }
}

/// A buffer of one of the first has a megabyte, of the last a quarter of that.
#[test]
fn who_came_first_has_no_larger_window_in_the_end() {
    let mut pair = Pair::new(NEAR, 400);
    pair.half_trip = Duration::from_millis(2);
    let spread = |pair: &Pair| {
        let windows = || pair.windows.values().copied();
        [windows().min().expect("all are told"), windows().max().expect("all are told")]
    };
    let [least, most] = spread(&pair);
    assert!(most >= 3 * least, "{least} to {most}");
    pair.rounds(400);
    let [least, most] = spread(&pair);
    assert!(most - least <= least / 8, "{least} to {most}");
}
