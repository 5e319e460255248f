//! Links that take smaller packets than the interfaces at their ends (RFC 1191, 8201, 4821).

use manypath::SubflowInfo;
use manypath_lab::middlebox;

use crate::machine;
use crate::setup::{Families, Opener, Setup};
use crate::task::{KIB, MIB, Task};
use crate::world::World;

/// Payload that fits the narrow part of a path, with all headers and options.
const FITS: usize = 1_200;

/// A black hole on both links: what is too long vanishes, and nobody says so.
fn black_holes(world: &World) {
    for link in 0..2 {
        let too_long = |_, segment: &manypath_wire::Segment| segment.payload.len() > FITS;
        world.middlebox(link, middlebox::discard(too_long));
    }
}

/// RFC 4821: packets shrink until they get through. Linux does so where `tcp_mtu_probing` says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_shrink_until_they_pass_a_black_hole() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for task in [Task::Up, Task::Down] {
            let setup = Setup::new(opener).sysctl("net/ipv4/tcp_mtu_probing", "2");
            let setup = setup.sysctl("net/ipv4/tcp_base_mss", "1000");
            let world = setup.build();
            black_holes(&world);
            let bytes = if task == Task::Up { 48 * MIB } else { 2 * MIB };
            let moved = world.transfer(task, bytes).await;
            let what = format!("{opener:?} {task:?}");
            moved.assert_multipath(&what);
            let works =
                |s: &SubflowInfo| usize::from(s.mss) <= FITS && s.bytes_delivered > 64 * KIB;
            let all = moved.ours.subflows.iter().all(works);
            assert!(task == Task::Down || all, "{what}: {:?}", moved.ours.subflows);
            world.assert_clean(&what);
        }
    }
}

/// RFC 1191 and RFC 8201: a router says how long packets may be, and they are sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_are_as_long_as_the_router_says() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for families in [Families::V4, Families::V6] {
            let world = Setup::new(opener).families(families).build();
            // The router is the host of the endpoint's interface; its own links are narrower.
            for name in ["wifi", "lte"] {
                let narrow = ["link", "set", "dev", name, "mtu", "1300"];
                world.topology.client().ip(&narrow).expect("the kernel takes it");
            }
            let moved = world.transfer(Task::Up, 4 * MIB).await;
            let what = format!("{opener:?} {families:?}");
            moved.assert_multipath(&what);
            let used = moved.ours.subflows.iter().filter(|s| s.bytes_sent > MIB / 4);
            let sizes: Vec<u16> = used.map(|s| s.mss).collect();
            assert!(
                !sizes.is_empty() && sizes.iter().all(|&mss| mss <= 1_260),
                "{what}: {sizes:?}"
            );
            world.assert_clean(&what);
        }
    }
}
