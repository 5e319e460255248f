//! Segments with options at random, on 4-tuples that exist: no panic, no endless exchange, bounded
//! state.

#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

mod common;

use common::options::{capable_syn, capable_syn_ack};
use common::raw::{Raw, Sub};
use manypath_base::{AddrId, DataSeq, Key, Rng, Token};
use manypath_mptcp::{ConnectOptions, ListenOptions, SynCookies};
use manypath_wire::{
    AddAddr, CapableFlags, Dss, DssMapping, DssNumber, FastClose, Flags, MpCapable, MpFail, MpJoin,
    MpPrio, MpTcpRst, MptcpOptions, RemoveAddr, ResetReason,
};

/// Payloads are parts of this.
static BYTES: [u8; 1_400] = [b'x'; 1_400];

/// A number near `base`, or anywhere.
fn near(rng: &mut Rng, base: u64) -> u64 {
    match rng.below(8) {
        0 => rng.u64(),
        1 => base.wrapping_sub(rng.below(3_000)),
        _ => base.wrapping_add(rng.below(3_000)),
    }
}

fn number(rng: &mut Rng, base: u64) -> DssNumber {
    let n = near(rng, base);
    if rng.chance(1, 2) { DssNumber::Four(n as u32) } else { DssNumber::Eight(n) }
}

fn key(rng: &mut Rng, raw: &Raw) -> Key {
    match rng.below(3) {
        0 => raw.key,
        1 => common::raw::KEY,
        _ => Key(rng.bytes()),
    }
}

fn some<T>(rng: &mut Rng, value: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.chance(1, 2).then(|| value(rng))
}

/// One option, or a DSS with one; more than fits 40 bytes is left out.
fn options(rng: &mut Rng, raw: &Raw) -> MptcpOptions {
    let mut o = MptcpOptions::default();
    let id = AddrId(rng.below(6) as u8);
    let addr = if rng.chance(1, 2) { raw.now.as_nanos() as u32 } else { 0x0a00_0201 };
    match rng.below(14) {
        0 => {
            o.capable = Some(MpCapable::Ack {
                version: 1,
                flags: CapableFlags(rng.u32() as u8 | 1),
                sender_key: key(rng, raw),
                receiver_key: key(rng, raw),
                data: some(rng, |rng| (rng.below(2_000) as u16, some(rng, |rng| rng.u32() as u16))),
            });
        }
        1 => {
            let mac: [u8; 20] = rng.bytes();
            o.join = Some(match rng.below(3) {
                0 => MpJoin::Ack { hmac: mac },
                1 => MpJoin::Syn { backup: true, addr_id: id, token: Token(rng.u32()), nonce: 1 },
                _ => MpJoin::SynAck { backup: false, addr_id: id, hmac: rng.bytes(), nonce: 2 },
            });
        }
        2 => {
            let hmac = some(rng, |rng| match rng.chance(1, 2) {
                true => raw.add_addr_hmac(id.0, addr.into()),
                false => rng.bytes(),
            });
            let addr = std::net::Ipv4Addr::from(addr).into();
            let port = some(rng, |rng| rng.below(3) as u16 + 79);
            o.add_addr = Some(AddAddr { id, addr, port, hmac });
        }
        3 => o.remove_addr = Some(RemoveAddr { ids: [id, AddrId(200)].into_iter().collect() }),
        4 => o.prio = Some(MpPrio { backup: rng.chance(1, 2), addr_id: some(rng, |_| id) }),
        5 if rng.chance(1, 8) => o.fail = Some(MpFail { dsn: DataSeq(rng.u64()) }),
        6 if rng.chance(1, 8) => o.fastclose = Some(FastClose { receiver_key: key(rng, raw) }),
        7 => {
            let transient = rng.chance(1, 2);
            o.reset = Some(MpTcpRst { transient, reason: ResetReason::MptcpError });
        }
        _ => {}
    }
    if o.capable.is_none() && rng.chance(3, 4) {
        let (ours, theirs) = (raw.dsn(1).0, raw.their_dsn(1));
        o.dss = Some(Dss {
            data_fin: rng.chance(1, 50),
            data_ack: some(rng, |rng| number(rng, theirs)),
            mapping: (o.join.is_none() && o.add_addr.is_none()).then(|| DssMapping {
                dsn: number(rng, ours),
                ssn: near(rng, 1) as u32,
                len: rng.below(3_000) as u16,
                checksum: rng.chance(1, 20).then(|| rng.u32() as u16),
            }),
        });
    }
    o
}

fn segment(rng: &mut Rng, raw: &mut Raw, sub: &mut Sub) {
    let mut flags = Flags::ACK;
    match rng.below(100) {
        0 => flags = Flags::SYN,
        1 => flags |= Flags::FIN,
        2 => flags |= Flags::RST,
        3 => flags = Flags::SYN | Flags::ACK,
        _ => {}
    }
    let len = if rng.chance(1, 2) { rng.below(1_400) as usize } else { 0 };
    let mut options = options(rng, raw);
    if flags.has(Flags::SYN) {
        options.dss = None;
    }
    let mut sent = *sub;
    match rng.below(8) {
        0 => sent.seq = sub.seq.wrapping_add(rng.below(4_000) as u32),
        1 => sent.ack = rng.below(4_000) as u32,
        2 => sent.window = 0,
        _ if flags == Flags::ACK => sub.seq = sub.seq.wrapping_add(len as u32),
        _ => {}
    }
    raw.send(sent, flags, options, &BYTES[..len]);
}

/// A connection that the peer began with bytes on the SYN.
fn early_server(raw: &mut Raw, bytes: usize) -> Sub {
    let at = raw.endpoint.listener_addr(raw.listener).unwrap();
    raw.endpoint.close_listener(raw.now, raw.listener);
    let options = ListenOptions { fast_open: 4, ..ListenOptions::default() };
    raw.listener = raw.endpoint.listen(at, options).unwrap();
    let (mut cookie, mut sub) = (vec![], raw.sub(0, 40_000, 80));
    for port in [39_999, 40_000] {
        raw.fast_open = Some(cookie);
        sub = raw.sub(0, port, 80);
        raw.send(sub, Flags::SYN, capable_syn(), &BYTES[..bytes]);
        let answer = raw.take();
        (sub.seq, sub.ack, sub.isn) = (answer.ack.0 - common::raw::ISN, 1, answer.seq.0);
        cookie = answer.options.fast_open.unwrap_or_default().to_vec();
    }
    sub
}

/// A connection of the endpoint that begins with bytes on the SYN.
fn early_client(raw: &mut Raw, bytes: usize) -> Sub {
    let early_data = Some(bytes::Bytes::from_static(&BYTES[..bytes]));
    let options = ConnectOptions { early_data, ..ConnectOptions::default() };
    let sub = raw.connecting_with(&options);
    raw.fast_open = Some(vec![3; 6]);
    raw.send(sub, Flags::SYN | Flags::ACK, capable_syn_ack(), b"");
    raw.abort();
    raw.release();
    raw.said();
    raw.connecting_with(&options)
}

fn run(seed: u64) {
    let mut rng = Rng::seeded(seed);
    let mut raw = Raw::with(|config| {
        config.checksum = seed.is_multiple_of(5);
        config.fastclose_by_ack = seed.is_multiple_of(3);
        config.deny_join_initial = seed.is_multiple_of(7);
        config.limits.subflows = 1 + (seed % 8) as u32;
        if seed.is_multiple_of(4) {
            config.syn_cookies = SynCookies::Always;
        }
    });
    let mut subs = match seed % 8 {
        6 => vec![early_server(&mut raw, seed as usize % 900)],
        7 => vec![early_client(&mut raw, seed as usize % 1_400)],
        0 => vec![raw.half_open()],
        1 => vec![raw.connecting()],
        2 => vec![raw.connected()],
        3 => vec![raw.accepted()],
        4 => vec![raw.accepted(), raw.joined()],
        5 if seed % 4 == 1 => {
            let (first, second) = raw.connected_twice();
            vec![first, second]
        }
        _ => vec![raw.accepted(), raw.joining(raw.sub(1, 40_001, 80), 1).0],
    };
    for _ in 0..60 {
        let n = rng.below(subs.len() as u64) as usize;
        segment(&mut rng, &mut raw, &mut subs[n]);
        act(&mut rng, &mut raw);
    }
    let Some(id) = raw.conn else { return raw.pass(400_000) };
    if let Some(info) = raw.endpoint.info(id) {
        assert!(info.bytes_out_of_order < 9 << 20 && info.subflows.len() <= 9, "{info:?}");
    }
    // A SYN may have begun others.
    for id in raw.accepted.clone().into_iter().chain([id]) {
        raw.endpoint.release(raw.now, id);
    }
    raw.drain();
    raw.pass(1_000_000);
    assert_eq!(raw.endpoint.len(), 0, "seed {seed}");
}

/// The application, now and then.
fn act(rng: &mut Rng, raw: &mut Raw) {
    let Some(id) = raw.conn else { return };
    match rng.below(40) {
        0 => raw.endpoint.shutdown(raw.now, id),
        1..6 => {
            let mut chunk = bytes::Bytes::from_static(&BYTES);
            let _closed_is_fine = raw.endpoint.write(raw.now, id, &mut chunk);
        }
        6..10 => drop(raw.endpoint.read(raw.now, id)),
        10 => raw.pass(rng.below(2_000)),
        _ => {}
    }
    raw.drain();
}

#[test]
fn no_segment_does_harm() {
    for seed in common::seeds(3_000) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed} fails");
    }
}
