//! One endpoint, and a peer that crafts every segment itself, so that a test reads like a trace.
//!
//! Numbers are relative: of subflows to the initial sequence numbers, of data to the initial data
//! sequence numbers, so that the first byte is 1 everywhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use manypath_base::{IfaceId, Instant, Key, Rng, SeqNum};
use manypath_mptcp::{
    ConnId, ConnectOptions, ConnectionError, Endpoint, EndpointConfig, Event, ListenOptions,
    ListenerId,
};
use manypath_wire::{
    Checksum, Ecn, Flags, IpHeader, MpCapable, MpJoin, MptcpOptions, Options, Packet, Segment,
    Transport,
};

use super::options::{NONCE, capable_syn, capable_syn_ack, hmac, join};
use super::{ms, simple_interface};

/// The peer's initial sequence number on every subflow.
pub(crate) const ISN: u32 = 7_000;
/// The peer's key.
pub(crate) const KEY: Key = Key(*b"the peer");
/// Bytes that the peer offers as a window.
const WINDOW: u16 = 50_000;

/// The peer's end of a subflow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sub {
    pub(crate) iface: u32,
    /// The peer's address.
    pub(crate) from: SocketAddr,
    /// The endpoint's.
    pub(crate) to: SocketAddr,
    /// Next byte that the peer sends, relative.
    pub(crate) seq: u32,
    /// What it acknowledges, relative.
    pub(crate) ack: u32,
    /// The endpoint's initial sequence number.
    pub(crate) isn: u32,
    /// The window that it offers.
    pub(crate) window: u16,
}

/// An endpoint with a peer made by hand.
pub(crate) struct Raw {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
    pub(crate) listener: ListenerId,
    pub(crate) conn: Option<ConnId>,
    pub(crate) events: Vec<Event>,
    /// Every connection that was accepted.
    pub(crate) accepted: Vec<ConnId>,
    /// The endpoint's key, once it was told.
    pub(crate) key: Key,
    /// Numbers are sent with 8 bytes.
    pub(crate) wide: bool,
    /// The Fast Open option of the peer's SYNs and SYN/ACKs.
    pub(crate) fast_open: Option<Vec<u8>>,
    pub(super) subs: Vec<Sub>,
    pub(crate) out: Vec<Packet>,
}

fn address(net: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, net, host).into()
}

impl Raw {
    /// An endpoint with two interfaces that listens.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut EndpointConfig)) -> Self {
        let mut config = EndpointConfig::default();
        config.tcp.timestamps = false;
        config.tcp.window_scale = false;
        config.tcp.sack = false;
        change(&mut config);
        let now = Instant::from_millis(1_000_000);
        let mut endpoint = Endpoint::new(config, Rng::seeded(1));
        endpoint.add_interface(now, simple_interface(0, address(1, 2)));
        endpoint.add_interface(now, simple_interface(1, address(2, 2)));
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 80);
        let listener = endpoint.listen(any, ListenOptions::default()).unwrap();
        Self {
            endpoint,
            now,
            listener,
            conn: None,
            events: vec![],
            accepted: vec![],
            key: Key([0; 8]),
            wide: false,
            fast_open: None,
            subs: vec![],
            out: vec![],
        }
    }

    /// A connection that the peer opened, with nothing sent on it yet.
    pub(crate) fn accepted(&mut self) -> Sub {
        let sub = self.half_open();
        self.send(sub, Flags::ACK, self.third_ack(None), b"");
        self.said();
        sub
    }

    /// The same before the third ACK.
    pub(crate) fn half_open(&mut self) -> Sub {
        let sub = self.sub(0, 40_000, 80);
        self.open(sub, capable_syn())
    }

    pub(crate) fn sub(&self, iface: u32, port: u16, to_port: u16) -> Sub {
        let net = iface as u8 + 1;
        Sub {
            iface,
            from: SocketAddr::new(address(net, 1), port),
            to: SocketAddr::new(address(net, 2), to_port),
            seq: 0,
            ack: 0,
            isn: 0,
            window: WINDOW,
        }
    }

    /// Sends a SYN, and takes the SYN/ACK in.
    pub(crate) fn open(&mut self, mut sub: Sub, options: MptcpOptions) -> Sub {
        self.send(sub, Flags::SYN, options, b"");
        let answer = self.take();
        assert!(answer.flags.has(Flags::SYN | Flags::ACK), "{answer:?}");
        if let Some(MpCapable::SynAck { sender_key, .. }) = answer.options.mptcp.capable {
            self.key = sender_key;
        }
        (sub.seq, sub.ack, sub.isn) = (1, 1, answer.seq.0);
        self.subs.push(sub);
        sub
    }

    /// A connection that the endpoint opens from its first interface; its SYN has come.
    pub(crate) fn connecting(&mut self) -> Sub {
        self.connecting_with(&ConnectOptions::default())
    }

    pub(crate) fn connecting_with(&mut self, options: &ConnectOptions) -> Sub {
        let to = SocketAddr::new(address(1, 1), 90);
        self.conn = Some(self.endpoint.connect(self.now, to, options).unwrap());
        self.drain();
        self.meet()
    }

    /// The subflow of a SYN that the endpoint has just sent.
    pub(crate) fn meet(&mut self) -> Sub {
        let Packet { ip, transport: Transport::Tcp(syn) } = self.out.remove(0) else { panic!() };
        assert_eq!(syn.flags, Flags::SYN);
        let from = SocketAddr::new(ip.dst, syn.dst_port);
        let to = SocketAddr::new(ip.src, syn.src_port);
        let iface = u32::from(to.ip() == address(2, 2));
        let sub = Sub { iface, from, to, seq: 0, ack: 1, isn: syn.seq.0, window: WINDOW };
        self.subs.push(sub);
        sub
    }

    /// The subflow of a SYN that joins, and its nonce.
    pub(crate) fn meet_join(&mut self) -> (Sub, u32) {
        let Transport::Tcp(syn) = &self.out[0].transport else { panic!("{:?}", self.out) };
        let Some(MpJoin::Syn { nonce, .. }) = syn.options.mptcp.join else { panic!("{syn:?}") };
        (self.meet(), nonce)
    }

    /// A connection of the endpoint whose handshake is complete and confirmed, without joins.
    pub(crate) fn connected(&mut self) -> Sub {
        let mut sub = self.connecting();
        self.send(sub, Flags::SYN | Flags::ACK, capable_syn_ack(), b"");
        sub.seq = 1;
        let third = self.take();
        let Some(MpCapable::Ack { sender_key, .. }) = third.options.mptcp.capable else { panic!() };
        self.key = sender_key;
        let ack = self.dss(Some(1), None, false);
        self.send(sub, Flags::ACK, ack, b"");
        sub
    }

    /// A connection of the endpoint that it has joined from its second interface.
    pub(crate) fn connected_twice(&mut self) -> (Sub, Sub) {
        let first = self.connected();
        let (mut second, nonce) = self.meet_join();
        let options = self.join_syn_ack(nonce, 1);
        self.send(second, Flags::SYN | Flags::ACK, options, b"");
        second.seq = 1;
        let ack = self.dss(Some(1), None, false);
        self.send(second, Flags::ACK, ack, b"");
        self.said();
        (first, second)
    }

    /// Joins, up to the SYN/ACK. Returns the third ACK's option too.
    pub(crate) fn joining(&mut self, sub: Sub, id: u8) -> (Sub, MptcpOptions) {
        self.send(sub, Flags::SYN, self.join_syn(id), b"");
        let answer = self.take();
        let Some(MpJoin::SynAck { nonce, hmac: theirs, .. }) = answer.options.mptcp.join else {
            panic!("{answer:?}")
        };
        let both = [nonce.to_be_bytes(), NONCE.to_be_bytes()].concat();
        assert_eq!(theirs, hmac(self.key, KEY, &both)[..8]);
        let both = [NONCE.to_be_bytes(), nonce.to_be_bytes()].concat();
        let ours = hmac(KEY, self.key, &both)[..20].try_into().unwrap();
        let sub = Sub { seq: 1, ack: 1, isn: answer.seq.0, ..sub };
        self.subs.push(sub);
        (sub, join(MpJoin::Ack { hmac: ours }))
    }

    /// A complete join on the second interface.
    pub(crate) fn joined(&mut self) -> Sub {
        let (sub, third) = self.joining(self.sub(1, 40_001, 80), 1);
        self.send(sub, Flags::ACK, third, b"");
        self.said();
        sub
    }

    /// Data of the peer with its own mapping; moves on.
    pub(crate) fn data(&mut self, sub: &mut Sub, dsn: u64, bytes: &'static [u8]) {
        let len = bytes.len() as u16;
        let options = self.dss(Some(1), Some((dsn, sub.seq, len)), false);
        self.send(*sub, Flags::ACK, options, bytes);
        sub.seq += u32::from(len);
    }

    /// A DATA_FIN without data.
    pub(crate) fn data_fin(&mut self, sub: Sub, ack: u64, dsn: u64) {
        let options = self.dss(Some(ack), Some((dsn, 0, 1)), true);
        self.send(sub, Flags::ACK, options, b"");
    }

    /// A segment of the peer.
    pub(crate) fn send(
        &mut self,
        sub: Sub,
        flags: Flags,
        mptcp: MptcpOptions,
        payload: &'static [u8],
    ) {
        let ip = IpHeader {
            src: sub.from.ip(),
            dst: sub.to.ip(),
            ecn: Ecn::NotEct,
            dscp: 0,
            hop_limit: 64,
            flow_label: 0,
        };
        let segment = Segment {
            src_port: sub.from.port(),
            dst_port: sub.to.port(),
            seq: SeqNum(ISN.wrapping_add(sub.seq)),
            ack: if flags.has(Flags::ACK) {
                SeqNum(sub.isn.wrapping_add(sub.ack))
            } else {
                SeqNum(0)
            },
            flags,
            window: sub.window,
            urgent: 0,
            options: Options {
                mss: flags.has(Flags::SYN).then_some(1_000),
                fast_open: self.fast_open.clone().filter(|_| flags.has(Flags::SYN)).map(Into::into),
                mptcp,
                ..Options::default()
            },
            payload: Bytes::from_static(payload).into(),
        };
        let packet = Packet { ip, transport: segment.into() };
        let datagram = packet.emit(None, Checksum::Offloaded);
        self.endpoint.handle_datagram(self.now, IfaceId(sub.iface), &datagram);
        self.drain();
    }

    /// Runs the endpoint's five verbs dry.
    pub(crate) fn drain(&mut self) {
        let mut packets = 0;
        while let Some(sent) = self.endpoint.poll_transmit(self.now) {
            packets += 1;
            assert!(packets < 1_000, "it never ends");
            for datagram in manypath_wire::segment(sent.datagram) {
                self.out.push(Packet::parse(&datagram).unwrap());
            }
        }
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::Incoming(listener) = event {
                self.conn = self.endpoint.accept(listener);
                self.accepted.extend(self.conn);
            }
            self.events.push(event);
        }
    }

    /// Lets time pass, with every timer at its time.
    pub(crate) fn pass(&mut self, millis: u64) {
        let end = self.now + ms(millis);
        while let Some(at) = self.endpoint.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// How the connection ended, if it has.
    pub(crate) fn end(&self) -> Option<Option<ConnectionError>> {
        self.events.iter().find_map(|e| match e {
            Event::Closed(_, error) => Some(*error),
            _ => None,
        })
    }

    /// Subflows that exist.
    pub(crate) fn subflows(&self) -> usize {
        self.endpoint.info(self.conn.unwrap()).unwrap().subflows.len()
    }

    pub(crate) fn write(&mut self, bytes: &'static [u8]) {
        let mut chunk = Bytes::from_static(bytes);
        self.endpoint.write(self.now, self.conn.unwrap(), &mut chunk).unwrap();
        self.drain();
    }

    pub(crate) fn shutdown(&mut self) {
        self.endpoint.shutdown(self.now, self.conn.unwrap());
        self.drain();
    }

    pub(crate) fn abort(&mut self) {
        self.endpoint.abort(self.now, self.conn.unwrap());
        self.drain();
    }

    pub(crate) fn release(&mut self) {
        self.endpoint.release(self.now, self.conn.unwrap());
        self.drain();
    }

    /// Everything that can be read now; `|` is the end of the stream.
    pub(crate) fn read(&mut self) -> String {
        let mut out = String::new();
        while let Ok(Some(chunk)) = self.endpoint.read(self.now, self.conn.unwrap()) {
            if chunk.is_empty() {
                out.push('|');
                break;
            }
            out.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        self.drain();
        out
    }

    /// The one segment that the endpoint has sent.
    pub(crate) fn take(&mut self) -> Segment {
        assert_eq!(self.out.len(), 1, "{:?}", self.out);
        match self.out.remove(0).transport {
            Transport::Tcp(segment) => *segment,
            Transport::Icmp(error) => panic!("{error:?}"),
        }
    }
}
