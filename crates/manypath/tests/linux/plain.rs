//! TCP alone: neither side asks for multipath.

use manypath_lab::LinkConfig;

use crate::impaired::harmed;
use crate::machine;
use crate::setup::{Families, Opener, Setup};
use crate::task::{KIB, MIB, Task};

fn setup(opener: Opener) -> Setup {
    Setup::new(opener).linux_plain().plain()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_of_every_number_in_every_direction() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        for families in [Families::V4, Families::V6] {
            let world = setup(opener).families(families).build();
            for task in [Task::Up, Task::Down, Task::Echo, Task::Both] {
                for bytes in [0, 1, 64 * KIB, 16 * MIB] {
                    let moved = world.transfer(task, bytes).await;
                    moved.assert_single_path("plain-tcp", &format!("{task:?} {bytes}"));
                }
            }
            assert_eq!(world.counted().iter("MPTcpExt").count(), 0, "{}", world.counted());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quarter_of_a_gibibyte() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = setup(opener).links([LinkConfig::default()]).build();
        for task in [Task::Up, Task::Down, Task::Both] {
            world.transfer(task, 256 * MIB).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_links() {
    let Ok(_turn) = machine::shared().await else { return };
    for opener in Opener::BOTH {
        let world = setup(opener).build();
        harmed(&world, |what, moved| moved.assert_single_path("plain-tcp", what)).await;
    }
}
