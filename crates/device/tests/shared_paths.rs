//! Paths with one address for all of them: packets take the way of their path, and nothing stays
//! behind.

mod common;

use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::world::{World, snapshot, tun, world};
use common::{address, data_packet, sh};
use manypath_device::paths::{PathSetup, PathSetupError, common_addresses};
use manypath_device::{
    Device, Mac, NextHop, PathSelector, SharedAddress, SharedPathSpec, SharedSetupConfig, Tun,
};
use manypath_wire::{Checksum, Flags, Packet, Segment, Transport};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const LOCAL: [&str; 2] = ["198.19.77.1", "fd77::1"];
const PUBLIC: [&str; 2] = ["10.1.0.1", "fd00:1::1"];
const FAR: [&str; 2] = ["10.99.0.1", "fd00:99::1"];
const PATIENCE: Duration = Duration::from_secs(10);

fn interface(name: &str, next_hop: NextHop) -> PathSelector {
    PathSelector::Interface { name: name.to_owned(), next_hop }
}

/// Paths `mp0`, `mp1`, .. that share an address of each IP version.
fn config(selectors: &[PathSelector]) -> SharedSetupConfig {
    let shared = |n: usize| {
        let (local, public) = (address(LOCAL[n]), Some(address(PUBLIC[n])));
        SharedAddress { local, public }
    };
    let paths = selectors
        .iter()
        .enumerate()
        .map(|(n, selector)| SharedPathSpec { tun: format!("mp{n}"), selector: selector.clone() });
    let paths = paths.collect();
    SharedSetupConfig { addresses: vec![shared(0), shared(1)], served: vec![8080], paths }
}

fn two_interfaces() -> SharedSetupConfig {
    config(&[interface("wifi", NextHop::Found), interface("lte", NextHop::Found)])
}

/// The TUNs and the setup, in the host.
fn establish(config: &SharedSetupConfig) -> (Vec<Tun>, PathSetup) {
    let tuns = config.paths.iter().map(|path| tun(&path.tun)).collect();
    (tuns, PathSetup::establish_shared(config).expect("root may"))
}

fn send_syn(tun: &mut Tun, src: &str, dst: &str) {
    let mut packet = data_packet(src, dst, 0);
    if let Transport::Tcp(syn) = &mut packet.transport {
        syn.flags = Flags::SYN;
    }
    tun.send(&packet.emit(None, Checksum::Offloaded)).expect("the interface is up");
}

/// The next TCP segment for `dst` that comes in by a TUN.
fn receive(tun: &mut Tun, dst: &str) -> Segment {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "nothing comes for {dst}");
        let mut fds = [PollFd::new(tun.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(1_000_u16)).expect("poll works");
        let mut batch = Vec::new();
        tun.recv(&mut batch, 1).expect("the interface is up");
        let Some(Ok(packet)) = batch.first().map(Packet::parse) else { continue };
        if let (true, Transport::Tcp(segment)) = (packet.ip.dst == address(dst), packet.transport) {
            return *segment;
        }
    }
}

/// Counts in the network what comes by each interface and looks like `what`.
fn count(world: &World, what: &str) {
    world.net.run(|| {
        sh("nft add table inet seen");
        sh("nft add chain inet seen in { type filter hook prerouting priority 0 ; }");
        for link in ["wifi", "lte"] {
            sh(&format!("nft add counter inet seen {link}"));
            sh(&format!("nft add rule inet seen in iifname {link} {what} counter name {link}"));
        }
    });
}

/// Packets counted on wifi and on lte, once there are so many.
fn counted(world: &World, total: u64) -> [u64; 2] {
    let begun = Instant::now();
    loop {
        let counts = ["wifi", "lte"].map(|link| {
            let said = world.net.run(|| sh(&format!("nft list counter inet seen {link}")));
            let mut words = said.split_whitespace().skip_while(|word| *word != "packets");
            words.nth(1).and_then(|word| word.parse().ok()).unwrap_or(0_u64)
        });
        if counts.iter().sum::<u64>() >= total || begun.elapsed() > PATIENCE {
            return counts;
        }
    }
}

#[test]
fn closing_puts_back_everything() {
    let Some(world) = world("shared_closing_puts_back_everything") else { return };
    world.host.run(|| {
        let _tuns = [tun("mp0"), tun("mp1")];
        let before = snapshot();
        let mut config = two_interfaces();
        config.paths[1].selector = interface("lte", NextHop::Mac(Mac([2, 0, 0, 0, 0, 9])));
        let setup = PathSetup::establish_shared(&config).expect("root may");
        let during = snapshot();
        for expected in [
            "1000:\tfrom all iif mp0 lookup 77000 proto 77",
            "1001:\tfrom all to 198.19.77.1 iif lte lookup 77001 proto 77",
            "default via 10.1.0.2 dev wifi table 77000 proto 77 onlink",
            "default via 169.254.77.2 dev lte table 77001 proto 77 onlink",
            "198.19.77.1 dev mp1 table 77001 proto 77",
            "ip6 saddr fd77::1 snat ip6 to fd00:1::1",
            "ip daddr 10.1.0.1 tcp dport 8080 dnat ip to 198.19.77.1",
            "/proc/sys/net/ipv4/conf/mp1/forwarding = 1",
            "/proc/sys/net/ipv4/conf/lte/arp_announce = 2",
            "inet 169.254.76.2/32 scope link mp1",
        ] {
            assert!(during.contains(expected), "{expected} is not in\n{during}");
        }
        assert!(sh("ip neighbour").contains("169.254.77.2 dev lte lladdr 02:00:00:00:00:09"));
        setup.close().expect("root may");
        assert_eq!(snapshot(), before);
        assert!(!sh("ip neighbour").contains("169.254"));
    });
}

/// Both paths send from wifi's address, so that the network answers by wifi: the first path.
#[test]
fn packets_leave_by_the_interface_of_their_path_with_one_source_address() {
    let Some(world) = world("packets_leave_by_their_interface_with_one_source") else { return };
    count(&world, "tcp dport 2000 ip saddr 10.1.0.1");
    let (mut tuns, _setup) = world.host.run(|| establish(&two_interfaces()));
    send_syn(&mut tuns[1], LOCAL[0], FAR[0]);
    assert_eq!(receive(&mut tuns[0], LOCAL[0]).flags, Flags::RST | Flags::ACK);
    assert_eq!(counted(&world, 1), [0, 1]);
    // The same connection: its translation does not mind the other interface.
    send_syn(&mut tuns[0], LOCAL[0], FAR[0]);
    assert_eq!(receive(&mut tuns[0], LOCAL[0]).flags, Flags::RST | Flags::ACK);
    assert_eq!(counted(&world, 2), [1, 1]);
}

#[test]
fn connections_to_a_served_port_come_in_by_the_path_that_they_take() {
    let Some(world) = world("connections_to_a_served_port_come_in") else { return };
    let (mut tuns, _setup) = world.host.run(|| establish(&two_interfaces()));
    let to = SocketAddr::new(address(PUBLIC[0]), 8080);
    for (path, link) in [(0, "wifi"), (1, "lte")] {
        world.net.run(|| sh(&format!("ip route replace 10.1.0.1/32 dev {link}")));
        let net = &world.net;
        let knock = move || TcpStream::connect_timeout(&to, Duration::from_millis(500)).is_ok();
        let knocked = std::thread::scope(|scope| {
            let knocking = scope.spawn(move || net.run(knock));
            let syn = receive(&mut tuns[path], LOCAL[0]);
            assert_eq!((syn.flags.has(Flags::SYN), syn.dst_port), (true, 8080), "{link}");
            knocking.join().expect("no panic")
        });
        assert!(!knocked, "nobody answers");
    }
}

#[test]
fn a_next_hop_is_chosen_by_its_link_address() {
    let Some(world) = world("a_next_hop_is_chosen_by_its_link_address") else { return };
    count(&world, "tcp dport 2000");
    let says = world.net.run(|| sh("ip -brief link show lte"));
    let mac = says.split_whitespace().nth(2).expect("the third column").parse();
    let next_hops = [Mac([2, 0, 0, 0, 0, 9]), mac.expect("a link address")].map(NextHop::Mac);
    let config = config(&next_hops.map(|next_hop| interface("lte", next_hop)));
    let (mut tuns, _setup) = world.host.run(|| establish(&config));
    for (n, far) in (0..).zip(FAR) {
        send_syn(&mut tuns[0], LOCAL[n], far);
        send_syn(&mut tuns[1], LOCAL[n], far);
    }
    assert_eq!(counted(&world, 2), [0, 2], "the first path leads to nobody");
}

#[test]
fn a_mark_leads_where_the_rules_of_the_host_say() {
    let Some(world) = world("a_mark_leads_where_the_rules_say") else { return };
    count(&world, "tcp dport 2000 ip saddr 10.1.0.1");
    let (mut tuns, _setup) = world.host.run(|| {
        sh("ip route add default via 10.2.0.2 dev lte table 50");
        sh("ip rule add fwmark 7 lookup 50");
        establish(&config(&[PathSelector::Mark(9), PathSelector::Mark(7)]))
    });
    for (path, expected) in [(1, [0, 1]), (0, [1, 1])] {
        send_syn(&mut tuns[path], LOCAL[0], FAR[0]);
        assert_eq!(receive(&mut tuns[0], LOCAL[0]).flags, Flags::RST | Flags::ACK);
        assert_eq!(counted(&world, expected.iter().sum()), expected);
    }
}

#[test]
fn a_codepoint_is_on_every_packet_of_its_path() {
    let Some(world) = world("a_codepoint_is_on_every_packet") else { return };
    count(&world, "tcp dport 2000 ip dscp 46");
    let config = config(&[PathSelector::Dscp(0), PathSelector::Dscp(46)]);
    let (mut tuns, _setup) = world.host.run(|| establish(&config));
    for path in [0, 1, 1] {
        send_syn(&mut tuns[path], LOCAL[0], FAR[0]);
        receive(&mut tuns[0], LOCAL[0]);
    }
    assert_eq!(counted(&world, 2), [2, 0]);
}

/// Equal ways (ECMP) are chosen by addresses and flow label; with one label all sixteen would take
/// the same, and by chance they do once in 32,768.
#[test]
fn flow_labels_spread_over_equal_ways() {
    let Some(world) = world("flow_labels_spread_over_equal_ways") else { return };
    count(&world, "tcp dport 2000");
    let (mut tuns, _setup) = world.host.run(|| {
        sh("ip -6 route add fd00:99::1 nexthop via fd00:1::2 nexthop via fd00:2::2");
        let labels: Vec<_> = (1..=16).map(|n| PathSelector::FlowLabel(n * 0x1234)).collect();
        establish(&config(&labels))
    });
    // Neighbours are asked for from an address of the interface itself.
    world.host.run(|| sh("ip address add fe80::1/64 dev lte nodad"));
    world.net.run(|| sh("ip address add fe80::2/64 dev lte nodad"));
    tuns.iter_mut().for_each(|tun| send_syn(tun, LOCAL[1], FAR[1]));
    let counts = counted(&world, 16);
    assert_eq!(counts[0] + counts[1], 16, "{counts:?}");
    assert!(!counts.contains(&0), "{counts:?}");
}

#[test]
fn networks_without_a_common_address_are_named() {
    let Some(world) = world("networks_without_a_common_address_are_named") else { return };
    world.host.run(|| {
        let error = common_addresses(&["wifi", "lte"]).expect_err("two networks");
        assert!(matches!(error, PathSetupError::NothingInCommon { .. }), "{error}");
        sh("ip address add 10.1.0.9/24 dev lte");
        let common = common_addresses(&["wifi", "lte"]).expect("one network");
        assert_eq!(common, [address("10.1.0.1")]);
        let mut config = two_interfaces();
        config.addresses[0].public = Some(address("10.3.0.1"));
        let _tuns = [tun("mp0"), tun("mp1")];
        let before = snapshot();
        let error = PathSetup::establish_shared(&config).expect_err("a mistake");
        assert!(matches!(error, PathSetupError::NotOfThisHost { .. }), "{error}");
        assert_eq!(snapshot(), before);
    });
}
