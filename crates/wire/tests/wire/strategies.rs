//! Arbitrary values that a packet can carry.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use manypath_base::{AddrId, DataSeq, Key, Payload, SeqNum, Token};
use manypath_wire::{
    AddAddr, CapableFlags, Dss, DssMapping, DssNumber, Ecn, FastClose, Flags, IcmpError, IcmpKind,
    IpHeader, MpCapable, MpFail, MpJoin, MpPrio, MpTcpRst, Options, Packet, RemoveAddr, SackBlocks,
    Segment, Timestamps, Transport, UnknownOption, UserTimeout,
};
use proptest::option::of;
use proptest::prelude::*;

/// One option; none is longer than a header has room for.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Mss(u16),
    WindowScale(u8),
    SackPermitted,
    Timestamps(Timestamps),
    Sack(SackBlocks),
    UserTimeout(UserTimeout),
    FastOpen(Vec<u8>),
    Unknown(UnknownOption),
    Capable(MpCapable),
    Join(MpJoin),
    Dss(Dss),
    AddAddr(AddAddr),
    RemoveAddr(RemoveAddr),
    Prio(MpPrio),
    Fail(MpFail),
    FastClose(FastClose),
    Reset(MpTcpRst),
    UnknownMptcp(Vec<u8>),
}

impl Piece {
    fn put(self, o: &mut Options) {
        match self {
            Self::Mss(p) => o.mss = Some(p),
            Self::WindowScale(p) => o.window_scale = Some(p),
            Self::SackPermitted => o.sack_permitted = true,
            Self::Timestamps(p) => o.timestamps = Some(p),
            Self::Sack(p) => o.sack = p,
            Self::UserTimeout(p) => o.user_timeout = Some(p),
            Self::FastOpen(p) => o.fast_open = Some(p.as_slice().into()),
            Self::Unknown(p) => o.unknown.push(p),
            Self::Capable(p) => o.mptcp.capable = Some(p),
            Self::Join(p) => o.mptcp.join = Some(p),
            Self::Dss(p) => o.mptcp.dss = Some(p),
            Self::AddAddr(p) => o.mptcp.add_addr = Some(p),
            Self::RemoveAddr(p) => o.mptcp.remove_addr = Some(p),
            Self::Prio(p) => o.mptcp.prio = Some(p),
            Self::Fail(p) => o.mptcp.fail = Some(p),
            Self::FastClose(p) => o.mptcp.fastclose = Some(p),
            Self::Reset(p) => o.mptcp.reset = Some(p),
            Self::UnknownMptcp(p) => o.mptcp.unknown.push(p.as_slice().into()),
        }
    }
}

/// Options with nothing but one piece.
pub(crate) fn one_option() -> impl Strategy<Value = Options> {
    prop_oneof![tcp_piece(), mptcp_piece()].prop_map(|piece| {
        let mut options = Options::default();
        piece.put(&mut options);
        options
    })
}

/// A few options that fit a header together.
pub(crate) fn options() -> impl Strategy<Value = Options> {
    let pieces = prop::collection::vec(prop_oneof![tcp_piece(), mptcp_piece()], 0..6);
    pieces.prop_map(|pieces| {
        pieces.into_iter().fold(Options::default(), |options, piece| {
            let mut more = options.clone();
            piece.put(&mut more);
            if more.len() <= Options::MAX_LEN { more } else { options }
        })
    })
}

fn tcp_piece() -> impl Strategy<Value = Piece> {
    let cookie_len = prop_oneof![Just(0), (2usize..=8).prop_map(|n| n * 2)];
    let cookie = cookie_len.prop_flat_map(|len| prop::collection::vec(any::<u8>(), len));
    let block = any::<(u32, u32)>().prop_map(|(a, b)| SeqNum(a)..SeqNum(b));
    let unknown = (69u8..=255, prop::collection::vec(any::<u8>(), 0..38));
    prop_oneof![
        any::<u16>().prop_map(Piece::Mss),
        any::<u8>().prop_map(Piece::WindowScale),
        Just(Piece::SackPermitted),
        any::<(u32, u32)>().prop_map(|(value, echo)| Piece::Timestamps(Timestamps { value, echo })),
        prop::collection::vec(block, 1..=4).prop_map(|b| Piece::Sack(b.into_iter().collect())),
        (any::<bool>(), 0..=UserTimeout::MAX)
            .prop_map(|(minutes, value)| Piece::UserTimeout(UserTimeout { minutes, value })),
        cookie.prop_map(Piece::FastOpen),
        unknown.prop_map(|(kind, body)| Piece::Unknown(UnknownOption {
            kind,
            body: body.as_slice().into()
        })),
    ]
}

fn mptcp_piece() -> impl Strategy<Value = Piece> {
    let ids = prop::collection::vec(any::<u8>().prop_map(AddrId), 1..=37);
    let unknown = (0x90u8..=0xff, prop::collection::vec(any::<u8>(), 0..37));
    prop_oneof![
        capable().prop_map(Piece::Capable),
        join().prop_map(Piece::Join),
        dss().prop_map(Piece::Dss),
        (any::<u8>(), any::<IpAddr>(), any::<Option<u16>>(), any::<Option<[u8; 8]>>()).prop_map(
            |(id, addr, port, hmac)| Piece::AddAddr(AddAddr { id: AddrId(id), addr, port, hmac })
        ),
        ids.prop_map(|ids| Piece::RemoveAddr(RemoveAddr { ids: ids.into_iter().collect() })),
        any::<(bool, Option<u8>)>()
            .prop_map(|(backup, id)| { Piece::Prio(MpPrio { backup, addr_id: id.map(AddrId) }) }),
        any::<u64>().prop_map(|dsn| Piece::Fail(MpFail { dsn: DataSeq(dsn) })),
        any::<[u8; 8]>().prop_map(|key| Piece::FastClose(FastClose { receiver_key: Key(key) })),
        any::<(bool, u8)>().prop_map(|(transient, code)| Piece::Reset(MpTcpRst {
            transient,
            reason: code.into()
        })),
        unknown.prop_map(|(subtype, rest)| Piece::UnknownMptcp([vec![subtype], rest].concat())),
    ]
}

fn capable() -> impl Strategy<Value = MpCapable> {
    let (head, key) = ((0u8..16, any::<u8>().prop_map(CapableFlags)), any::<[u8; 8]>());
    let data = any::<Option<(u16, Option<u16>)>>();
    prop_oneof![
        head.clone().prop_map(|(version, flags)| MpCapable::Syn { version, flags }),
        (head.clone(), key).prop_map(|((version, flags), key)| MpCapable::SynAck {
            version,
            flags,
            sender_key: Key(key)
        }),
        (head, any::<[[u8; 8]; 2]>(), data).prop_map(|((version, flags), [a, b], data)| {
            MpCapable::Ack { version, flags, sender_key: Key(a), receiver_key: Key(b), data }
        }),
    ]
}

fn join() -> impl Strategy<Value = MpJoin> {
    prop_oneof![
        any::<(bool, u8, u32, u32)>().prop_map(|(backup, id, token, nonce)| MpJoin::Syn {
            backup,
            addr_id: AddrId(id),
            token: Token(token),
            nonce
        }),
        any::<(bool, u8, [u8; 8], u32)>().prop_map(|(backup, id, hmac, nonce)| {
            MpJoin::SynAck { backup, addr_id: AddrId(id), hmac, nonce }
        }),
        any::<[u8; 20]>().prop_map(|hmac| MpJoin::Ack { hmac }),
    ]
}

fn number() -> impl Strategy<Value = DssNumber> {
    prop_oneof![any::<u32>().prop_map(DssNumber::Four), any::<u64>().prop_map(DssNumber::Eight)]
}

fn dss() -> impl Strategy<Value = Dss> {
    let mapping = (number(), any::<(u32, u16, Option<u16>)>())
        .prop_map(|(dsn, (ssn, len, checksum))| DssMapping { dsn, ssn, len, checksum });
    (any::<bool>(), of(number()), of(mapping)).prop_map(|(data_fin, data_ack, mapping)| Dss {
        data_fin,
        data_ack,
        mapping,
    })
}

fn addrs() -> impl Strategy<Value = [IpAddr; 2]> {
    prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|pair| pair.map(IpAddr::from)),
        any::<[[u8; 16]; 2]>().prop_map(|pair| pair.map(IpAddr::from)),
    ]
}

fn ip() -> impl Strategy<Value = IpHeader> {
    let ecn = prop_oneof![Just(Ecn::NotEct), Just(Ecn::Ect0), Just(Ecn::Ect1), Just(Ecn::Ce)];
    (addrs(), ecn, 0u8..64, any::<u8>(), 0u32..1 << 20).prop_map(
        |([src, dst], ecn, dscp, hop_limit, label)| IpHeader {
            src,
            dst,
            ecn,
            dscp,
            hop_limit,
            flow_label: if src.is_ipv6() { label } else { 0 },
        },
    )
}

/// Chunks of any length, odd ones included.
pub(crate) fn payload(len: usize) -> impl Strategy<Value = Payload> {
    let chunk = prop::collection::vec(any::<u8>(), 1..len);
    prop::collection::vec(chunk, 0..4).prop_map(|chunks| {
        let mut payload = Payload::new();
        chunks.into_iter().for_each(|chunk| payload.push(Bytes::from(chunk)));
        payload
    })
}

fn tcp(len: usize) -> impl Strategy<Value = Segment> {
    let numbers = any::<(u16, u16, u32, u32, u8, u16, u16)>();
    (numbers, options(), payload(len)).prop_map(
        |((src_port, dst_port, seq, ack, flags, window, urgent), options, payload)| Segment {
            src_port,
            dst_port,
            seq: SeqNum(seq),
            ack: SeqNum(ack),
            flags: Flags(flags),
            window,
            urgent,
            options,
            payload,
        },
    )
}

/// A TCP packet with up to three chunks of less than `len` bytes.
pub(crate) fn tcp_packet(len: usize) -> impl Strategy<Value = Packet> {
    (ip(), tcp(len)).prop_map(|(ip, tcp)| Packet { ip, transport: tcp.into() })
}

/// An ICMP error from anywhere.
pub(crate) fn icmp_packet() -> impl Strategy<Value = Packet> {
    let kind = prop_oneof![
        any::<u16>().prop_map(|mtu| IcmpKind::PacketTooBig { mtu: mtu.into() }),
        Just(IcmpKind::Unreachable),
        Just(IcmpKind::Refused),
    ];
    (ip(), kind, any::<(u16, u16, u32)>()).prop_map(|(ip, kind, (local, remote, seq))| {
        let (local, remote) = (SocketAddr::new(ip.dst, local), SocketAddr::new(ip.src, remote));
        let error = IcmpError { kind, local, remote, seq: SeqNum(seq) };
        Packet { ip, transport: Transport::Icmp(error) }
    })
}
