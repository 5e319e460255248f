//! Addresses that are announced, added and removed, on either side (RFC 8684 §3.4).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use manypath::{AddrId, AddressFlags, ConnId, Event, Path};
use manypath_lab::{Direction, LinkConfig, Middlebox, middlebox};

use crate::machine;
use crate::setup::{Families, Opener, Setup};
use crate::task::{MIB, Task};
use crate::wait::{event, reach};
use crate::world::World;

/// Long enough for addresses to come and go meanwhile.
const BYTES: u64 = 32 * MIB;

/// A world in which the endpoint has one path, and Linux more addresses than one.
fn one_path(families: Families) -> Setup {
    Setup::new(Opener::Manypath).families(families).spare(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_linux_announces_is_joined() {
    let Ok(_turn) = machine::shared().await else { return };
    for families in [Families::V4, Families::V6] {
        let world = one_path(families).build();
        world.linux_endpoint(1, &["signal"]);
        let ends = world.connect(Task::Both, BYTES).await;
        let id = ends.0.conn_id();
        let meanwhile = async {
            world.until_subflows(id, 2).await;
            assert_eq!(world.info(id).subflows[1].remote.ip(), world.linux_addr(1, 0).ip());
        };
        world.finish(ends, Task::Both, BYTES, meanwhile).await.assert_multipath("announced");
        let counted = world.counted();
        assert_eq!(counted.get("MPTcpExtEchoAdd"), 1, "{counted}");
        world.assert_clean("announced");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_linux_announces_with_a_port_is_joined_there() {
    let Ok(_turn) = machine::shared().await else { return };
    // Linux finds no room for an IPv6 address and a port beside timestamps.
    for (families, timestamps) in [(Families::V4, "1"), (Families::V6, "0")] {
        let setup = one_path(families).sysctl("net/ipv4/tcp_timestamps", timestamps);
        let world = setup.build();
        world.linux_endpoint(1, &["signal", "port", "10100"]);
        let ends = world.connect(Task::Both, BYTES).await;
        let id = ends.0.conn_id();
        let meanwhile = async {
            world.until_subflows(id, 2).await;
            assert_eq!(world.info(id).subflows[1].remote, world.linux_addr(1, 10100));
        };
        world.finish(ends, Task::Both, BYTES, meanwhile).await.assert_multipath("port");
        let counted = world.counted();
        assert_eq!(counted.get("MPTcpExtMPJoinPortAckRx"), 1, "{counted}");
        world.assert_clean("port");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_joins_and_echoes_every_address_that_is_announced_here() {
    let Ok(_turn) = machine::shared().await else { return };
    for families in [Families::V4, Families::V6] {
        let links = vec![LinkConfig::mbps(50, Duration::from_millis(5)); 4];
        let world = Setup::new(Opener::Linux).families(families).links(links).build();
        let ends = world.connect(Task::Both, BYTES).await;
        world.finish_over(4, ends, Task::Both, BYTES).await.assert_multipath("announced here");
        let counted = world.counted();
        let signals = ["AddAddr", "EchoAddTx"].map(|n| counted.get(&format!("MPTcpExt{n}")));
        assert_eq!(signals, [3, 3], "{counted}");
        world.assert_clean("announced here");
    }
}

/// RFC 8684 §3.4.1: the address is announced with a port, and Linux joins there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_joins_at_the_port_that_is_announced_here() {
    let Ok(_turn) = machine::shared().await else { return };
    // An IPv6 address and a port find no room beside timestamps.
    for (families, timestamps) in [(Families::V4, "1"), (Families::V6, "0")] {
        let setup = Setup::new(Opener::Linux).families(families);
        let setup = setup.sysctl("net/ipv4/tcp_timestamps", timestamps);
        let world = setup.paths(|link, path| if link == 1 { path.port(10_100) } else { path });
        let world = world.build();
        let ends = world.connect(Task::Both, BYTES).await;
        let id = ends.0.conn_id();
        let meanwhile = async {
            world.until_subflows(id, 2).await;
            let announced = std::net::SocketAddr::new(world.addr(1), 10_100);
            assert_eq!(world.info(id).subflows[1].local, announced);
        };
        world.finish(ends, Task::Both, BYTES, meanwhile).await.assert_multipath("our port");
        let counted = world.counted();
        assert!(counted.get("MPTcpExtPortAdd") >= 1, "{counted}");
        assert_eq!(counted.get("MPTcpExtEchoAddTx"), 1, "{counted}");
        world.assert_clean("our port");
    }
}

/// Every pair of addresses that a connection has subflows between.
fn pairs(world: &World, id: ConnId) -> BTreeSet<(IpAddr, IpAddr)> {
    let subflows = world.info(id).subflows;
    subflows.iter().map(|s| (s.local.ip(), s.remote.ip())).collect()
}

/// Full mesh: whoever opens joins from each of its addresses to each of the other side's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mesh_has_every_pair_of_addresses() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let mesh = AddressFlags { fullmesh: true, ..AddressFlags::default() };
        let world = match opener {
            Opener::Manypath => Setup::new(opener).paths(move |_, path| path.flags(mesh)).build(),
            Opener::Linux => Setup::new(opener).build(),
        };
        match opener {
            Opener::Manypath => world.linux_endpoint(1, &["signal"]),
            Opener::Linux => {
                (0..2).for_each(|link| world.linux_endpoint(link, &["subflow", "fullmesh"]));
            }
        }
        let ends = world.connect(Task::Both, BYTES).await;
        let id = ends.0.conn_id();
        let meanwhile = async {
            world.until_subflows(id, 4).await;
            assert_eq!(pairs(&world, id).len(), 4, "{opener:?}: {:?}", world.info(id));
        };
        world.finish(ends, Task::Both, BYTES, meanwhile).await.assert_multipath("full mesh");
        assert_eq!(world.joined(), 3, "{opener:?}: {}", world.counted());
        world.assert_clean("full mesh");
    }
}

/// An interface comes while data flows, and carries some of it.
async fn a_path_comes(opener: Opener, task: Task) {
    let world = Setup::new(opener).spare(1).build();
    let ends = world.connect(task, BYTES).await;
    let id = ends.0.conn_id();
    let way = if task == Task::Up { Direction::Up } else { Direction::Down };
    let carried = |link| world.link(link).stats(way).delivered.bytes;
    let meanwhile = async {
        reach(|| carried(0) > 4 * MIB, || "the beginning".to_owned()).await;
        let path = Path::new("lte", world.addr(1));
        let path = if opener == Opener::Linux { path.announced() } else { path };
        world.endpoint.add_paths(world.tun_for(1), [path]).expect("it runs");
        world.until_subflows(id, 2).await;
    };
    world.finish(ends, task, BYTES, meanwhile).await.assert_multipath("a path came");
    assert!(carried(1) > MIB, "{opener:?} {task:?}: {} bytes", carried(1));
    world.assert_clean("a path came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_comes_is_used() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for task in [Task::Up, Task::Down] {
            a_path_comes(opener, task).await;
        }
    }
}

/// The interface of a link goes while data flows: Linux is told, and the rest goes on the other.
async fn a_path_goes(opener: Opener, task: Task, link: usize) {
    let world = Setup::new(opener).build();
    let ends = world.connect(task, BYTES).await;
    let id = ends.0.conn_id();
    let carried = |link| {
        let stats = Direction::BOTH.map(|direction| world.link(link).stats(direction));
        stats.iter().map(|stats| stats.delivered.bytes).sum::<u64>()
    };
    let meanwhile = async {
        world.until_subflows(id, 2).await;
        reach(|| carried(0) + carried(1) > 4 * MIB, || "the beginning".to_owned()).await;
        world.endpoint.remove_path(world.ifaces[link]).expect("it runs");
        reach(|| world.counted().get("MPTcpExtRmAddr") > 0, || world.counted().to_string()).await;
        assert_eq!(world.subflows(id), 1, "{:?}", world.info(id));
    };
    world.finish(ends, task, BYTES, meanwhile).await.assert_multipath("a path went");
    let counted = world.counted();
    assert_eq!(counted.get("MPTcpExtRmAddr"), 1, "{opener:?} {task:?} {link}: {counted}");
    world.assert_clean("a path went");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_path_that_goes_is_withdrawn() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for task in [Task::Up, Task::Down] {
            a_path_goes(opener, task, 1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_path_that_goes_is_withdrawn() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for task in [Task::Up, Task::Down] {
            a_path_goes(opener, task, 0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_adds_and_removes_an_address_while_data_flows() {
    let Ok(_turn) = machine::shared().await else { return };
    // Linux only receives: where it sends data its REMOVE_ADDR does not always reach the wire, though
    // it counts one, and where it opens too it does not always open the further subflow.
    let task = Task::Up;
    for opener in Opener::BOTH {
        // Slow enough that the address comes while data flows.
        let links = vec![LinkConfig::mbps(100, Duration::from_millis(5)); 2];
        let world = Setup::new(opener).links(links).spare(1).build();
        let mut events = world.endpoint.events().expect("it runs");
        let ends = world.connect(task, BYTES).await;
        let id = ends.0.conn_id();
        let meanwhile = async {
            // Before both ends are fully established Linux may overlook the address.
            let flows = || world.info(id).bytes_received + world.info(id).bytes_acknowledged;
            reach(|| flows() > MIB, || format!("{:?}", world.info(id))).await;
            let flags = if opener == Opener::Linux { "subflow" } else { "signal" };
            world.linux_endpoint(1, &[flags, "id", "9"]);
            world.until_subflows(id, 2).await;
            let remove = ["mptcp", "endpoint", "delete", "id", "9"];
            world.topology.server().ip(&remove).expect("the kernel has it");
            let removed = event(&mut events, |event| match event {
                Event::AddrRemoved(_, addr) => Some(addr),
                _ => None,
            });
            if opener == Opener::Manypath {
                assert_eq!(removed.await, AddrId(9));
            }
            reach(|| world.subflows(id) == 1, || format!("{:?}", world.info(id))).await;
        };
        world.finish(ends, task, BYTES, meanwhile).await.assert_multipath("Linux's address");
        let counted = world.counted();
        assert_eq!(counted.get("MPTcpExtRmAddrTx"), 1, "{opener:?} {task:?}: {counted}");
        world.assert_clean("Linux's address");
    }
}

/// Swallows the first announcement that goes in a direction.
fn swallow_announcement(way: Direction) -> Middlebox {
    let mut due = true;
    middlebox::discard(move |direction, segment| {
        let add = segment.options.mptcp.add_addr.is_some_and(|add| add.hmac.is_some());
        let swallowed = due && add && direction == way;
        due &= !swallowed;
        swallowed
    })
}

/// RFC 8684 §3.4.1: an announcement is repeated until it is echoed, by either side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcement_that_is_lost_is_repeated() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let setup =
            Setup::new(opener).links(vec![LinkConfig::mbps(30, Duration::from_millis(5)); 2]);
        let setup = setup.sysctl("net/mptcp/add_addr_timeout", "1");
        let setup = if opener == Opener::Manypath { setup.spare(1) } else { setup };
        let world = setup.build();
        let way = if opener == Opener::Manypath { Direction::Down } else { Direction::Up };
        world.middlebox(0, swallow_announcement(way));
        if opener == Opener::Manypath {
            world.linux_endpoint(1, &["signal"]);
        }
        let ends = world.connect(Task::Both, BYTES).await;
        world.finish_over(2, ends, Task::Both, BYTES).await.assert_multipath("repeated");
        let counted = world.counted();
        let sent = match opener {
            Opener::Manypath => counted.get("MPTcpExtAddAddrTx") >= 2,
            // The one that came.
            Opener::Linux => counted.get("MPTcpExtAddAddr") == 1,
        };
        assert!(sent, "{opener:?}: {counted}");
        world.assert_clean("repeated");
    }
}

/// Linux withdraws the address that the connection began with (identifier 0): the subflow of the
/// other goes on alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_withdraws_its_first_address() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let links = vec![LinkConfig::mbps(50, Duration::from_millis(5)); 2];
        let world = Setup::new(opener).links(links).spare(1).build();
        let flags = if opener == Opener::Linux { "subflow" } else { "signal" };
        world.linux_endpoint(1, &[flags]);
        let mut events = world.endpoint.events().expect("it runs");
        let ends = world.connect(Task::Up, BYTES).await;
        let id = ends.0.conn_id();
        let meanwhile = async {
            world.until_subflows(id, 2).await;
            let first = world.linux_addr(0, 0).ip().to_string();
            let remove = ["mptcp", "endpoint", "delete", "id", "0", &first];
            world.topology.server().ip(&remove).expect("the kernel has it");
            let removed = event(&mut events, |event| match event {
                Event::AddrRemoved(_, addr) => Some(addr),
                _ => None,
            });
            assert_eq!(removed.await, AddrId(0));
            reach(|| world.subflows(id) == 1, || format!("{:?}", world.info(id))).await;
        };
        world.finish(ends, Task::Up, BYTES, meanwhile).await.assert_multipath("first address");
        world.assert_clean("first address");
    }
}

/// An identifier that was withdrawn may stand for an address again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_announces_an_address_again_that_it_withdrew() {
    let Ok(_turn) = machine::shared().await else { return };
    let links = vec![LinkConfig::mbps(50, Duration::from_millis(5)); 2];
    let world = Setup::new(Opener::Manypath).links(links).spare(1).build();
    let ends = world.connect(Task::Both, BYTES).await;
    let id = ends.0.conn_id();
    let meanwhile = async {
        reach(|| world.info(id).bytes_received > MIB, || format!("{:?}", world.info(id))).await;
        for round in 1..=3 {
            world.linux_endpoint(1, &["signal", "id", "9"]);
            reach(|| world.subflows(id) == 2, || format!("{:?}", world.info(id))).await;
            let remove = ["mptcp", "endpoint", "delete", "id", "9"];
            world.topology.server().ip(&remove).expect("the kernel has it");
            reach(|| world.subflows(id) == 1, || format!("{:?}", world.info(id))).await;
            // Linux sends an announcement before a withdrawal, where both are due.
            let withdrawn = || world.counted().get("MPTcpExtRmAddrTx") == round;
            reach(withdrawn, || format!("{}", world.counted())).await;
        }
    };
    world.finish(ends, Task::Both, BYTES, meanwhile).await.assert_multipath("again");
    assert_eq!(world.counted().get("MPTcpExtRmAddrTx"), 3, "{}", world.counted());
    world.assert_clean("again");
}
