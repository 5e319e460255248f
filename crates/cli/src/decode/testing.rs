//! Captures made of segments, for tests.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use manypath_base::{Payload, SeqNum, len64};
use manypath_device::CapturedPacket;
use manypath_wire::{Checksum, Ecn, Flags, IpHeader, MptcpOptions, Options, Packet, Segment};

/// Who sends: the client, by its first or its second address, or the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client's first address.
    A,
    /// The client's second address.
    B,
    /// The server, to the client's first address.
    ServerToA,
    /// The server, to the client's second address.
    ServerToB,
}

/// A segment to be built.
#[derive(Clone, Debug)]
pub(crate) struct Build(Segment);

/// An ACK with the numbers 0.
pub(crate) fn segment() -> Build {
    Build(Segment {
        src_port: 0,
        dst_port: 0,
        seq: SeqNum(0),
        ack: SeqNum(0),
        flags: Flags::ACK,
        window: 1000,
        urgent: 0,
        options: Options::default(),
        payload: Payload::new(),
    })
}

impl Build {
    pub(crate) fn flags(mut self, flags: Flags) -> Self {
        self.0.flags = flags;
        self
    }

    pub(crate) fn seq(mut self, seq: u32) -> Self {
        self.0.seq = SeqNum(seq);
        self
    }

    pub(crate) fn ack(mut self, ack: u32) -> Self {
        self.0.ack = SeqNum(ack);
        self
    }

    pub(crate) fn mptcp(mut self, options: MptcpOptions) -> Self {
        self.0.options.mptcp = options;
        self
    }

    pub(crate) fn payload(mut self, bytes: &[u8]) -> Self {
        self.0.payload = Bytes::copy_from_slice(bytes).into();
        self
    }
}

/// The segment as it would be captured, sent by `side`.
pub(crate) fn captured(side: Side, build: &Build) -> CapturedPacket {
    let addr = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    let (client, port) = match side {
        Side::A | Side::ServerToA => (addr(1), 1000),
        Side::B | Side::ServerToB => (addr(2), 2000),
    };
    let mut segment = build.0.clone();
    let (src, dst) = match side {
        Side::A | Side::B => {
            (segment.src_port, segment.dst_port) = (port, 80);
            (client, addr(9))
        }
        Side::ServerToA | Side::ServerToB => {
            (segment.src_port, segment.dst_port) = (80, port);
            (addr(9), client)
        }
    };
    let ip = IpHeader { src, dst, ecn: Ecn::NotEct, dscp: 0, hop_limit: 64, flow_label: 0 };
    let packet = Packet { ip, transport: segment.into() };
    let datagram = packet.emit(None, Checksum::Complete);
    let mut data = datagram.header.to_vec();
    data.extend(datagram.payload.to_vec());
    CapturedPacket {
        interface: 0,
        interface_name: "eth0".into(),
        timestamp_nanos: len64(data.len()) * 1_000_000,
        direction: None,
        data: data.into(),
        comment: None,
    }
}
