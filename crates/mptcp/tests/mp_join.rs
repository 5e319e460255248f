//! Joining a connection (RFC 8684 §3.2), segment by segment.

mod common;

use common::raw::{Raw, Sub};
use manypath_mptcp::{Event, PathDownReason};
use manypath_wire::{Flags, MpJoin, MptcpOptions};

/// The endpoint has connected and has begun to join from its second interface.
fn joining_out() -> (Raw, Sub, Sub, u32) {
    let mut raw = Raw::new();
    let first = raw.connecting();
    raw.send(first, Flags::SYN | Flags::ACK, common::options::capable_syn_ack(), b"");
    let third = raw.take();
    let Some(manypath_wire::MpCapable::Ack { sender_key, .. }) = third.options.mptcp.capable else {
        panic!("{third:?}")
    };
    raw.key = sender_key;
    let first = Sub { seq: 1, ..first };
    let ack = raw.dss(Some(1), None, false);
    raw.send(first, Flags::ACK, ack, b"");
    let (second, nonce) = raw.meet_join();
    (raw, first, second, nonce)
}

#[test]
fn a_join_is_answered_and_confirmed() {
    let mut raw = Raw::new();
    raw.accepted();
    let (sub, third) = raw.joining(raw.sub(1, 40_001, 80), 1);
    raw.send(sub, Flags::ACK, third.clone(), b"");
    assert_eq!(raw.said(), ["#1 ack 1 dss ack 1"]);
    // The fourth ACK was lost.
    raw.send(sub, Flags::ACK, third, b"");
    assert_eq!(raw.said(), ["#1 ack 1 dss ack 1"]);
}

#[test]
fn an_unknown_token_is_refused_with_a_reason() {
    let mut raw = Raw::new();
    raw.accepted();
    raw.key.0[0] ^= 1;
    let syn = raw.join_syn(1);
    raw.send(raw.sub(1, 40_001, 80), Flags::SYN, syn, b"");
    assert_eq!(raw.said(), ["new R ack 1 reason 1"]);
    assert_eq!(raw.endpoint.drops().unknown_token, 1);
}

#[test]
fn a_join_beyond_the_limit_is_refused() {
    let mut raw = Raw::with(|config| config.limits.subflows = 1);
    raw.accepted();
    raw.joined();
    let syn = raw.join_syn(2);
    raw.send(raw.sub(1, 40_002, 80), Flags::SYN, syn, b"");
    assert_eq!(raw.said(), ["new R ack 1 reason 3 T"]);
}

#[test]
fn a_wrong_hmac_resets_the_join_alone() {
    let mut raw = Raw::new();
    raw.accepted();
    let (sub, mut third) = raw.joining(raw.sub(1, 40_001, 80), 1);
    if let Some(MpJoin::Ack { hmac }) = &mut third.join {
        hmac[19] ^= 1;
    }
    raw.send(sub, Flags::ACK, third, b"");
    assert_eq!(raw.said(), ["#1 R ack 1 reason 1"]);
    assert_eq!(raw.endpoint.drops().bad_hmac, 1);
    let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
    assert_eq!(info.subflows.len(), 1);
}

#[test]
fn data_on_a_join_that_is_not_authenticated_resets_it() {
    let mut raw = Raw::new();
    raw.accepted();
    let (mut sub, _) = raw.joining(raw.sub(1, 40_001, 80), 1);
    raw.data(&mut sub, 1, b"evil");
    assert_eq!(raw.said(), ["#1 R ack 1 reason 1"]);
    assert_eq!(raw.read(), "");
}

#[test]
fn a_join_whose_third_ack_never_comes_is_forgotten() {
    let mut raw = Raw::new();
    raw.accepted();
    raw.joining(raw.sub(1, 40_001, 80), 1);
    raw.pass(200_000);
    let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
    assert_eq!(info.subflows.len(), 1);
}

#[test]
fn the_third_ack_of_a_join_is_repeated_until_it_is_answered() {
    let (mut raw, _, second, nonce) = joining_out();
    let options = raw.join_syn_ack(nonce, 1);
    raw.send(second, Flags::SYN | Flags::ACK, options, b"");
    assert_eq!(raw.said(), ["#1 ack 1 join-ack"]);
    raw.pass(2_500);
    let said = raw.said();
    assert!(said.len() >= 2 && said.iter().all(|s| s == "#1 ack 1 join-ack"), "{said:?}");
    let second = Sub { seq: 1, ..second };
    let ack = raw.dss(Some(1), None, false);
    raw.send(second, Flags::ACK, ack, b"");
    raw.pass(20_000);
    assert!(raw.said().iter().all(|s| !s.contains("join-ack")));
    assert!(raw.events.iter().filter(|e| matches!(e, Event::PathUp { .. })).count() == 2);
}

/// RFC 8684 §3.7: the first data of a subflow says where it belongs; where it does not, the path takes
/// options away.
#[test]
fn data_without_options_does_not_confirm_a_join() {
    let (mut raw, _, second, nonce) = joining_out();
    let options = raw.join_syn_ack(nonce, 1);
    raw.send(second, Flags::SYN | Flags::ACK, options, b"");
    raw.said();
    let second = Sub { seq: 1, ..second };
    raw.send(second, Flags::ACK, MptcpOptions::default(), b"plain");
    assert_eq!(raw.said(), ["#1 R ack 1 reason 6"]);
    assert_eq!(raw.subflows(), 1);
}

#[test]
fn no_data_leaves_on_a_join_before_the_fourth_ack() {
    let (mut raw, first, second, nonce) = joining_out();
    let options = raw.join_syn_ack(nonce, 1);
    raw.send(second, Flags::SYN | Flags::ACK, options, b"");
    raw.said();
    raw.write(b"some");
    raw.pass(100);
    let said = raw.said();
    assert!(said.iter().all(|s| s.starts_with("#0") || s.ends_with("join-ack")), "{said:?}");
    assert!(first.seq == 1);
}

#[test]
fn a_join_that_is_never_confirmed_is_given_up_and_tried_again() {
    let (mut raw, _, second, nonce) = joining_out();
    let options = raw.join_syn_ack(nonce, 1);
    raw.send(second, Flags::SYN | Flags::ACK, options, b"");
    raw.pass(300_000);
    let said = raw.said();
    assert!(said.iter().any(|s| s.starts_with("#1 R")), "{said:?}");
    assert!(said.iter().any(|s| s.starts_with("new S join")), "{said:?}");
}

#[test]
fn a_syn_ack_with_a_wrong_hmac_is_reset() {
    let (mut raw, _, second, nonce) = joining_out();
    let options = raw.join_syn_ack(nonce ^ 1, 1);
    raw.send(second, Flags::SYN | Flags::ACK, options, b"");
    assert_eq!(raw.said(), ["#1 R ack 1 reason 1"]);
}

#[test]
fn a_syn_ack_without_the_option_is_reset() {
    let (mut raw, _, second, _) = joining_out();
    raw.send(second, Flags::SYN | Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(raw.said(), ["#1 R ack 1 reason 1"]);
}

#[test]
fn one_of_two_subflows_may_be_reset() {
    let mut raw = Raw::new();
    let mut first = raw.accepted();
    let second = raw.joined();
    raw.send(second, Flags::RST, MptcpOptions::default(), b"");
    let down = |e: &Event| matches!(e, Event::PathDown(_, _, PathDownReason::Reset(None)));
    assert!(raw.events.iter().any(down), "{:?}", raw.events);
    raw.data(&mut first, 1, b"more");
    assert_eq!(raw.read(), "more");
}

#[test]
fn what_a_subflow_carried_when_it_was_reset_goes_out_on_the_other() {
    let mut raw = Raw::new();
    let first = raw.accepted();
    raw.write(b"some");
    assert_eq!(raw.said(), ["#0 1:5 ack 1 dss ack 1 map 1@1+4"]);
    raw.joined();
    raw.send(first, Flags::RST, MptcpOptions::default(), b"");
    assert_eq!(raw.said(), ["#1 1:5 ack 1 dss ack 1 map 1@1+4"]);
}

#[test]
fn a_subflow_that_is_closed_alone_leaves_the_connection_open() {
    let mut raw = Raw::new();
    let mut first = raw.accepted();
    let second = raw.joined();
    let ack = raw.dss(Some(1), None, false);
    raw.send(second, Flags::FIN | Flags::ACK, ack, b"");
    assert!(raw.said().iter().any(|s| s == "#1 F ack 2 dss ack 1"));
    raw.data(&mut first, 1, b"more");
    assert_eq!(raw.read(), "more");
}

#[test]
fn the_last_subflow_still_carries_this_sides_data_when_the_peer_closed_it() {
    let mut raw = Raw::new();
    let sub = raw.accepted();
    let ack = raw.dss(Some(1), None, false);
    raw.send(sub, Flags::FIN | Flags::ACK, ack, b"");
    assert_eq!(raw.said(), ["#0 ack 2 dss ack 1"]);
    raw.write(b"some");
    assert_eq!(raw.said(), ["#0 1:5 ack 2 dss ack 1 map 1@1+4"]);
}

#[test]
fn a_connection_outlives_its_last_path_for_a_while() {
    let mut raw = Raw::new();
    let first = raw.accepted();
    let second = raw.joined();
    raw.write(b"some");
    raw.said();
    for sub in [second, first] {
        raw.send(sub, Flags::RST, MptcpOptions::default(), b"");
    }
    raw.said();
    raw.pass(10_000);
    let (third, ack) = raw.joining(raw.sub(1, 40_009, 80), 1);
    raw.send(third, Flags::ACK, ack, b"");
    assert_eq!(raw.said(), ["#2 1:5 ack 1 dss ack 1 map 1@1+4"]);
    raw.send(third, Flags::RST, MptcpOptions::default(), b"");
    raw.pass(59_000);
    assert!(!raw.events.iter().any(|e| matches!(e, Event::Closed(..))));
    raw.pass(2_000);
    assert!(raw.events.iter().any(|e| matches!(e, Event::Closed(..))));
}

/// A peer that has the token alone keeps nobody out: what does not complete makes way.
#[test]
fn half_open_joins_make_way_for_others() {
    let mut raw = Raw::with(|config| config.limits.subflows = 2);
    raw.accepted();
    for port in 0..1_000 {
        let syn = raw.join_syn(3);
        raw.send(raw.sub(1, 41_000 + port, 80), Flags::SYN, syn, b"");
        assert!(raw.subflows() <= 3);
    }
    raw.said();
    let (sub, third) = raw.joining(raw.sub(1, 40_001, 80), 1);
    raw.said();
    raw.send(sub, Flags::ACK, third, b"");
    assert_eq!(raw.said(), ["#1 ack 1 dss ack 1"]);
}

/// RFC 8684 §3.2: the token says which connection is meant, whatever the port.
#[test]
fn a_join_is_found_by_its_token_at_any_port() {
    let mut raw = Raw::new();
    raw.accepted();
    let syn = raw.join_syn(1);
    raw.send(raw.sub(1, 40_001, 7_777), Flags::SYN, syn, b"");
    assert_eq!(raw.said(), ["new S ack 1 join"]);
}

/// RFC 8684 §3.9.1: the ports of the first subflow, on both sides.
#[test]
fn a_join_uses_the_ports_of_the_first_subflow() {
    let (mut raw, first, second, _) = joining_out();
    assert_eq!(second.to.port(), first.to.port());
    assert_eq!(second.from.port(), first.from.port());
    raw.send(second, Flags::RST | Flags::ACK, MptcpOptions::default(), b"");
    raw.pass(2_000);
    let (again, _) = raw.meet_join();
    assert_ne!(again.to.port(), first.to.port(), "a further attempt is another 4-tuple");
}

/// RFC 8684 §3.1: "new subflows MUST NOT be established until a DSS option has been received".
#[test]
fn no_join_goes_out_before_a_dss_came() {
    let mut raw = Raw::new();
    let first = raw.connecting();
    raw.send(first, Flags::SYN | Flags::ACK, common::options::capable_syn_ack(), b"");
    raw.pass(5_000);
    assert!(raw.said().iter().all(|s| !s.contains("join")));
    let third = Sub { seq: 1, ..first };
    let ack = raw.dss(Some(1), None, false);
    raw.send(third, Flags::ACK, ack, b"");
    assert_eq!(raw.said(), ["new S join"]);
}

/// Nor does the endpoint take one in before it knows the peer's key.
#[test]
fn no_join_is_taken_in_before_the_third_ack() {
    let mut raw = Raw::new();
    raw.half_open();
    let syn = raw.join_syn(1);
    raw.send(raw.sub(1, 40_001, 80), Flags::SYN, syn, b"");
    assert_eq!(raw.said(), ["new R ack 1 reason 3"]);
}

/// RFC 8684 §3.2: fresh nonces; what was once recorded is of no use.
#[test]
fn a_replayed_join_is_reset() {
    let mut raw = Raw::new();
    raw.accepted();
    let (sub, third) = raw.joining(raw.sub(1, 40_001, 80), 1);
    raw.send(sub, Flags::ACK, third.clone(), b"");
    raw.send(sub, Flags::RST, MptcpOptions::default(), b"");
    raw.said();
    let syn = raw.join_syn(1);
    raw.send(raw.sub(1, 40_001, 80), Flags::SYN, syn, b"");
    let answer = raw.take();
    let again = Sub { isn: answer.seq.0, ..sub };
    raw.send(again, Flags::ACK, third, b"");
    let reset = raw.take();
    assert!(reset.flags.has(Flags::RST), "{reset:?}");
    assert_eq!(raw.subflows(), 1);
}

/// One guess of the HMAC an attempt: every bit counts.
#[test]
fn every_bit_of_the_hmac_counts() {
    let mut raw = Raw::new();
    raw.accepted();
    for bit in 0..160 {
        let (sub, mut third) = raw.joining(raw.sub(1, 41_000 + bit, 80), 1);
        if let Some(MpJoin::Ack { hmac }) = &mut third.join {
            hmac[usize::from(bit / 8)] ^= 1 << (bit % 8);
        }
        raw.send(sub, Flags::ACK, third, b"");
        assert!(raw.said()[0].contains("R ack 1 reason 1"), "bit {bit}");
    }
    assert_eq!((raw.subflows(), raw.endpoint.drops().bad_hmac), (1, 160));
}

/// RFC 8684 §3.3.8: B in the SYN makes a subflow a backup from the start.
#[test]
fn a_join_may_begin_as_a_backup() {
    let mut raw = Raw::new();
    raw.accepted();
    let mut syn = raw.join_syn(1);
    if let Some(MpJoin::Syn { backup, .. }) = &mut syn.join {
        *backup = true;
    }
    raw.send(raw.sub(1, 40_001, 80), Flags::SYN, syn, b"");
    raw.said();
    let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
    assert_eq!(info.subflows.iter().map(|s| s.backup).collect::<Vec<_>>(), [false, true]);
}

/// A SYN that comes again gets the same answer: its nonce and HMAC are not drawn anew.
#[test]
fn a_repeated_syn_of_a_join_gets_the_same_answer() {
    let mut raw = Raw::new();
    raw.accepted();
    let sub = raw.sub(1, 40_001, 80);
    let mut answers = vec![];
    for _ in 0..2 {
        raw.send(sub, Flags::SYN, raw.join_syn(1), b"");
        let answer = raw.take();
        answers.push((answer.seq, answer.options.mptcp.join));
    }
    assert!(answers[0].1.is_some() && answers[0] == answers[1], "{answers:?}");
    assert_eq!(raw.subflows(), 2);
}

/// A SYN that lost its option began a TCP connection here, and the peer takes that for a subflow: its
/// data belongs elsewhere.
#[test]
fn the_third_ack_of_a_join_resets_what_is_tcp_here() {
    let mut raw = Raw::new();
    raw.accepted();
    let (_, third) = raw.joining(raw.sub(1, 40_001, 80), 1);
    let sub = raw.sub(1, 40_002, 80);
    raw.send(sub, Flags::SYN, MptcpOptions::default(), b"");
    let answer = raw.take();
    let sub = Sub { seq: 1, ack: 1, isn: answer.seq.0, ..sub };
    raw.send(sub, Flags::ACK, third, b"");
    assert_eq!(raw.said(), ["new R ack 1 reason 1"]);
}
