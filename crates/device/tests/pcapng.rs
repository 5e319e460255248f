//! Capture files: what is written is read back, by us and by others, and damage is an error.

mod common;

use std::io::Cursor;
use std::process::Command;

use bytes::Bytes;
use common::{super_segment, tcp};
use manypath_device::pcapng::{
    CaptureError, CapturedPacket, Direction, PcapngReader, PcapngWriter,
};
use manypath_wire::Datagram;
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000_123_456_789;

/// Two paths; a super-segment of 3000 bytes on the first, a packet on the second.
fn sample() -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new()).expect("memory takes it");
    let wifi = writer.add_interface("wifi", "path 1 over wlan0").expect("memory takes it");
    let lte = writer.add_interface("lte", "").expect("memory takes it");
    let large = super_segment("10.0.0.1", "10.0.0.2", 3000, 1400);
    let small = super_segment("fd00::1", "fd00::2", 5, 1400);
    let out = Direction::Outbound;
    writer.write_datagram(wifi, NOW, out, &large, Some("initial data")).expect("takes it");
    writer.write_datagram(lte, NOW + 1, Direction::Inbound, &small, None).expect("takes it");
    writer.into_inner()
}

fn read(bytes: &[u8]) -> Result<Vec<CapturedPacket>, CaptureError> {
    PcapngReader::new(Cursor::new(bytes))?.collect()
}

fn datagram(packet: &CapturedPacket) -> Datagram {
    Datagram { payload: packet.data.clone().into(), ..Datagram::default() }
}

#[test]
fn what_is_written_is_read_back_as_packets_of_the_wire() {
    let packets = read(&sample()).expect("our own file is whole");
    let seen = packets.iter().map(|p| {
        let (_, segment) = tcp(&datagram(p)).expect("the checksums are right");
        (
            &*p.interface_name,
            p.interface,
            p.timestamp_nanos - NOW,
            segment.seq.0,
            segment.payload.len(),
        )
    });
    let expected = [
        ("wifi", 0, 0, 1, 1400),
        ("wifi", 0, 0, 1401, 1400),
        ("wifi", 0, 0, 2801, 200),
        ("lte", 1, 1, 1, 5),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    let comments = packets.iter().map(|p| p.comment.as_deref()).collect::<Vec<_>>();
    assert_eq!(comments, [Some("initial data"), None, None, None]);
    let directions = packets.iter().map(|p| p.direction).collect::<Vec<_>>();
    assert_eq!(directions[2..], [Some(Direction::Outbound), Some(Direction::Inbound)]);
}

#[test]
fn an_interface_that_was_not_added_is_refused() {
    let mut writer = PcapngWriter::new(Vec::new()).expect("memory takes it");
    let error = writer.write_datagram(0, 0, Direction::Inbound, &Datagram::default(), None);
    assert_eq!(error.expect_err("no interface").kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn tshark_reads_it() {
    let Ok(version) = Command::new("tshark").arg("--version").output() else {
        common::skipped("tshark_reads_it", "tshark is not installed");
        return;
    };
    assert!(version.status.success());
    let file = std::env::temp_dir().join(format!("manypath-{}.pcapng", std::process::id()));
    std::fs::write(&file, sample()).expect("the temporary directory is writable");
    let fields = ["frame.interface_name", "frame.time_epoch", "tcp.len", "tcp.checksum.status"];
    let output = Command::new("tshark")
        .args(["-o", "tcp.check_checksum:TRUE", "-T", "fields", "-E", "separator=,", "-r"])
        .arg(&file)
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .output();
    std::fs::remove_file(&file).expect("the file was written");
    let text = String::from_utf8(output.expect("tshark runs").stdout).expect("tshark writes text");
    let expected = "wifi,1700000000.123456789,1400,1\n\
                    wifi,1700000000.123456789,1400,1\n\
                    wifi,1700000000.123456789,200,1\n\
                    lte,1700000000.123456790,5,1\n";
    assert_eq!(text, expected);
}

const IP: [u8; 4] = [0x45, 0, 0, 4];

/// A pcap file with one packet, 1.000002 s (or 1.000000002 s) after 1970.
fn classic(magic: u32, little: bool) -> Vec<u8> {
    let words = [magic, 0x0002_0004, 0, 0, 65_535, 101, 1, 2, 4, 4];
    let bytes = |word: u32| if little { word.to_le_bytes() } else { word.to_be_bytes() };
    words.into_iter().flat_map(bytes).chain(IP).collect()
}

#[test]
fn classic_captures_of_both_orders_and_resolutions_are_read() {
    for (magic, nanos) in [(0xa1b2_c3d4, 1_000_002_000), (0xa1b2_3c4d, 1_000_000_002)] {
        for little in [true, false] {
            let packets = read(&classic(magic, little)).expect("a whole file");
            let [packet] = &packets[..] else { panic!("one packet, not {}", packets.len()) };
            assert_eq!((packet.timestamp_nanos, &packet.data[..]), (nanos, &IP[..]));
        }
    }
}

/// A block of a pcapng file with the given words as its body, big-endian.
fn big_endian_block(kind: u32, body: &[u32]) -> Vec<u8> {
    let len = u32::try_from(body.len() * 4 + 12).expect("short");
    let words = [kind, len].into_iter().chain(body.iter().copied()).chain([len]);
    words.flat_map(u32::to_be_bytes).collect()
}

fn big_endian_file(packet_interface: u32) -> Vec<u8> {
    let section = [0x1a2b_3c4d, 0x0001_0000, u32::MAX, u32::MAX];
    [
        big_endian_block(0x0a0d_0d0a, &section),
        big_endian_block(1, &[101 << 16, 0]),
        big_endian_block(0xbad, &[1, 2, 3]), // a kind that nobody knows
        big_endian_block(3, &[4, u32::from_be_bytes(IP)]),
        big_endian_block(6, &[packet_interface, 0, 7, 4, 4, u32::from_be_bytes(IP)]),
    ]
    .concat()
}

#[test]
fn a_second_section_may_have_another_byte_order() {
    let file = [sample(), big_endian_file(0)].concat();
    let packets = read(&file).expect("whole sections");
    let tail = packets[4..].iter().map(|p| (p.interface, p.timestamp_nanos, &p.data[..]));
    assert_eq!(tail.collect::<Vec<_>>(), [(2, 0, &IP[..]), (2, 7_000, &IP[..])]);
}

#[test]
fn damage_is_named_with_its_place_and_ends_the_reading() {
    let file = big_endian_file(1);
    let mut reader = PcapngReader::new(Cursor::new(&file)).expect("a section");
    assert!(reader.next_packet().expect("the simple packet").is_some());
    let error = reader.next_packet().expect_err("there is no interface 1");
    let at = file.len() - 36;
    assert_eq!(
        error.to_string(),
        format!(
            "the capture file is damaged at byte {at}: packet of an interface that was not described"
        )
    );
    assert!(reader.next_packet().expect("over").is_none());
}

#[test]
fn a_huge_block_length_is_refused_before_anything_is_allocated() {
    let section = big_endian_block(0x0a0d_0d0a, &[0x1a2b_3c4d, 0x0001_0000, 0, 0]);
    let file = [&section[..], &[0, 0, 0, 6, 0xff, 0xff, 0xff, 0xfc]].concat();
    let error = read(&file).expect_err("4 GiB");
    assert!(error.to_string().ends_with("block is longer than 16 MiB"), "{error}");
}

#[test]
fn other_files_are_refused() {
    for bytes in [&b""[..], b"PK", b"#!/bin/sh\n"] {
        assert!(matches!(
            read(bytes),
            Err(CaptureError::NotACapture | CaptureError::Malformed { .. })
        ));
    }
}

#[test]
fn every_cut_of_a_file_gives_packets_or_an_error() {
    let file = sample();
    let whole = read(&file).expect("whole").len();
    for len in 0..file.len() {
        assert!(read(&file[..len]).map_or(0, |packets| packets.len()) <= whole);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _any = read(&bytes);
        for start in [sample(), big_endian_file(0), classic(0xa1b2_c3d4, true)] {
            let _any = read(&[start, bytes.clone()].concat());
        }
    }

    #[test]
    fn a_damaged_file_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for mut file in [sample(), big_endian_file(0), classic(0xa1b2_3c4d, false)] {
            for (at, value) in &changes {
                let at = at.index(file.len());
                file[at] = *value;
            }
            let _any = read(&file);
        }
    }

    #[test]
    fn any_comment_is_read_back(comment in ".{0,40}", times in 1usize..4000) {
        let comment = comment.repeat(times);
        let mut writer = PcapngWriter::new(Vec::new()).expect("memory takes it");
        writer.add_interface("any", "").expect("memory takes it");
        let packet = Datagram { payload: Bytes::from_static(&IP).into(), ..Datagram::default() };
        writer.write_datagram(0, 1, Direction::Inbound, &packet, Some(&comment)).expect("takes it");
        let packets = read(&writer.into_inner()).expect("our own file is whole");
        let read = packets[0].comment.as_deref().expect("it has a comment");
        prop_assert!(comment.starts_with(read));
        prop_assert!(read.len() == comment.len() || read.len() > usize::from(u16::MAX) - 4);
    }
}
