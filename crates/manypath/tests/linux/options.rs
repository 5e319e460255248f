//! Settings of the kernel and of the endpoint that change what both agree on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use manypath::{Event, Events, FallbackReason, Notice, SynCookies};
use manypath_lab::{LinkConfig, Loss, Middlebox, middlebox};

use crate::machine;
use crate::setup::{Families, Opener, Setup};
use crate::task::{MIB, Task};
use crate::wait::reach;

/// Counts segments with a mapping that has a checksum, and those without.
fn checksum_counter() -> (Middlebox, Arc<[AtomicU64; 2]>) {
    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let noted = Arc::clone(&counts);
    let count = middlebox::edit(move |_, segment| {
        let mapping = segment.options.mptcp.dss.and_then(|dss| dss.mapping);
        if let Some(mapping) = mapping.filter(|_| !segment.payload.is_empty()) {
            noted[usize::from(mapping.checksum.is_some())].fetch_add(1, Ordering::Relaxed);
        }
    });
    (count, counts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checksums_are_used_where_either_side_asks() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for (here, there) in [(true, false), (false, true), (true, true)] {
            let what = format!("{opener:?}, checksums here {here}, there {there}");
            let value = if there { "1" } else { "0" };
            let setup = Setup::new(opener).endpoint(move |builder| builder.checksum(here));
            let world = setup.sysctl("net/mptcp/checksum_enabled", value).build();
            let (count, counts) = checksum_counter();
            world.middlebox(0, count);
            for task in [Task::Up, Task::Down, Task::Both] {
                world.transfer(task, 8 * MIB).await.assert_multipath(&what);
            }
            let counts = [0, 1].map(|n| counts[n].load(Ordering::Relaxed));
            assert!(counts[0] == 0 && counts[1] > 1000, "{what}: {counts:?}");
            assert!(world.joined() >= 3, "{what}: {}", world.counted());
            world.assert_clean(&what);
        }
    }
}

/// Linux answers SYNs with cookies: also those of joins (RFC 8684 §3.2).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syn_cookies_of_linux_do_not_cost_multipath() {
    let Ok(_turn) = machine::shared().await else { return };
    for families in [Families::V4, Families::V6] {
        let setup = Setup::new(Opener::Manypath).families(families);
        let world = setup.sysctl("net/ipv4/tcp_syncookies", "2").build();
        for task in [Task::Up, Task::Down, Task::Both] {
            let ends = world.connect(task, 8 * MIB).await;
            world.finish_over(2, ends, task, 8 * MIB).await.assert_multipath("cookies");
        }
        let counted = world.counted();
        assert!(counted.get("TcpExtSyncookiesRecv") >= 3, "{counted}");
        assert_eq!(world.joined(), 3, "{counted}");
        world.assert_clean("cookies");
    }
}

/// SYN cookies of this side: Linux, which brings them back, has all its options and subflows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syn_cookies_of_this_side_do_not_cost_linux_multipath() {
    let Ok(_turn) = machine::shared().await else { return };
    for families in [Families::V4, Families::V6] {
        let setup = Setup::new(Opener::Linux).families(families);
        let world = setup.endpoint(|builder| builder.syn_cookies(SynCookies::Always)).build();
        for task in [Task::Up, Task::Down, Task::Both] {
            let ends = world.connect(task, 8 * MIB).await;
            world.finish_over(2, ends, task, 8 * MIB).await.assert_multipath("cookies");
        }
        assert_eq!(world.endpoint.info().expect("it runs").syn_cookies, 3);
        assert_eq!(world.joined(), 3, "{}", world.counted());
        world.assert_clean("cookies");
    }
}

/// Without multipath as well, and without the timestamps that tell of window scale and SACK.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syn_cookies_of_this_side_serve_plain_tcp_and_peers_without_timestamps() {
    let Ok(_turn) = machine::shared().await else { return };
    for (timestamps, plain) in [("1", true), ("0", true), ("0", false)] {
        let setup = Setup::new(Opener::Linux).sysctl("net/ipv4/tcp_timestamps", timestamps);
        let setup = if plain { setup.linux_plain() } else { setup };
        let world = setup.endpoint(|builder| builder.syn_cookies(SynCookies::Always)).build();
        for task in [Task::Up, Task::Down] {
            world.transfer(task, 4 * MIB).await;
        }
        assert_eq!(world.endpoint.info().expect("it runs").syn_cookies, 2);
        world.assert_clean("cookies");
    }
}

/// The C flag (RFC 8684 §3.1): no joins to the address that the connection began with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_linux_denies_joins_to_its_first_address_another_is_joined() {
    let Ok(_turn) = machine::shared().await else { return };
    for announces in [false, true] {
        let setup = Setup::new(Opener::Manypath);
        let world = setup.sysctl("net/mptcp/allow_join_initial_addr_port", "0").build();
        if announces {
            world.linux_endpoint(1, &["signal"]);
        }
        let ends = world.connect(Task::Both, 8 * MIB).await;
        let meanwhile = async {
            if announces {
                reach(|| world.joined() >= 1, || world.counted().to_string()).await;
            }
        };
        let moved = world.finish(ends, Task::Both, 8 * MIB, meanwhile).await;
        moved.assert_multipath("C flag");
        let first = world.linux_addr(0, 0).ip();
        let at_first = moved.ours.subflows.iter().filter(|s| s.remote.ip() == first).count();
        // The first subflow may be closed already.
        assert!(at_first <= 1, "{:?}", moved.ours.subflows);
        assert_eq!(world.joined() > 0, announces, "{}", world.counted());
        world.assert_clean("C flag");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linux_that_denies_joins_to_itself_still_joins() {
    let Ok(_turn) = machine::shared().await else { return };
    let setup = Setup::new(Opener::Linux);
    let world = setup.sysctl("net/mptcp/allow_join_initial_addr_port", "0").build();
    let ends = world.connect(Task::Both, 8 * MIB).await;
    world.finish_over(2, ends, Task::Both, 8 * MIB).await.assert_multipath("C flag");
    world.assert_clean("C flag");
}

/// This side's C flag: Linux does not join to the first address, but to the one announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_this_side_denies_joins_to_its_first_address_linux_joins_another() {
    let Ok(_turn) = machine::shared().await else { return };
    for announces in [false, true] {
        let setup = Setup::new(Opener::Linux).endpoint(|b| b.deny_join_initial(true));
        let setup = if announces { setup } else { setup.spare(1) };
        let world = setup.build();
        world.linux_endpoint(1, &["subflow"]);
        let ends = world.connect(Task::Both, 16 * MIB).await;
        let id = ends.0.conn_id();
        let meanwhile = async {
            if announces {
                world.until_subflows(id, 2).await;
                let subflows = world.info(id).subflows;
                assert_eq!(subflows[1].local.ip(), world.addr(1), "{subflows:?}");
            }
        };
        world.finish(ends, Task::Both, 16 * MIB, meanwhile).await.assert_multipath("C flag");
        assert_eq!(world.joined(), u64::from(announces), "{}", world.counted());
        world.assert_clean("C flag");
    }
}

/// The reasons for falling back that were told so far.
fn fallbacks(events: &mut Events) -> Vec<FallbackReason> {
    std::iter::from_fn(|| events.try_next())
        .filter_map(|notice| match notice {
            Notice::Event(Event::FellBack(_, reason)) => Some(reason),
            Notice::Event(_) => None,
            Notice::Lagged(n) => panic!("missed {n} events"),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_without_multipath_gets_plain_tcp_and_everybody_is_told() {
    let Ok(_turn) = machine::shared().await else { return };
    let cases = [
        // Multipath was asked for and is not there; that it was not asked for is no event.
        (Families::V4, Opener::Manypath, "fell-back", &[FallbackReason::NotSupported][..]),
        (Families::V6, Opener::Manypath, "fell-back", &[FallbackReason::NotSupported]),
        (Families::V4, Opener::Linux, "plain-tcp", &[]),
        (Families::V6, Opener::Linux, "plain-tcp", &[]),
    ];
    for (families, opener, protocol, told) in cases {
        let world = Setup::new(opener).families(families).linux_plain().build();
        let mut events = world.endpoint.events().expect("it runs");
        let moved = world.transfer(Task::Both, 4 * MIB).await;
        moved.assert_single_path(protocol, "Linux has plain TCP");
        assert_eq!(fallbacks(&mut events), told, "{opener:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_without_multipath_gets_plain_tcp_from_linux() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = Setup::new(opener).plain().build();
        let moved = world.transfer(Task::Both, 4 * MIB).await;
        moved.assert_single_path("plain-tcp", "the endpoint has plain TCP");
        let counted = world.counted();
        let told = match opener {
            // Linux asked for multipath and got none.
            Opener::Linux => counted.get("MPTcpExtMPCapableFallbackSYNACK"),
            Opener::Manypath => 1,
        };
        assert_eq!(told, 1, "{counted}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kernel_that_has_multipath_switched_off_is_plain_tcp() {
    let Ok(_turn) = machine::shared().await else { return };
    for (opener, protocol) in [(Opener::Manypath, "fell-back"), (Opener::Linux, "plain-tcp")] {
        let world = Setup::new(opener).linux_plain().sysctl("net/mptcp/enabled", "0").build();
        let moved = world.transfer(Task::Both, 4 * MIB).await;
        moved.assert_single_path(protocol, "switched off");
    }
}

/// What Linux does without is done without: windows of 64 KiB, no timestamps, no SACK.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_of_tcp_that_linux_switches_off_are_not_needed() {
    let Ok(_turn) = machine::shared().await else { return };
    let options = ["net/ipv4/tcp_window_scaling", "net/ipv4/tcp_timestamps", "net/ipv4/tcp_sack"];
    for opener in Opener::BOTH {
        for option in options {
            let lossy = LinkConfig { loss: Loss::ppm(2_000), ..LinkConfig::default() };
            let setup = Setup::new(opener).links(vec![lossy; 2]).sysctl(option, "0");
            let world = setup.build();
            for task in [Task::Up, Task::Down] {
                world.transfer(task, 4 * MIB).await.assert_multipath(option);
            }
            world.assert_clean(option);
        }
    }
}
