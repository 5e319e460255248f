//! No bytes make the crate panic, and what is accepted can be sent again.

use bytes::Bytes;
use manypath_base::Mss;
use manypath_wire::{Checksum, Coalescer, Datagram, Packet, Sum, segment};
use proptest::prelude::*;

use crate::flat;
use crate::strategies::{icmp_packet, tcp_packet};

/// Gives a datagram to everything that reads datagrams.
fn feed(d: &Datagram) {
    if let Ok(packet) = Packet::parse(d) {
        let again = packet.emit(None, Checksum::Complete);
        assert_eq!(Packet::parse(&again).as_ref(), Ok(&packet));
        assert!(packet.to_string().len() > 10);
    }
    let cut = segment(Datagram { gso_mss: Some(Mss(7)), ..d.clone() });
    assert!(cut.count() > 0);
    let mut coalescer = Coalescer::default();
    let out = [coalescer.push(d.clone()), coalescer.push(d.clone()), coalescer.flush()];
    assert!(out.iter().flatten().count() > 0);
}

/// The bytes as any device may give them: torn at `at`, first part in the header or not.
fn datagram(bytes: &[u8], at: usize, in_header: bool, checksum: Checksum) -> Datagram {
    let (front, back) = bytes.split_at(at.min(bytes.len()));
    let mut d = Datagram { checksum, ..Datagram::default() };
    if in_header {
        d.header = front.into();
    } else {
        d.payload.push(Bytes::copy_from_slice(front));
    }
    d.payload.push(Bytes::copy_from_slice(back));
    d
}

/// Makes the IPv4 header checksum right again, so that damage gets further than that.
fn mend(bytes: &mut [u8]) {
    let header = usize::from(bytes[0] & 0x0f) * 4;
    if bytes[0] >> 4 == 4 && (20..=bytes.len()).contains(&header) {
        bytes[10..12].fill(0);
        let mut sum = Sum::new();
        sum.add(&bytes[..header]);
        bytes[10..12].copy_from_slice(&sum.checksum().to_be_bytes());
    }
}

fn checksum() -> impl Strategy<Value = Checksum> {
    prop_oneof![Just(Checksum::Complete), Just(Checksum::Offloaded)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        version in prop_oneof![Just(0x45u8), Just(0x60), any::<u8>()],
        (at, in_header) in (0usize..120, any::<bool>()), checksum in checksum(),
    ) {
        let bytes = [vec![version], bytes].concat();
        feed(&datagram(&bytes, at, in_header, checksum));
    }

    #[test]
    fn damaged_packets(
        packet in prop_oneof![3 => tcp_packet(30), 1 => icmp_packet()],
        edits in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        keep in prop_oneof![3 => Just(usize::MAX), 1 => 0usize..140],
        (at, in_header) in (0usize..140, any::<bool>()), checksum in checksum(),
    ) {
        let mut bytes = flat(&packet.emit(None, checksum));
        for (at, value) in edits {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        mend(&mut bytes);
        bytes.truncate(keep.max(1));
        feed(&datagram(&bytes, at, in_header, checksum));
    }
}
