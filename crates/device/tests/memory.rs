//! What a pair in memory does without offload.

mod common;

use common::{super_segment, tcp};
use manypath_device::{Device, Offload, memory};
use manypath_wire::Checksum;

#[test]
fn a_pair_without_offload_carries_packets_of_the_wire() {
    let (mut a, mut b) = memory::pair(1500, Offload::NONE).expect("descriptors are left");
    a.send(&super_segment("10.0.0.1", "10.0.0.2", 3000, 1400)).expect("works");
    let mut batch = Vec::new();
    assert_eq!(b.recv(&mut batch, 9).expect("works"), 3);
    let lengths = batch.iter().map(|d| tcp(d).expect("right checksums").1.payload.len());
    assert_eq!(lengths.collect::<Vec<_>>(), [1400, 1400, 200]);
    assert!(batch.iter().all(|d| d.gso_mss.is_none() && d.checksum == Checksum::Complete));
}

#[test]
fn a_pair_with_offload_carries_the_super_segment_whole() {
    let (mut a, mut b) = memory::pair(1500, Offload::FULL).expect("descriptors are left");
    let sent = super_segment("10.0.0.1", "10.0.0.2", 3000, 1400);
    a.send(&sent).expect("works");
    let mut batch = Vec::new();
    b.recv(&mut batch, 9).expect("works");
    assert_eq!(batch, [sent]);
}
