//! Middleboxes: options that vanish and data that changes (RFC 8684 §3.7).

mod common;

use common::{World, link, ms};
use manypath_mptcp::{EndpointConfig, Event, FallbackReason, Protocol};
use manypath_wire::{Flags, Packet, Transport};

/// Applies `change` to every TCP segment from the client (0) or the server (1).
fn tcp(packet: &mut Packet, change: impl FnOnce(&mut manypath_wire::Segment)) {
    if let Transport::Tcp(segment) = &mut packet.transport {
        change(segment);
    }
}

fn one_path() -> World {
    World::new(5, &[link(10, ms(10))])
}

fn protocols(world: &World) -> [Protocol; 2] {
    [&world.client, &world.server]
        .map(|host| host.endpoint.info(host.conn.unwrap()).unwrap().protocol)
}

#[test]
fn a_stripped_syn_falls_back_on_both_sides() {
    let mut world = one_path();
    world.middlebox = Some(Box::new(|_, packet| {
        tcp(packet, |s| {
            if s.flags.has(Flags::SYN) {
                s.options.mptcp = Default::default();
            }
        });
        true
    }));
    world.start(200_000, 200_000);
    assert!(world.run(ms(5_000)));
    let expected = Protocol::FellBack(FallbackReason::NotSupported);
    assert_eq!(protocols(&world), [expected, Protocol::PlainTcp]);
}

#[test]
fn a_stripped_third_ack_falls_back_on_both_sides() {
    let mut world = one_path();
    world.middlebox = Some(Box::new(|_, packet| {
        tcp(packet, |s| {
            if !s.flags.has(Flags::SYN) {
                s.options.mptcp = Default::default();
            }
        });
        true
    }));
    world.start(200_000, 200_000);
    assert!(world.run(ms(5_000)));
    let expected = Protocol::FellBack(FallbackReason::OptionsStripped);
    assert_eq!(protocols(&world), [expected, expected]);
}

#[test]
fn checksums_pass_unchanged_data() {
    let config = EndpointConfig { checksum: true, ..EndpointConfig::default() };
    let links = [link(10, ms(10)), link(10, ms(20))];
    let mut world = World::with(6, &links, &config, &EndpointConfig::default());
    world.start(500_000, 500_000);
    assert!(world.run(ms(5_000)));
    assert_eq!(protocols(&world), [Protocol::Multipath; 2]);
}

#[test]
fn changed_data_closes_the_subflow_where_there_is_another() {
    let config = EndpointConfig { checksum: true, ..EndpointConfig::default() };
    let links = [link(10, ms(10)), link(10, ms(20))];
    let mut world = World::with(7, &links, &config, &EndpointConfig::default());
    let mut seen = 0;
    world.middlebox = Some(Box::new(move |direction, packet| {
        // The first path's middlebox begins to rewrite once both paths carry data.
        seen += 1;
        let first_path = packet.ip.src.to_string() == "10.0.1.1";
        tcp(packet, |s| {
            if seen > 200
                && direction == 0
                && first_path
                && s.payload.len() > 1000
                && s.options.mptcp.dss.is_some()
            {
                let mut bytes = s.payload.to_vec();
                // Never up in one packet of a mapping and down in the next: no sum would tell.
                bytes[500] = bytes[500].wrapping_add(1);
                s.payload = bytes::Bytes::from(bytes).into();
            }
        });
        true
    }));
    world.start(500_000, 0);
    assert!(world.run(ms(20_000)), "{:?}", world.server.events);
    let down = |e: &Event| matches!(e, Event::PathDown(..));
    assert!(world.server.events.iter().any(|(_, e)| down(e)));
}
