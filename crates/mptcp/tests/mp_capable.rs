//! The first handshake (RFC 8684 §3.1), segment by segment.

mod common;

use common::ms;
use common::options::{capable_syn, capable_syn_ack};
use common::raw::{Raw, Sub};
use manypath_mptcp::{ConnectOptions, ConnectionError, Event, FallbackReason, Protocol};
use manypath_wire::{CapableFlags, Flags, MpCapable, MptcpOptions};

fn protocol(raw: &Raw) -> Protocol {
    raw.endpoint.info(raw.conn.unwrap()).unwrap().protocol
}

#[test]
fn the_third_ack_is_answered_so_that_the_opener_knows() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1"]);
    assert_eq!(protocol(&raw), Protocol::Multipath);
}

#[test]
fn a_repeated_third_ack_is_answered_again() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1"]);
}

#[test]
fn first_data_with_the_keys_makes_up_for_a_lost_third_ack() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(Some(4)), b"data");
    assert_eq!(raw.said(), ["#0 ack 5 dss ack 5"]);
    assert_eq!(raw.read(), "data");
}

#[test]
fn data_that_overtakes_the_keys_waits_for_them() {
    let mut raw = Raw::new();
    let mut sub = raw.half_open();
    let first = sub;
    sub.seq = 5;
    raw.data(&mut sub, 5, b"more");
    // An ACK without a DATA_ACK would make the peer fall back.
    assert_eq!(raw.said(), Vec::<String>::new());
    raw.send(first, Flags::ACK, raw.third_ack(Some(4)), b"some");
    assert_eq!(raw.said(), ["#0 ack 9 dss ack 9"]);
    assert_eq!(raw.read(), "somemore");
    assert_eq!(protocol(&raw), Protocol::Multipath);
}

#[test]
fn a_data_fin_that_overtakes_the_keys_waits_for_them() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.data_fin(sub, 1, 1);
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.read(), "|");
    assert_eq!(raw.said().last().unwrap(), "#0 ack 1 dss ack 2");
}

#[test]
fn wrong_keys_reset_the_connection_and_nobody_hears_of_it() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.key.0[0] ^= 1;
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 R ack 1 reason 1"]);
    assert_eq!((raw.endpoint.len(), raw.events.len()), (0, 0));
}

#[test]
fn other_versions_and_flags_are_answered_by_tcp() {
    let hmac = CapableFlags::HMAC_SHA256;
    for (version, flags) in [
        (0, hmac),
        (2, hmac),
        (1, CapableFlags::default()),
        (1, hmac.with(CapableFlags::EXTENSIBILITY)),
    ] {
        let mut raw = Raw::new();
        let capable = Some(MpCapable::Syn { version, flags });
        let options = MptcpOptions { capable, ..MptcpOptions::default() };
        raw.send(raw.sub(0, 40_000, 80), Flags::SYN, options, b"");
        assert_eq!(raw.said(), ["new S ack 1"]);
    }
}

#[test]
fn a_repeated_syn_gets_the_same_answer() {
    let mut raw = Raw::new();
    let mut sub = raw.half_open();
    sub.seq = 0;
    raw.send(sub, Flags::SYN, capable_syn(), b"");
    assert_eq!(raw.said(), ["#0 S ack 1 capable"]);
    assert_eq!(raw.endpoint.len(), 1);
}

#[test]
fn a_half_open_connection_is_forgotten_and_makes_room() {
    let mut raw = Raw::new();
    raw.half_open();
    raw.pass(200_000);
    assert_eq!((raw.endpoint.len(), raw.events.len()), (0, 0));
    raw.said();
    raw.half_open();
    assert_eq!(raw.endpoint.len(), 1);
}

/// A peer whose segments say that it goes on with multipath, and never its keys.
#[test]
fn keys_that_never_come_are_not_waited_for_longer_than_the_user_timeout() {
    let mut raw = Raw::new();
    let mut sub = raw.half_open();
    sub.seq = 5;
    raw.data(&mut sub, 5, b"more");
    raw.pass(299_000);
    assert_eq!((raw.endpoint.len(), raw.said().len()), (1, 0));
    raw.pass(2_000);
    assert_eq!(raw.said(), ["#0 R ack 1"]);
    assert_eq!((raw.endpoint.len(), raw.endpoint.poll_timeout()), (0, None));
    assert!(raw.events.is_empty(), "nobody has heard of it: {:?}", raw.events);
}

#[test]
fn a_reset_ends_a_half_open_connection_in_silence() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    raw.send(sub, Flags::RST, MptcpOptions::default(), b"");
    assert_eq!((raw.endpoint.len(), raw.events.len(), raw.said().len()), (0, 0, 0));
}

#[test]
fn the_keys_are_repeated_until_the_peer_shows_that_it_has_them() {
    let mut raw = Raw::new();
    let sub = raw.connecting();
    raw.send(sub, Flags::SYN | Flags::ACK, capable_syn_ack(), b"");
    assert_eq!(raw.said(), ["#0 ack 1 keys"]);
    raw.write(b"some");
    assert_eq!(raw.said(), ["#0 1:5 ack 1 keys len 4"]);
    raw.pass(1_000);
    assert!(raw.said().iter().all(|s| s == "#0 1:5 ack 1 keys len 4"));
}

#[test]
fn data_fin_does_not_wait_for_a_peer_that_has_nothing_to_say() {
    let mut raw = Raw::new();
    let sub = raw.connecting();
    raw.send(sub, Flags::SYN | Flags::ACK, capable_syn_ack(), b"");
    let third = raw.take();
    let Some(MpCapable::Ack { sender_key, .. }) = third.options.mptcp.capable else { panic!() };
    raw.key = sender_key;
    raw.shutdown();
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 map 1@0+1 fin"]);
    raw.pass(5_000);
    let said = raw.said();
    assert!(said[0].ends_with("keys") && said[1].ends_with("fin"), "{said:?}");
}

#[test]
fn a_syn_without_answer_goes_out_without_the_option_at_last() {
    let mut raw = Raw::new();
    let sub = raw.connecting();
    raw.pass(20_000);
    let said = raw.said();
    assert_eq!(said[..2], ["#0 S capable", "#0 S capable"]);
    assert!(said[2..].iter().all(|s| s == "#0 S"), "{said:?}");
    raw.send(sub, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::SynDropped));
}

#[test]
fn a_closed_port_refuses() {
    let mut raw = Raw::new();
    let sub = raw.connecting();
    raw.send(sub, Flags::RST | Flags::ACK, MptcpOptions::default(), b"");
    let id = raw.conn.unwrap();
    assert_eq!(raw.events, [Event::Closed(id, Some(ConnectionError::Refused))]);
    raw.release();
    assert_eq!(raw.endpoint.len(), 0);
}

#[test]
fn a_syn_to_a_closed_port_is_refused() {
    let mut raw = Raw::new();
    raw.send(raw.sub(0, 40_000, 81), Flags::SYN, capable_syn(), b"");
    assert_eq!(raw.said(), ["new R ack 1"]);
}

/// The peer answers only the SYN without MP_CAPABLE; returns the connection's subflow.
fn dropped(raw: &mut Raw) {
    let sub = raw.connecting();
    raw.pass(10_000);
    raw.send(sub, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(protocol(raw), Protocol::FellBack(FallbackReason::SynDropped));
    raw.abort();
    raw.said();
}

/// RFC 8684 §3.9.3: the destination is remembered for a time that doubles.
#[test]
fn a_destination_that_drops_the_option_is_remembered_and_forgiven() {
    let mut raw = Raw::with(|config| config.blackhole_time = ms(60_000));
    dropped(&mut raw);
    dropped(&mut raw);
    raw.pass(39_000);
    let sub = raw.connecting();
    raw.pass(0);
    raw.send(sub, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::KnownToDrop));
    assert_eq!(raw.said(), ["#2 ack 1"]);
    raw.pass(22_000);
    dropped(&mut raw);
    raw.pass(110_000);
    raw.connecting();
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::KnownToDrop));
    raw.abort();
    raw.pass(11_000);
    raw.connected();
    assert_eq!(protocol(&raw), Protocol::Multipath);
    raw.abort();
    raw.said();
    dropped(&mut raw);
    raw.connecting();
    assert_eq!(protocol(&raw), Protocol::Negotiating, "once is no proof");
}

/// A server that was busy for longer drops SYNs without the option as well: it is not the option.
#[test]
fn a_busy_server_keeps_its_multipath() {
    let mut raw = Raw::new();
    for _ in 0..3 {
        let sub = raw.connecting();
        raw.pass(10_000);
        let plain = |p: &&manypath_wire::Packet| {
            let manypath_wire::Transport::Tcp(syn) = &p.transport else { return false };
            syn.options.mptcp.is_empty()
        };
        assert_eq!(raw.out.iter().filter(plain).count(), 1);
        raw.pass(10_000);
        assert_eq!(raw.out.iter().filter(plain).count(), 2, "the first was dropped too");
        raw.send(sub, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
        assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::SynDropped));
        raw.abort();
        raw.said();
    }
    raw.connected();
    assert_eq!(protocol(&raw), Protocol::Multipath);
}

#[test]
fn a_blackhole_time_of_zero_remembers_nothing() {
    let mut raw = Raw::with(|config| config.blackhole_time = ms(0));
    dropped(&mut raw);
    dropped(&mut raw);
    raw.connecting();
    assert_eq!(protocol(&raw), Protocol::Negotiating);
}

/// SYNs that cross (RFC 9293 §3.5): MPTCP has no handshake for that, TCP has.
#[test]
fn crossing_syns_fall_back_to_tcp() {
    let mut raw = Raw::new();
    let sub = raw.connecting();
    raw.said();
    let syn = Sub { seq: 0, ..sub };
    raw.send(syn, Flags::SYN, capable_syn(), b"");
    assert_eq!(raw.said(), ["#0 S ack 1"], "a SYN/ACK without the option");
    raw.send(syn, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::SimultaneousOpen));
    raw.send(Sub { seq: 1, ..sub }, Flags::ACK, MptcpOptions::default(), b"some");
    assert_eq!(raw.read(), "some");
}

/// RFC 8684 §3.1: B means that the option is not understood, whatever else it says; bits D to G
/// may be set beside H.
#[test]
fn unknown_algorithms_beside_a_known_one_do_no_harm() {
    let mut raw = Raw::new();
    let flags = CapableFlags(0x1f);
    let capable = Some(MpCapable::Syn { version: 1, flags });
    raw.send(
        raw.sub(0, 40_000, 80),
        Flags::SYN,
        MptcpOptions { capable, ..MptcpOptions::default() },
        b"",
    );
    let Some(MpCapable::SynAck { flags, .. }) = raw.take().options.mptcp.capable else { panic!() };
    assert_eq!(flags, CapableFlags::HMAC_SHA256, "H and nothing else");
}

fn syn_ack_flags(raw: &mut Raw, flags: CapableFlags) -> CapableFlags {
    let capable = Some(MpCapable::Syn { version: 1, flags });
    let options = MptcpOptions { capable, ..MptcpOptions::default() };
    raw.send(raw.sub(0, 40_000, 80), Flags::SYN, options, b"");
    match raw.take().options.mptcp.capable {
        Some(MpCapable::SynAck { flags, .. }) => flags,
        other => panic!("{other:?}"),
    }
}

/// RFC 8684 §3.1, flag A: if either side asks for checksums, both use them.
#[test]
fn checksums_are_used_if_either_side_asks() {
    let h = CapableFlags::HMAC_SHA256;
    let a = h.with(CapableFlags::CHECKSUM);
    for (ours, theirs, agreed) in [(false, h, h), (true, h, a), (false, a, a), (true, a, a)] {
        let mut raw = Raw::with(|config| config.checksum = ours);
        assert_eq!(syn_ack_flags(&mut raw, theirs), agreed);
    }
}

/// RFC 8684 §3.1, flag C.
#[test]
fn joins_to_the_initial_address_are_declined_where_the_host_says_so() {
    let flags = CapableFlags::HMAC_SHA256.with(CapableFlags::DENY_JOIN_ID0);
    let mut raw = Raw::with(|config| config.deny_join_initial = true);
    assert_eq!(syn_ack_flags(&mut raw, CapableFlags::HMAC_SHA256), flags);
    let mut raw = Raw::with(|config| config.deny_join_initial = true);
    raw.accepted();
    let syn = raw.join_syn(1);
    raw.send(raw.sub(0, 40_001, 80), Flags::SYN, syn, b"");
    assert_eq!(raw.said(), ["new R ack 1 reason 3"]);
    let syn = raw.join_syn(1);
    raw.send(raw.sub(0, 40_001, 8080), Flags::SYN, syn, b"");
    assert_eq!(raw.said(), ["new S ack 1 join"], "another port is not meant");
}

/// RFC 8684 §3.1: "the receiver MUST NOT try to open any additional subflows toward this address
/// and port".
#[test]
fn no_joins_go_to_an_initial_address_that_declines_them() {
    let flags = CapableFlags::HMAC_SHA256.with(CapableFlags::DENY_JOIN_ID0);
    let mut raw = Raw::new();
    let mut sub = raw.connecting_with(&ConnectOptions {
        remotes: [std::net::SocketAddr::from(([10, 0, 1, 1], 90))].into(),
        ..ConnectOptions::default()
    });
    let mut options = capable_syn_ack();
    if let Some(MpCapable::SynAck { flags: there, .. }) = &mut options.capable {
        *there = flags;
    }
    raw.send(sub, Flags::SYN | Flags::ACK, options, b"");
    sub.seq = 1;
    let Some(MpCapable::Ack { sender_key, .. }) = raw.take().options.mptcp.capable else {
        panic!()
    };
    raw.key = sender_key;
    let ack = raw.dss(Some(1), None, false);
    raw.send(sub, Flags::ACK, ack, b"");
    raw.pass(10_000);
    assert_eq!(raw.said(), Vec::<String>::new());
}

/// RFC 8684 §3.1: a version that was not offered, an algorithm that is not known, B.
#[test]
fn an_answer_of_another_version_or_with_other_flags_falls_back() {
    let h = CapableFlags::HMAC_SHA256;
    for (version, flags) in [
        (0, h),
        (2, h),
        (1, CapableFlags(0x02)),
        (1, CapableFlags::default()),
        (1, h.with(CapableFlags::EXTENSIBILITY)),
    ] {
        let mut raw = Raw::new();
        let sub = raw.connecting();
        let capable = Some(MpCapable::SynAck { version, flags, sender_key: common::raw::KEY });
        let options = MptcpOptions { capable, ..MptcpOptions::default() };
        raw.send(sub, Flags::SYN | Flags::ACK, options, b"");
        assert_eq!(raw.said(), ["#0 ack 1"]);
        assert_eq!(protocol(&raw), Protocol::FellBack(FallbackReason::Incompatible));
    }
}

/// A peer that sends this side's own key back is a mirror, and no peer.
#[test]
fn an_answer_with_this_sides_own_key_falls_back() {
    let mut raw = Raw::new();
    let sub = raw.half_open();
    let mut third = raw.third_ack(None);
    if let Some(MpCapable::Ack { sender_key, .. }) = &mut third.capable {
        *sender_key = raw.key;
    }
    raw.send(sub, Flags::ACK, third, b"");
    assert_eq!(raw.said(), ["#0 R ack 1 reason 1"]);
}

/// RFC 8684 §3.1: "If a SYN does not contain an MP_CAPABLE option, the SYN/ACK MUST NOT".
#[test]
fn a_plain_syn_is_answered_plainly() {
    let mut raw = Raw::new();
    raw.send(raw.sub(0, 40_000, 80), Flags::SYN, MptcpOptions::default(), b"");
    assert_eq!(raw.said(), ["new S ack 1"]);
}

/// Forms that belong to other segments say nothing on a SYN.
#[test]
fn other_forms_of_the_option_on_a_syn_are_answered_plainly() {
    let mut raw = Raw::new();
    raw.send(raw.sub(0, 40_000, 80), Flags::SYN, raw.third_ack(None), b"");
    raw.send(raw.sub(0, 40_001, 80), Flags::SYN, capable_syn_ack(), b"");
    assert_eq!(raw.said(), ["new S ack 1", "new S ack 1"]);
}
