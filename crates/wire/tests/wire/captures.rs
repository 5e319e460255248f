//! What Linux sends is read right, and would be sent by us with the same bytes.

use manypath_base::Payload;
use manypath_wire::{Checksum, Packet, Transport, dss_checksum};

use crate::{flat, received};

const LINUX: &str = include_str!("linux.txt");

/// Name, bytes, description.
pub(crate) fn packets() -> impl Iterator<Item = (&'static str, Vec<u8>, &'static str)> {
    let blocks = LINUX.split("\n\n").skip(1);
    blocks.map(|block| {
        let mut lines = block.lines();
        let mut line = || lines.next().expect("three lines each");
        let (name, hex, says) = (line(), line(), line());
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (name, (0..hex.len()).step_by(2).map(byte).collect(), says)
    })
}

#[test]
fn packets_of_linux_say_what_they_say() {
    assert_eq!(packets().count(), 21);
    for (name, bytes, says) in packets() {
        let packet = Packet::parse(&received(&bytes)).expect(name);
        assert_eq!(packet.to_string(), says, "{name}");
    }
}

#[test]
fn packets_of_linux_come_out_with_the_same_bytes() {
    for (name, bytes, _) in packets() {
        let packet = Packet::parse(&received(&bytes)).expect(name);
        let emitted = flat(&packet.emit(None, Checksum::Complete));
        // Linux counts the IPv4 identification; ours is 0.
        let tcp = if packet.ip.src.is_ipv4() { 20 } else { 0 };
        assert_eq!(emitted[tcp..], bytes[tcp..], "{name}");
        assert_eq!(emitted.len(), bytes.len(), "{name}");
    }
}

#[test]
fn dss_checksums_are_those_of_linux() {
    let tcp = |wanted| {
        let (_, bytes, _) = packets().find(|(name, ..)| *name == wanted).unwrap();
        match Packet::parse(&received(&bytes)).unwrap().transport {
            Transport::Tcp(segment) => segment,
            Transport::Icmp(error) => panic!("{error:?}"),
        }
    };
    let dss = tcp("IPv6, DSS with mapping, checksum and data");
    assert_eq!(dss_checksum(4184303987909462602, 1, 6, &dss.payload), 0x1f5e);

    // The data of MP_CAPABLE starts at the initial data sequence number plus one, which the
    // peer's later DATA_ACK tells: it has acknowledged 11 bytes.
    let first = tcp("IPv6, first data: MP_CAPABLE with length and checksum");
    let start = 14219746582729400934 - 11;
    assert_eq!(first.payload, Payload::from(&b"hello world"[..]));
    assert_eq!(dss_checksum(start, 1, 11, &first.payload), 0x629c);
}
