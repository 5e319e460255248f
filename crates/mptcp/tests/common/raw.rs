//! One endpoint, and a peer that crafts every segment itself, so that a test reads like a trace.
//!
//! Numbers are relative: of subflows to the initial sequence numbers, of data to the initial data
//! sequence numbers, so that the first byte is 1 everywhere.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use manypath_base::{DataSeq, IfaceId, Instant, Key, Rng, SeqNum, Token};
use manypath_mptcp::{
    ConnId, ConnectOptions, Endpoint, EndpointConfig, Event, ListenOptions, ListenerId,
};
use manypath_wire::{
    CapableFlags, Checksum, Dss, DssMapping, DssNumber, Ecn, Flags, IpHeader, MpCapable, MpJoin,
    MptcpOptions, Options, Packet, Segment, Transport,
};
use sha2::{Digest, Sha256};

use super::{ms, simple_interface};

/// The peer's initial sequence number on every subflow.
pub(crate) const ISN: u32 = 7_000;
/// The peer's key.
pub(crate) const KEY: Key = Key(*b"the peer");
/// The peer's nonce in joins.
const NONCE: u32 = 77;
/// Bytes that the peer offers as a window.
const WINDOW: u16 = 50_000;

/// Token and initial data sequence number of a key.
fn identity(key: Key) -> (Token, u64) {
    let hash: [u8; 32] = Sha256::digest(key.0).into();
    let token = u32::from_be_bytes(hash[..4].try_into().unwrap());
    (Token(token), u64::from_be_bytes(hash[24..].try_into().unwrap()))
}

fn hmac(first: Key, second: Key, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(&[first.0, second.0].concat()).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

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
    subs: Vec<Sub>,
    pub(crate) out: Vec<Packet>,
}

fn address(net: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, net, host).into()
}

/// Relative number of data.
fn relative(n: DssNumber, idsn: u64) -> u64 {
    match n {
        DssNumber::Four(low) => low.wrapping_sub(idsn as u32).into(),
        DssNumber::Eight(seq) => seq.wrapping_sub(idsn),
    }
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

    pub(crate) fn third_ack(&self, data: Option<u16>) -> MptcpOptions {
        MptcpOptions {
            capable: Some(MpCapable::Ack {
                version: 1,
                flags: CapableFlags::HMAC_SHA256,
                sender_key: KEY,
                receiver_key: self.key,
                data: data.map(|len| (len, None)),
            }),
            ..MptcpOptions::default()
        }
    }

    /// A SYN that joins the connection.
    pub(crate) fn join_syn(&self, id: u8) -> MptcpOptions {
        let token = identity(self.key).0;
        let addr_id = manypath_base::AddrId(id);
        join(MpJoin::Syn { backup: false, addr_id, token, nonce: NONCE })
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

    /// The answer to a SYN of the endpoint that joins.
    pub(crate) fn join_syn_ack(&self, syn_nonce: u32, id: u8) -> MptcpOptions {
        let both = [NONCE.to_be_bytes(), syn_nonce.to_be_bytes()].concat();
        let hmac = hmac(KEY, self.key, &both)[..8].try_into().unwrap();
        let addr_id = manypath_base::AddrId(id);
        join(MpJoin::SynAck { backup: false, addr_id, hmac, nonce: NONCE })
    }

    /// The HMAC of an address that the peer announces.
    pub(crate) fn add_addr_hmac(&self, id: u8, addr: Ipv4Addr) -> [u8; 8] {
        self.add_addr_port_hmac(id, addr, 0)
    }

    /// The same with a port.
    pub(crate) fn add_addr_port_hmac(&self, id: u8, addr: Ipv4Addr, port: u16) -> [u8; 8] {
        let message = [&[id][..], &addr.octets(), &port.to_be_bytes()].concat();
        hmac(KEY, self.key, &message)[24..].try_into().unwrap()
    }

    /// The HMAC of an address that the endpoint announces.
    pub(crate) fn their_add_addr_hmac(&self, id: u8, addr: Ipv4Addr, port: u16) -> [u8; 8] {
        let message = [&[id][..], &addr.octets(), &port.to_be_bytes()].concat();
        hmac(self.key, KEY, &message)[24..].try_into().unwrap()
    }

    /// DSS with relative numbers: DATA_ACK, and mapping (data, subflow, length).
    pub(crate) fn dss(
        &self,
        ack: Option<u64>,
        map: Option<(u64, u32, u16)>,
        data_fin: bool,
    ) -> MptcpOptions {
        let wide = self.wide;
        let number = move |seq: u64| match wide {
            true => DssNumber::Eight(seq),
            false => DssNumber::Four(seq as u32),
        };
        let mapping = map.map(|(dsn, ssn, len)| DssMapping {
            dsn: number(identity(KEY).1.wrapping_add(dsn)),
            ssn,
            len,
            checksum: None,
        });
        let data_ack = ack.map(|ack| number(identity(self.key).1.wrapping_add(ack)));
        MptcpOptions { dss: Some(Dss { data_fin, data_ack, mapping }), ..MptcpOptions::default() }
    }

    /// The data sequence number of a byte of the peer's stream.
    pub(crate) fn dsn(&self, at: u64) -> DataSeq {
        DataSeq(identity(KEY).1.wrapping_add(at))
    }

    /// The data sequence number of a byte of the endpoint's stream.
    pub(crate) fn their_dsn(&self, at: u64) -> u64 {
        identity(self.key).1.wrapping_add(at)
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

    /// What the endpoint has sent since it was last asked, as text.
    pub(crate) fn said(&mut self) -> Vec<String> {
        let out = std::mem::take(&mut self.out);
        out.iter().map(|packet| self.show(packet)).collect()
    }

    fn show(&self, packet: &Packet) -> String {
        let Transport::Tcp(s) = &packet.transport else { panic!("{packet}") };
        let to = SocketAddr::new(packet.ip.dst, s.dst_port);
        let from = SocketAddr::new(packet.ip.src, s.src_port);
        let n = self.subs.iter().position(|sub| (sub.from, sub.to) == (to, from));
        let isn = n.map_or(s.seq.0, |n| self.subs[n].isn);
        let mut text = n.map_or("new".to_owned(), |n| format!("#{n}"));
        for (flag, letter) in [(Flags::SYN, " S"), (Flags::FIN, " F"), (Flags::RST, " R")] {
            if s.flags.has(flag) {
                text.push_str(letter);
            }
        }
        if !s.payload.is_empty() {
            let start = s.seq.0.wrapping_sub(isn);
            write!(text, " {start}:{}", start + s.payload.len() as u32).unwrap();
        }
        if s.flags.has(Flags::ACK) {
            write!(text, " ack {}", s.ack.0.wrapping_sub(ISN)).unwrap();
        }
        if let Some(cookie) = &s.options.fast_open {
            write!(text, " fo {}", cookie.len()).unwrap();
        }
        text + &self.show_options(&s.options.mptcp)
    }

    fn show_options(&self, o: &MptcpOptions) -> String {
        let mut text = String::new();
        match o.capable {
            Some(MpCapable::Ack { data: Some((len, _)), .. }) => {
                write!(text, " keys len {len}").unwrap();
            }
            Some(MpCapable::Ack { .. }) => text.push_str(" keys"),
            Some(_) => text.push_str(" capable"),
            None => {}
        }
        match o.join {
            Some(MpJoin::Ack { .. }) => text.push_str(" join-ack"),
            Some(_) => text.push_str(" join"),
            None => {}
        }
        if let Some(dss) = &o.dss {
            text.push_str(" dss");
            if let Some(ack) = dss.data_ack {
                let wide = matches!(ack, DssNumber::Eight(_));
                let mark = if wide { "wide " } else { "" };
                write!(text, " {mark}ack {}", relative(ack, identity(KEY).1)).unwrap();
            }
            if let Some(m) = dss.mapping {
                let dsn = relative(m.dsn, identity(self.key).1);
                let fin = if dss.data_fin { " fin" } else { "" };
                write!(text, " map {dsn}@{}+{}{fin}", m.ssn, m.len).unwrap();
            }
        }
        if let Some(add) = o.add_addr {
            let what = if add.hmac.is_some() { "add" } else { "echo" };
            write!(text, " {what} {} {}", add.id.0, add.addr).unwrap();
            if let Some(port) = add.port {
                write!(text, ":{port}").unwrap();
            }
        }
        if let Some(remove) = &o.remove_addr {
            write!(text, " remove {:?}", remove.ids.iter().map(|i| i.0).collect::<Vec<_>>())
                .unwrap();
        }
        if let Some(prio) = o.prio {
            text.push_str(if prio.backup { " backup" } else { " regular" });
        }
        if let Some(fail) = o.fail {
            let at = fail.dsn.0.wrapping_sub(identity(KEY).1);
            write!(text, " fail {at}").unwrap();
        }
        if let Some(close) = o.fastclose {
            text.push_str(if close.receiver_key == KEY { " fastclose" } else { " ?" });
        }
        if let Some(reset) = o.reset {
            let transient = if reset.transient { " T" } else { "" };
            write!(text, " reason {}{transient}", u8::from(reset.reason)).unwrap();
        }
        text
    }
}

pub(crate) fn capable_syn() -> MptcpOptions {
    let flags = CapableFlags::HMAC_SHA256;
    let capable = Some(MpCapable::Syn { version: 1, flags });
    MptcpOptions { capable, ..MptcpOptions::default() }
}

pub(crate) fn capable_syn_ack() -> MptcpOptions {
    let flags = CapableFlags::HMAC_SHA256;
    let capable = Some(MpCapable::SynAck { version: 1, flags, sender_key: KEY });
    MptcpOptions { capable, ..MptcpOptions::default() }
}

pub(crate) fn join(join: MpJoin) -> MptcpOptions {
    MptcpOptions { join: Some(join), ..MptcpOptions::default() }
}
