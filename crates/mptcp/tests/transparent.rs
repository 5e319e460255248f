//! Listeners that take connections to addresses of other hosts.

mod common;

use std::net::SocketAddr;

use common::options::capable_syn;
use common::raw::{Raw, Sub};
use common::simple_interface;
use manypath_base::IfaceId;
use manypath_mptcp::{
    ConnectionMode, EndpointConfig, ListenError, ListenOptions, Protocol, SynCookies,
};
use manypath_wire::{Flags, MptcpOptions};

const OPTIONS: ListenOptions =
    ListenOptions { mode: ConnectionMode::Automatic, backlog: 8, fast_open: 0, transparent: true };

/// Somebody else's address.
fn elsewhere() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 443))
}

fn transparent(change: impl FnOnce(&mut EndpointConfig)) -> Raw {
    let mut raw = Raw::with(change);
    raw.endpoint.listen(SocketAddr::from(([0, 0, 0, 0], 443)), OPTIONS).unwrap();
    raw
}

/// The peer's end of a subflow that it opens to somebody else.
fn towards(raw: &Raw, iface: u32, to: SocketAddr) -> Sub {
    Sub { to, ..raw.sub(iface, 40_000, 443) }
}

/// A connection to somebody else's address.
fn accepted(raw: &mut Raw) -> Sub {
    let sub = raw.open(towards(raw, 0, elsewhere()), capable_syn());
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    raw.said();
    sub
}

#[test]
fn a_connection_to_another_host_is_taken_in_its_name() {
    for cookies in [SynCookies::Never, SynCookies::Always] {
        let mut raw = transparent(|config| config.syn_cookies = cookies);
        let mut sub = accepted(&mut raw);
        raw.data(&mut sub, 1, b"hello");
        assert_eq!(raw.said(), ["#0 ack 6 dss ack 6"]);
        assert_eq!(raw.read(), "hello");
        raw.write(b"yes?");
        assert_eq!(raw.said(), ["#0 1:5 ack 6 dss ack 6 map 1@1+4"]);
        let info = raw.endpoint.info(raw.conn.unwrap()).unwrap();
        assert_eq!((info.local, info.protocol), (elsewhere(), Protocol::Multipath));
    }
}

#[test]
fn what_no_transparent_listener_takes_is_not_for_this_host() {
    let mut raw = transparent(|_| {});
    // Port 80 has a listener for this host alone.
    for port in [80, 444] {
        let to = SocketAddr::new(elsewhere().ip(), port);
        for flags in [Flags::SYN, Flags::ACK] {
            raw.send(towards(&raw, 0, to), flags, MptcpOptions::default(), b"");
        }
    }
    assert_eq!((raw.said().len(), raw.endpoint.len()), (0, 0));
    assert_eq!(raw.endpoint.drops().not_local, 4);
    // The rest of what comes to its port is answered as that host would.
    raw.send(towards(&raw, 0, elsewhere()), Flags::ACK, MptcpOptions::default(), b"");
    assert_eq!(raw.said(), ["new R"]);
}

#[test]
fn the_host_s_own_addresses_are_taken_too() {
    let mut raw = transparent(|_| {});
    let sub = raw.open(raw.sub(0, 40_000, 443), capable_syn());
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1"]);
}

/// RFC 8684 §3.2: the peer joins to the address that it knows, from any of its own.
#[test]
fn joins_to_the_other_host_s_address_are_taken() {
    let mut raw = transparent(|_| {});
    accepted(&mut raw);
    let second = towards(&raw, 1, elsewhere());
    let (sub, third) = raw.joining(second, 1);
    raw.send(sub, Flags::ACK, third, b"");
    assert_eq!(raw.said(), ["#1 ack 1 dss ack 1"]);
    assert_eq!(raw.subflows(), 2);
}

/// The address is none of an interface, and lasts as long as the one that its packets come on.
#[test]
fn interfaces_that_come_and_go_elsewhere_do_not_matter() {
    let mut raw = transparent(|_| {});
    let mut sub = accepted(&mut raw);
    raw.endpoint.add_interface(raw.now, simple_interface(2, "10.0.3.2".parse().unwrap()));
    raw.endpoint.remove_interface(raw.now, IfaceId(1));
    raw.drain();
    raw.data(&mut sub, 1, b"still here");
    assert_eq!(raw.read(), "still here");
    raw.said();
    raw.endpoint.remove_interface(raw.now, IfaceId(0));
    raw.drain();
    assert_eq!(raw.subflows(), 0);
}

#[test]
fn one_address_of_another_host_may_be_listened_on() {
    let mut raw = Raw::new();
    let plain = ListenOptions { transparent: false, ..OPTIONS };
    let refused = raw.endpoint.listen(elsewhere(), plain);
    assert_eq!(refused, Err(ListenError::NotLocal(elsewhere().ip())));
    raw.endpoint.listen(elsewhere(), OPTIONS).unwrap();
    accepted(&mut raw);
    let other = SocketAddr::from(([198, 51, 100, 8], 443));
    raw.send(towards(&raw, 0, other), Flags::SYN, capable_syn(), b"");
    assert_eq!((raw.said().len(), raw.endpoint.drops().not_local), (0, 1));
}
