//! IPv6, and connections over both families (RFC 8684 §3.4.1).

mod common;

use std::net::SocketAddr;

use common::{PORT, World, addr, addr6, link, ms};
use manypath_base::IfaceId;
use manypath_mptcp::{
    AddressFlags, ConnectOptions, EndpointConfig, Event, Interface, LocalAddress, Protocol,
};

/// Remote addresses of the client's subflows.
fn remotes(world: &World) -> Vec<SocketAddr> {
    let info = world.client.endpoint.info(world.client.conn.unwrap()).unwrap();
    assert_eq!(info.protocol, Protocol::Multipath);
    info.subflows.iter().map(|s| s.remote).collect()
}

fn both_carry(world: &World) -> bool {
    let sent = world.client.sent_by_subflow();
    sent.len() == 2 && sent.values().all(|&n| n > 100_000)
}

#[test]
fn two_paths_of_ipv6_carry_one_stream() {
    let mut world = World::mixed(1, &[link(20, ms(10)), link(10, ms(20))], &[true, true]);
    world.start(2 << 20, 100_000);
    assert!(world.run(ms(10_000)), "{}", world.describe());
    assert!(both_carry(&world));
    assert!(remotes(&world).iter().all(SocketAddr::is_ipv6));
}

/// The application knows an address of the other family.
#[test]
fn a_connection_over_ipv4_is_joined_over_ipv6() {
    let mut world = World::mixed(2, &[link(20, ms(10)), link(10, ms(20))], &[false, true]);
    let remotes_known = [SocketAddr::new(addr6(1, 2), PORT)].into();
    let options = ConnectOptions { remotes: remotes_known, ..ConnectOptions::default() };
    world.start_with(2 << 20, 100_000, &options);
    assert!(world.run(ms(10_000)), "{}", world.describe());
    assert!(both_carry(&world));
    assert_eq!(remotes(&world), [(addr(0, 2), PORT), (addr6(1, 2), PORT)].map(SocketAddr::from));
}

/// The peer announces its address of the other family; so it does with checksums, which leave less
/// room for options.
#[test]
fn an_announced_address_of_the_other_family_is_joined() {
    for (first, second) in [(false, true), (true, false)] {
        let mut world = World::mixed(3, &[link(20, ms(10)), link(10, ms(20))], &[first, second]);
        let there = if second { addr6(1, 2) } else { addr(1, 2) };
        let flags = AddressFlags { signal: true, ..AddressFlags::default() };
        let addresses = vec![LocalAddress { addr: there, flags, port: None }];
        let interface = Interface { id: IfaceId(1), mtu: 1500, addresses };
        let now = world.now;
        world.server.endpoint.add_interface(now, interface);
        world.start(2 << 20, 100_000);
        assert!(world.run(ms(10_000)), "{}", world.describe());
        let announced = |e: &Event| matches!(e, Event::AddrAnnounced(_, _, ip) if *ip == there);
        assert!(world.client.events.iter().any(|(_, e)| announced(e)));
        assert_eq!(remotes(&world)[1], SocketAddr::new(there, PORT));
        assert!(both_carry(&world));
    }
}

/// RFC 8684 §3.4.1: with HMAC and port an IPv6 address does not fit beside timestamps; nothing is
/// attempted without end.
#[test]
fn an_ipv6_address_with_a_port_is_announced_only_where_it_fits() {
    for timestamps in [true, false] {
        let mut config = EndpointConfig::default();
        config.tcp.timestamps = timestamps;
        let links = [link(20, ms(10)), link(10, ms(20))];
        let mut world = World::with(4, &links, &EndpointConfig::default(), &config);
        let flags = AddressFlags { signal: true, subflow: false, ..AddressFlags::default() };
        let addresses = vec![LocalAddress { addr: addr6(1, 2), flags, port: Some(8_080) }];
        let interface = Interface { id: IfaceId(7), mtu: 1500, addresses };
        let now = world.now;
        world.server.endpoint.add_interface(now, interface);
        world.start(200_000, 200_000);
        assert!(world.run(ms(10_000)), "{}", world.describe());
        let announced = |e: &Event| matches!(e, Event::AddrAnnounced(_, _, ip) if ip.is_ipv6());
        let heard = world.client.events.iter().any(|(_, e)| announced(e));
        assert_eq!(heard, !timestamps);
    }
}
