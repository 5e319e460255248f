//! What is emitted is read as the same.

use bytes::Bytes;
use manypath_wire::{Checksum, Datagram, Error, Options, Packet, Writer};
use proptest::prelude::*;

use crate::strategies::{icmp_packet, one_option, options, tcp_packet};
use crate::{flat, received, unverified};

/// The bytes of options, and that they are as many as promised.
fn emit(options: &Options) -> Vec<u8> {
    let mut place = [0; Options::MAX_LEN];
    let mut w = Writer::new(&mut place);
    options.emit(&mut w).unwrap();
    assert_eq!(w.len(), options.len());
    assert_eq!(w.len() % 4, 0);
    w.written().to_vec()
}

/// Options as nobody emits them: any kinds, lengths and bodies, cut where the space ends.
fn wild_options() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![0u8..=8, Just(28), Just(30), Just(34), any::<u8>()];
    let option =
        (kind, prop::collection::vec(any::<u8>(), 0..30)).prop_map(|(kind, body)| match kind {
            0 | 1 => vec![1],
            kind => [&[kind, u8::try_from(body.len() + 2).unwrap()], &body[..]].concat(),
        });
    prop::collection::vec(option, 0..6).prop_map(|options| {
        let fits = |bytes: Vec<u8>, option: Vec<u8>| {
            if bytes.len() + option.len() <= 40 { [bytes, option].concat() } else { bytes }
        };
        options.into_iter().fold(Vec::new(), fits)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_option_alone(options in one_option()) {
        prop_assert_eq!(Options::parse(&emit(&options)), Ok(options));
    }

    #[test]
    fn options_together(options in options()) {
        prop_assert_eq!(Options::parse(&emit(&options)), Ok(options));
    }

    #[test]
    fn whatever_is_read_can_be_sent_again(bytes in wild_options()) {
        let options = Options::parse(&bytes).unwrap();
        prop_assert_eq!(Options::parse(&emit(&options)), Ok(options));
    }

    #[test]
    fn tcp_packets(packet in tcp_packet(100)) {
        let sent = packet.emit(None, Checksum::Complete);
        prop_assert_eq!(Packet::parse(&sent), Ok(packet.clone()));
        prop_assert_eq!(Packet::parse(&received(&flat(&sent))), Ok(packet.clone()));
        let offloaded = packet.emit(None, Checksum::Offloaded);
        prop_assert_eq!(Packet::parse(&offloaded), Ok(packet.clone()));
    }

    #[test]
    fn icmp_packets(packet in icmp_packet()) {
        let sent = packet.emit(None, Checksum::Complete);
        prop_assert_eq!(Packet::parse(&sent), Ok(packet.clone()));
        let (front, back) = sent.header.split_at(sent.header.len() - 5);
        let payload = Bytes::copy_from_slice(back).into();
        let torn = Datagram { header: front.into(), payload, ..sent.clone() };
        prop_assert_eq!(Packet::parse(&torn), Ok(packet));
    }

    /// Padding of the link is cut off, wherever the bytes lie.
    #[test]
    fn padding_and_seams_change_nothing(
        packet in tcp_packet(50), padding in prop::collection::vec(any::<u8>(), 0..9), at: usize,
    ) {
        let sent = packet.emit(None, Checksum::Complete);
        let bytes = [flat(&sent), padding].concat();
        let at = sent.header.len() + at % (bytes.len() - sent.header.len() + 1);
        let (front, back) = bytes.split_at(at);
        let in_header = Datagram {
            header: front.into(),
            payload: Bytes::copy_from_slice(back).into(),
            ..Datagram::default()
        };
        prop_assert_eq!(Packet::parse(&in_header), Ok(packet.clone()));
        let mut in_chunks = received(front);
        in_chunks.payload.push(Bytes::copy_from_slice(back));
        prop_assert_eq!(Packet::parse(&in_chunks), Ok(packet.clone()));
    }

    /// A bit that flips in the TCP part is noticed, unless the device vouches for the packet.
    #[test]
    fn the_checksum_notices_a_flipped_bit(packet in tcp_packet(50), at: usize, bit in 0u8..8) {
        let sent = packet.emit(None, Checksum::Complete);
        let start = if packet.ip.src.is_ipv4() { 20 } else { 40 };
        let mut bytes = flat(&sent);
        let at = start + at % (bytes.len() - start);
        bytes[at] ^= 1 << bit;
        prop_assert!(Packet::parse(&received(&bytes)).is_err());
        if at >= sent.header.len() {
            prop_assert!(Packet::parse(&unverified(received(&bytes))).is_ok());
        }
    }

    /// With offload the field holds what a device starts from: sum it up, and it is complete.
    #[test]
    fn a_device_completes_the_offloaded_checksum(packet in tcp_packet(100)) {
        let start = if packet.ip.src.is_ipv4() { 20 } else { 40 };
        let mut bytes = flat(&packet.emit(None, Checksum::Offloaded));
        let mut sum = manypath_wire::Sum::new();
        sum.add(&bytes[start..]);
        bytes[start + 16..start + 18].copy_from_slice(&sum.checksum().to_be_bytes());
        prop_assert_eq!(Packet::parse(&received(&bytes)), Ok(packet));
    }
}

#[test]
fn a_packet_that_is_cut_off_is_truncated_even_if_a_device_vouches() {
    for (name, bytes, _) in crate::captures::packets() {
        for len in 0..bytes.len() {
            let d = unverified(received(&bytes[..len]));
            assert_eq!(Packet::parse(&d), Err(Error::Truncated), "{name}, {len} bytes");
        }
    }
}

#[test]
fn an_option_that_nobody_can_skip_spoils_the_segment() {
    for bytes in [&[8, 0][..], &[8, 1], &[30, 200, 0], &[1, 1, 8], &[2, 4, 5]] {
        assert_eq!(Options::parse(bytes), Err(Error::BadOption), "{bytes:?}");
    }
}

#[test]
fn an_option_of_another_length_spoils_nothing_else() {
    let mss_of_3_bytes = [2, 3, 9];
    let dss_cut_short = [30, 6, 0x20, 0x01, 0, 0];
    let join_of_13_bytes = [30, 13, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mss = [2, 4, 5, 0xb4];
    let bytes = [&mss_of_3_bytes[..], &dss_cut_short, &join_of_13_bytes, &mss].concat();
    let options = Options::parse(&bytes).unwrap();
    assert_eq!(options.mss, Some(1460));
    assert_eq!(options.unknown.len(), 1);
    assert_eq!((options.mptcp.dss, options.mptcp.join), (None, None));
    assert_eq!(options.mptcp.unknown.len(), 2);
}

#[test]
fn the_first_of_two_counts_and_nothing_counts_behind_the_end() {
    let bytes = [[2, 4, 0, 1], [2, 4, 0, 2], [0, 3, 3, 7]].concat();
    let options = Options::parse(&bytes).unwrap();
    assert_eq!(options, Options { mss: Some(1), ..Options::default() });
}

#[test]
fn options_that_do_not_fit_say_so() {
    let options = Options {
        fast_open: Some([0; 16].into()),
        sack: vec![manypath_base::SeqNum(1)..manypath_base::SeqNum(2); 3].into(),
        ..Options::default()
    };
    assert!(options.len() > Options::MAX_LEN);
    let mut place = [0; Options::MAX_LEN];
    assert_eq!(options.emit(&mut Writer::new(&mut place)), Err(Error::NoSpace));
}
