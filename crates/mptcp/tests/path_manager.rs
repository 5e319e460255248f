//! Which paths a connection has: announced ports, addresses stored beyond the limit, full meshes,
//! backups, failures and what follows (RFC 8684 §3.4, §3.6, §3.9).

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use common::raw::{Raw, Sub};
use common::simple_interface;
use manypath_base::{AddrId, IfaceId};
use manypath_mptcp::{AddressFlags, Event, Interface, LocalAddress};
use manypath_wire::{
    AddAddr, Flags, MpJoin, MpTcpRst, MptcpOptions, RemoveAddr, ResetReason, Transport,
};

const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);
const THIRD: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 9);

fn add(raw: &Raw, id: u8, addr: Ipv4Addr, port: Option<u16>) -> MptcpOptions {
    let hmac = Some(raw.add_addr_port_hmac(id, addr, port.unwrap_or(0)));
    let add_addr = Some(AddAddr { id: AddrId(id), addr: addr.into(), port, hmac });
    MptcpOptions { add_addr, ..raw.dss(Some(1), None, false) }
}

fn remove(id: u8) -> MptcpOptions {
    let ids = [AddrId(id)].into_iter().collect();
    MptcpOptions { remove_addr: Some(RemoveAddr { ids }), ..MptcpOptions::default() }
}

fn interface(id: u32, addr: [u8; 4], flags: AddressFlags, port: Option<u16>) -> Interface {
    let addresses = vec![LocalAddress { addr: addr.into(), flags, port }];
    Interface { id: IfaceId(id), mtu: 1500, addresses }
}

/// Joins that the endpoint has sent since it was last asked: from, to.
fn joins(raw: &mut Raw) -> Vec<(String, SocketAddr)> {
    let out = std::mem::take(&mut raw.out);
    let join = |packet: &manypath_wire::Packet| match &packet.transport {
        Transport::Tcp(s) if matches!(s.options.mptcp.join, Some(MpJoin::Syn { .. })) => {
            Some((packet.ip.src.to_string(), SocketAddr::new(packet.ip.dst, s.dst_port)))
        }
        Transport::Tcp(_) | Transport::Icmp(_) => None,
    };
    out.iter().filter_map(join).collect()
}

/// A connection from the only interface; what the peer announces is joined from there.
fn single() -> (Raw, Sub) {
    let mut raw = Raw::new();
    raw.endpoint.remove_interface(raw.now, IfaceId(1));
    let sub = raw.connected();
    assert_eq!(joins(&mut raw), []);
    (raw, sub)
}

/// RFC 8684 §3.4.1: the port of an announcement.
#[test]
fn an_announced_port_is_joined_at() {
    let (mut raw, sub) = single();
    let options = add(&raw, 2, OTHER, Some(8_080));
    raw.send(sub, Flags::ACK, options, b"");
    assert_eq!(joins(&mut raw), [("10.0.1.2".to_owned(), SocketAddr::from((OTHER, 8_080)))]);
}

/// Without one, that of the subflow on which the announcement came.
#[test]
fn an_announcement_without_port_means_that_of_its_subflow() {
    let (mut raw, sub) = single();
    let options = add(&raw, 2, OTHER, None);
    raw.send(sub, Flags::ACK, options, b"");
    assert_eq!(joins(&mut raw), [("10.0.1.2".to_owned(), SocketAddr::from((OTHER, 90)))]);
}

/// "If the port number is different, the receiving host SHOULD try to set up a new subflow."
#[test]
fn the_same_address_with_another_port_is_joined_too() {
    let (mut raw, sub) = single();
    for port in [8_080, 8_081] {
        let options = add(&raw, 2, OTHER, Some(port));
        raw.send(sub, Flags::ACK, options, b"");
        assert_eq!(joins(&mut raw)[0].1, SocketAddr::from((OTHER, port)));
    }
}

/// The HMAC covers the port.
#[test]
fn an_altered_port_is_not_joined() {
    let (mut raw, sub) = single();
    let mut options = add(&raw, 2, OTHER, Some(8_080));
    if let Some(add) = &mut options.add_addr {
        add.port = Some(8_081);
    }
    raw.send(sub, Flags::ACK, options, b"");
    assert_eq!(joins(&mut raw), []);
    assert_eq!(raw.endpoint.drops().bad_hmac, 1);
}

/// RFC 8684 §3.4.1: announced with its port, and repeated until exactly that is echoed.
#[test]
fn a_port_is_announced_and_its_echo_awaited() {
    let mut raw = Raw::new();
    let flags = AddressFlags { signal: true, subflow: false, ..AddressFlags::default() };
    raw.endpoint.add_interface(raw.now, interface(7, [10, 0, 3, 2], flags, Some(8_080)));
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 add 3 10.0.3.2:8080"]);
    let echo = |port| {
        let addr = [10, 0, 3, 2].into();
        let add_addr = Some(AddAddr { id: AddrId(3), addr, port, hmac: None });
        MptcpOptions { add_addr, ..MptcpOptions::default() }
    };
    raw.send(sub, Flags::ACK, echo(None), b"");
    raw.pass(1_500);
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 add 3 10.0.3.2:8080"], "that was another's echo");
    raw.send(sub, Flags::ACK, echo(Some(8_080)), b"");
    raw.pass(60_000);
    assert_eq!(raw.said(), Vec::<String>::new());
    // And a join to that port is taken in.
    let syn = raw.join_syn(1);
    let mut there = raw.sub(1, 40_001, 8_080);
    there.to.set_ip([10, 0, 3, 2].into());
    raw.send(there, Flags::SYN, syn, b"");
    assert_eq!(raw.said(), ["new S ack 1 join"]);
}

/// An announcement is checked against the HMAC that RFC 8684 §3.4.1 says.
#[test]
fn this_sides_announcement_carries_the_right_hmac() {
    let mut raw = Raw::new();
    let flags = AddressFlags { signal: true, subflow: false, ..AddressFlags::default() };
    raw.endpoint.add_interface(raw.now, interface(7, [10, 0, 3, 2], flags, Some(8_080)));
    let sub = raw.half_open();
    raw.send(sub, Flags::ACK, raw.third_ack(None), b"");
    let add = raw.take().options.mptcp.add_addr.unwrap();
    assert_eq!(add.hmac.unwrap(), raw.their_add_addr_hmac(3, [10, 0, 3, 2].into(), 8_080));
}

/// RFC 8684 §3.4.1: what is announced beyond the limit is stored, and used when a place is free.
#[test]
fn addresses_beyond_the_limit_are_stored_and_used_later() {
    let mut raw = Raw::with(|config| config.limits.add_addr_accepted = 1);
    raw.endpoint.remove_interface(raw.now, IfaceId(1));
    let sub = raw.connected();
    for (id, addr) in [(2, OTHER), (3, THIRD)] {
        let options = add(&raw, id, addr, None);
        raw.send(sub, Flags::ACK, options, b"");
    }
    let tried = joins(&mut raw);
    assert!(tried.iter().all(|(_, to)| to.ip() == OTHER), "{tried:?}");
    raw.send(sub, Flags::ACK, remove(2), b"");
    raw.pass(1_100);
    let tried = joins(&mut raw);
    assert_eq!(tried[0].1.ip(), THIRD, "{tried:?}");
}

/// A full mesh: from that address to every address of the peer.
#[test]
fn a_fullmesh_address_joins_to_every_announced_address() {
    let mut raw = Raw::new();
    raw.endpoint.remove_interface(raw.now, IfaceId(1));
    let flags = AddressFlags { fullmesh: true, ..AddressFlags::default() };
    raw.endpoint.add_interface(raw.now, interface(1, [10, 0, 2, 2], flags, None));
    let sub = raw.connected();
    for (id, addr) in [(2, OTHER), (3, THIRD)] {
        let options = add(&raw, id, addr, None);
        raw.send(sub, Flags::ACK, options, b"");
    }
    let tried = joins(&mut raw);
    let mut from_mesh: Vec<_> =
        tried.iter().filter(|(from, _)| from == "10.0.2.2").map(|(_, to)| to.ip()).collect();
    from_mesh.sort_unstable();
    let initial = Ipv4Addr::new(10, 0, 1, 1);
    assert_eq!(from_mesh, [initial, OTHER, THIRD].map(IpAddr::from));
}

/// RFC 8684 §3.2, §3.3.8: the B flag of a backup address, and MP_PRIO for the initial subflow.
#[test]
fn backup_addresses_say_so() {
    let mut raw = Raw::new();
    let flags = AddressFlags { backup: true, ..AddressFlags::default() };
    for (id, net) in [(0, 1), (1, 2)] {
        raw.endpoint.remove_interface(raw.now, IfaceId(id));
        raw.endpoint.add_interface(raw.now, interface(id, [10, 0, net, 2], flags, None));
    }
    let _sub = raw.connected();
    let backup = |packet: &manypath_wire::Packet| match &packet.transport {
        Transport::Tcp(s) => {
            matches!(s.options.mptcp.join, Some(MpJoin::Syn { backup: true, .. }))
        }
        Transport::Icmp(_) => false,
    };
    assert!(raw.out.iter().any(backup), "{:?}", raw.out);
    assert!(raw.said().iter().any(|s| s.ends_with("backup")), "MP_PRIO for the initial one");
}

#[test]
fn an_address_that_becomes_a_backup_is_told_of() {
    let mut raw = Raw::new();
    raw.accepted();
    let flags = AddressFlags { backup: true, ..AddressFlags::default() };
    raw.endpoint.add_interface(raw.now, interface(0, [10, 0, 1, 2], flags, None));
    raw.drain();
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 backup"]);
    raw.endpoint.add_interface(raw.now, simple_interface(0, [10, 0, 1, 2].into()));
    raw.drain();
    assert_eq!(raw.said(), ["#0 ack 1 dss ack 1 regular"]);
}

/// The endpoint's join from its second interface is refused so.
fn refused(reset: Option<MpTcpRst>) -> (Raw, Sub) {
    let mut raw = Raw::new();
    let first = raw.connected();
    let (second, _) = raw.meet_join();
    let options = MptcpOptions { reset, ..MptcpOptions::default() };
    raw.send(second, Flags::RST | Flags::ACK, options, b"");
    (raw, first)
}

/// RFC 8684 §3.6: T is clear: SHOULD NOT try again; unless the peer announces the address anew.
#[test]
fn a_permanent_refusal_is_final_until_a_new_announcement() {
    let reason = ResetReason::AdministrativelyProhibited;
    let (mut raw, first) = refused(Some(MpTcpRst { transient: false, reason }));
    raw.pass(600_000);
    assert_eq!(joins(&mut raw), []);
    let options = add(&raw, 5, OTHER, None);
    raw.send(first, Flags::ACK, options, b"");
    assert_eq!(joins(&mut raw)[0].1.ip(), OTHER);
}

/// RFC 8684 §3.6: T is set, or nothing is said: tried again, at doubling intervals.
#[test]
fn a_transient_refusal_is_tried_again() {
    let reason = ResetReason::LackOfResources;
    for reset in [Some(MpTcpRst { transient: true, reason }), None] {
        let (mut raw, _) = refused(reset);
        raw.pass(900);
        assert_eq!(joins(&mut raw), []);
        raw.pass(200);
        assert_eq!(joins(&mut raw).len(), 1);
    }
}

/// The application hears once that a path is not to be had, and why (RFC 8684 §3.6).
#[test]
fn a_refusal_is_reported_once_with_its_reason() {
    let reason = ResetReason::LackOfResources;
    for (reset, code) in [(Some(MpTcpRst { transient: true, reason }), Some(2)), (None, None)] {
        let (mut raw, _) = refused(reset);
        raw.pass(120_000);
        assert!(joins(&mut raw).len() > 1, "it is tried again");
        let failed = raw.events.iter().filter_map(|event| match event {
            Event::JoinFailed { local, reason, .. } => Some((local.ip(), *reason)),
            _ => None,
        });
        assert_eq!(failed.collect::<Vec<_>>(), [(IpAddr::from([10, 0, 2, 2]), code)]);
    }
}

/// RFC 8684 §3.4.1: thousands of valid announcements cost no more than the limit.
#[test]
fn a_flood_of_announcements_is_bounded() {
    let mut raw = Raw::with(|config| config.limits.add_addr_accepted = 4);
    raw.endpoint.remove_interface(raw.now, IfaceId(1));
    let sub = raw.connected();
    for n in 1..=255 {
        let options = add(&raw, n, Ipv4Addr::new(10, 9, 0, n), None);
        raw.send(sub, Flags::ACK, options, b"");
    }
    assert_eq!(joins(&mut raw).len(), 4);
}
