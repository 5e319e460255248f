//! Links that lose, reorder and duplicate packets, and links that die and come back.

use std::time::Duration;

use manypath_lab::{Direction, LinkConfig, Loss};

use crate::machine;
use crate::setup::{Opener, Setup};
use crate::task::{MIB, Task};
use crate::wait::reach;
use crate::world::World;

/// What is done to links, by name, and how much is sent over them: what takes about a second.
type Harm = (&'static str, fn(LinkConfig) -> LinkConfig, u64);

const HARMS: [Harm; 6] = [
    ("loss 0.1 %", |link| LinkConfig { loss: Loss::ppm(1_000), ..link }, 8 * MIB),
    ("loss 1 %", |link| LinkConfig { loss: Loss::ppm(10_000), ..link }, 4 * MIB),
    ("loss 5 %", |link| LinkConfig { loss: Loss::ppm(50_000), ..link }, 2 * MIB),
    ("reordering", |link| reordering(link, 20_000), 8 * MIB),
    ("duplication", |link| LinkConfig { duplicate_ppm: 20_000, ..link }, 8 * MIB),
    (
        "all together",
        |link| {
            let link = LinkConfig { loss: Loss::ppm(5_000), duplicate_ppm: 5_000, ..link };
            reordering(link, 5_000)
        },
        4 * MIB,
    ),
];

fn reordering(link: LinkConfig, reorder_ppm: u32) -> LinkConfig {
    LinkConfig { reorder_ppm, reorder_delay: Duration::from_millis(8), ..link }
}

/// Sends over links that are harmed in both directions, each way.
pub(crate) async fn harmed(world: &World, each: impl Fn(&str, crate::task::Moved)) {
    let good: Vec<_> = world.topology.links().iter().map(|l| l.config(Direction::Up)).collect();
    for (what, harm, bytes) in HARMS {
        for (link, config) in world.topology.links().iter().zip(&good) {
            Direction::BOTH.iter().for_each(|&direction| link.set(direction, harm(config.clone())));
        }
        for task in [Task::Up, Task::Down] {
            each(what, world.transfer(task, bytes).await);
        }
    }
}

async fn harmed_multipath(opener: Opener) {
    let Ok(_turn) = machine::shared().await else { return };
    let world = Setup::new(opener).build();
    harmed(&world, |what, moved| {
        moved.assert_multipath(what);
        world.assert_clean(what);
    })
    .await;
    assert!(world.joined() >= 10, "{}", world.counted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manypath_opens_over_bad_links() {
    harmed_multipath(Opener::Manypath).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linux_opens_over_bad_links() {
    harmed_multipath(Opener::Linux).await;
}

/// A link dies in the middle, comes back, and carries data again before the end.
async fn cut_and_restored(opener: Opener, task: Task, link: usize) {
    let Ok(_turn) = machine::shared().await else { return };
    let direction = if task == Task::Up { Direction::Up } else { Direction::Down };
    let world = Setup::new(opener).build();
    let (bytes, other) = (64 * MIB, 1 - link);
    let ends = world.connect(task, bytes).await;
    let id = ends.0.conn_id();
    let delivered = || [0, 1].map(|link| world.link(link).stats(direction).delivered.bytes);
    let mut at_restore = [0; 2];
    let meanwhile = async {
        world.until_subflows(id, 2).await;
        reach(|| delivered().iter().sum::<u64>() > 4 * MIB, || "the beginning".to_owned()).await;
        world.link(link).cut();
        let at_cut = delivered();
        let goes_on = || delivered()[other] > at_cut[other] + 4 * MIB;
        reach(goes_on, || format!("going on: {:?}", world.info(id))).await;
        world.link(link).restore();
        at_restore = delivered();
    };
    world.finish(ends, task, bytes, meanwhile).await.assert_multipath("restored");
    let since = delivered()[link] - at_restore[link];
    assert!(since > MIB, "{since} bytes on the link that was restored: {}", world.counted());
    world.assert_clean("restored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_outlives_its_first_link_and_takes_it_back() {
    cut_and_restored(Opener::Manypath, Task::Up, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_outlives_its_first_link_and_takes_it_back() {
    cut_and_restored(Opener::Manypath, Task::Down, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_linux_opened_outlives_a_link_and_takes_it_back() {
    cut_and_restored(Opener::Linux, Task::Up, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_linux_opened_outlives_a_link_and_takes_it_back() {
    cut_and_restored(Opener::Linux, Task::Down, 0).await;
}
