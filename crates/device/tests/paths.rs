//! Paths made of interfaces, in network namespaces: they carry packets, and nothing stays behind.

mod common;

use std::process::Command;

use common::world::{snapshot, tun, world};
use common::{address, data_packet, sh};
use manypath_device::paths::{
    PathSetup, PathSetupConfig, PathSetupError, PathSpec, cleanup_stale, stack_addresses,
};
use manypath_device::{Device, Tun};
use manypath_wire::{Checksum, Flags, Packet, Transport};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

const CRASH: &str = "MANYPATH_TEST_CRASH";

fn spec(interface: &str, local: &[&str]) -> PathSpec {
    let local = local.iter().map(|text| address(text)).collect();
    PathSpec { interface: interface.to_owned(), gateway: None, local, masquerade: true }
}

fn config(name: &str) -> PathSetupConfig {
    let wifi = spec("wifi", &["198.19.77.1", "fd77::1"]);
    let lte = spec("lte", &["198.19.77.2", "fd77::2"]);
    PathSetupConfig { tun: name.to_owned(), paths: vec![wifi, lte] }
}

/// What came back for a SYN to a port where nobody listens.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Refused,
    Unreachable,
}

/// Sends a SYN and waits up to 10 s for the answer; the kernel's multicast chatter is passed over.
fn answer(tun: &mut Tun, src: &str, dst: &str) -> Answer {
    let mut packet = data_packet(src, dst, 0);
    if let Transport::Tcp(syn) = &mut packet.transport {
        syn.flags = Flags::SYN;
    }
    tun.send(&packet.emit(None, Checksum::Offloaded)).expect("the interface is up");
    loop {
        let mut fds = [PollFd::new(tun.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::from(10_000_u16)).expect("poll works");
        assert_eq!(ready, 1, "no answer from {dst} to {src}");
        let mut batch = Vec::new();
        tun.recv(&mut batch, 1).expect("the interface is up");
        let Ok(packet) = Packet::parse(&batch[0]) else { continue };
        assert_eq!(packet.ip.dst, address(src), "translated back");
        return match packet.transport {
            Transport::Tcp(segment) => {
                assert_eq!((packet.ip.src, segment.flags), (address(dst), Flags::RST | Flags::ACK));
                Answer::Refused
            }
            Transport::Icmp(_) => Answer::Unreachable,
        };
    }
}

#[test]
fn closing_puts_back_everything() {
    let Some(world) = world("closing_puts_back_everything") else { return };
    world.host.run(|| {
        let _tun = tun("mp0");
        sh("sysctl -qw net.ipv6.conf.lte.forwarding=1");
        let before = snapshot();
        let setup = PathSetup::establish(&config("mp0")).expect("root may");
        let during = snapshot();
        for expected in [
            "1000:\tfrom 198.19.77.1 lookup 77000 proto 77",
            "1001:\tfrom fd77::2 lookup 77001 proto 77",
            "default via 10.1.0.2 dev wifi table 77000 proto 77 onlink",
            "10.2.0.0/24 dev lte table 77001 proto 77 scope link",
            "198.19.77.1 dev mp0 proto 77 scope link",
            "ip6 saddr fd77::2 oifname \"lte\" masquerade",
            "/proc/sys/net/ipv4/conf/wifi/rp_filter = 2",
            "/proc/sys/net/ipv6/conf/all/forwarding = 1",
            "/proc/sys/net/ipv6/conf/wifi/accept_ra = 2",
        ] {
            assert!(during.contains(expected), "{expected} is not in\n{during}");
        }
        setup.close().expect("root may");
        assert_eq!(snapshot(), before);
    });
}

#[test]
fn packets_leave_by_the_interface_of_their_path_and_answers_come_back() {
    let Some(world) = world("packets_leave_by_the_interface_of_their_path") else { return };
    world.host.run(|| {
        let mut tun = tun("mp0");
        let mut setup = PathSetup::establish(&config("mp0")).expect("root may");
        for (src, dst) in [("198.19.77.1", "10.99.0.1"), ("198.19.77.2", "10.99.0.1")] {
            assert_eq!(answer(&mut tun, src, dst), Answer::Refused, "{src}");
        }
        for (src, dst) in [("fd77::1", "fd00:99::1"), ("fd77::2", "fd00:99::1")] {
            assert_eq!(answer(&mut tun, src, dst), Answer::Refused, "{src}");
        }
        sh("ip link set wifi down");
        assert_eq!(answer(&mut tun, "198.19.77.1", "10.99.0.1"), Answer::Unreachable);
        assert_eq!(answer(&mut tun, "198.19.77.2", "10.99.0.1"), Answer::Refused);
        assert!(setup.refresh().is_err(), "the interface is down");
        sh("ip link set wifi up");
        sh("ip route add default via 10.1.0.2 dev wifi metric 100");
        setup.refresh().expect("both interfaces are up");
        assert_eq!(setup.paths()[0].gateways[0], address("10.1.0.2"));
        assert_eq!(answer(&mut tun, "198.19.77.1", "10.99.0.1"), Answer::Refused);
    });
}

/// Not a test by itself: the process that crashes in the next one.
#[test]
fn crashing_child() {
    if std::env::var_os(CRASH).is_some() {
        let _setup = PathSetup::establish(&config("mp0")).expect("root may");
        // Ends the process without running any destructor.
        std::process::exit(0);
    }
}

#[test]
fn what_a_crash_leaves_is_removed() {
    let Some(world) = world("what_a_crash_leaves_is_removed") else { return };
    world.host.run(|| {
        let _tun = tun("mp0");
        let before = snapshot();
        let exe = std::env::current_exe().expect("a test runs from a file");
        let child = Command::new(exe).args(["--exact", "crashing_child"]).env(CRASH, "1").output();
        assert!(child.expect("it runs").status.success());
        assert_ne!(snapshot(), before, "the child has left something");
        let removed = cleanup_stale().expect("root may");
        let first = removed.first().expect("something was removed");
        assert!(first.starts_with("nft table inet manypath_"), "{removed:?}");
        assert_eq!(snapshot(), before);
        assert_eq!(cleanup_stale().expect("root may"), [""; 0]);
    });
}

#[test]
fn the_last_of_two_setups_puts_the_kernel_settings_back() {
    let Some(world) = world("the_last_of_two_setups_puts_settings_back") else { return };
    world.host.run(|| {
        let _tuns = [tun("mp0"), tun("mp1")];
        let before = snapshot();
        let first = PathSetup::establish(&config("mp0")).expect("root may");
        let paths = vec![spec("wifi", &["198.19.78.1", "fd78::1"])];
        let second = PathSetupConfig { tun: "mp1".to_owned(), paths };
        let second = PathSetup::establish(&second).expect("root may");
        assert_eq!(second.paths()[0].table, 77_002);
        assert_eq!(cleanup_stale().expect("root may"), [""; 0], "both are alive");
        first.close().expect("root may");
        assert!(snapshot().contains("/proc/sys/net/ipv6/conf/all/forwarding = 1"));
        assert!(snapshot().contains("/proc/sys/net/ipv4/conf/mp1/forwarding = 1"));
        second.close().expect("root may");
        assert_eq!(snapshot(), before);
    });
}

#[test]
fn a_setup_may_be_dropped_outside_its_namespace() {
    let Some(world) = world("a_setup_may_be_dropped_outside_its_namespace") else { return };
    let (_tun, before, setup) = world.host.run(|| {
        let tun = tun("mp0");
        (tun, snapshot(), PathSetup::establish(&config("mp0")).expect("root may"))
    });
    drop(setup);
    assert_eq!(world.host.run(snapshot), before);
}

#[test]
fn mistakes_are_named_and_change_nothing() {
    let Some(world) = world("mistakes_are_named_and_change_nothing") else { return };
    world.host.run(|| {
        let _tun = tun("mp0");
        let before = snapshot();
        let establish = |path: PathSpec| {
            let config = PathSetupConfig { tun: "mp0".to_owned(), paths: vec![path] };
            PathSetup::establish(&config).expect_err("a mistake")
        };
        let error = establish(spec("eth7", &["198.19.77.1"]));
        assert!(matches!(&error, PathSetupError::NoInterface { name } if name == "eth7"));
        let error = establish(spec("wifi", &["10.2.0.1"]));
        let expected =
            "10.2.0.1 is in use on this host (`lte`); the stack needs an address of its own";
        assert_eq!(error.to_string(), expected);
        let mut wifi = spec("wifi", &["198.19.77.1"]);
        wifi.gateway = Some(address("224.0.0.1"));
        let error = establish(wifi);
        assert!(matches!(error, PathSetupError::Command(_)), "a multicast gateway: {error}");
        assert_eq!(snapshot(), before);
    });
}

#[test]
fn addresses_for_the_stack_avoid_those_in_use() {
    let Some(world) = world("addresses_for_the_stack_avoid_those_in_use") else { return };
    world.host.run(|| {
        let pairs = stack_addresses(2).expect("root may");
        assert_eq!(pairs[0].0.to_string(), "198.19.77.1");
        assert_eq!(pairs[1].1.to_string(), "fd6d:7079:7468:4d::2");
        sh("ip route add 198.19.77.0/24 via 10.1.0.2");
        sh("ip route add fd6d:7079:7468:4e::/64 via fd00:1::2");
        let pairs = stack_addresses(1).expect("root may");
        assert_eq!(pairs[0].0.to_string(), "198.19.79.1");
    });
}
