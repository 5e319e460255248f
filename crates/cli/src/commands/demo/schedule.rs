//! Cuts the first link and restores it, and sees when it carries data again.

use std::time::Duration;

use manypath_base::Instant;
use manypath_lab::{Direction as LinkDirection, LinkHandle, now};

use super::Direction;
use super::plan::Plan;

/// Bytes over the restored link that are more than probes: it carries data again.
const CARRIES: u64 = 20_000;
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// When what happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    pub(super) start: Instant,
    pub(super) cut: Instant,
    pub(super) restored: Instant,
    /// When the restored link carried data again; `None` if it did not until the end.
    pub(super) carried: Option<Instant>,
}

impl Direction {
    /// The direction of the link that the data takes: the client end of the lab is this side.
    pub(super) fn of_data(self) -> LinkDirection {
        match self {
            Self::Up => LinkDirection::Up,
            Self::Down => LinkDirection::Down,
        }
    }
}

/// Plays the schedule from `start` on.
pub(super) async fn play(
    links: &[LinkHandle],
    direction: Direction,
    plan: &Plan,
    start: Instant,
) -> Moments {
    let link = &links[0];
    tokio::time::sleep(plan.before_cut).await;
    link.cut();
    let cut = now();
    eprintln!("-- {} is cut", link.name());
    tokio::time::sleep(plan.cut).await;
    let before = delivered(link, direction);
    link.restore();
    let restored = now();
    eprintln!("-- {} is restored", link.name());
    let mut carried = None;
    while now().since(restored) < plan.after {
        if carried.is_none() && delivered(link, direction) >= before + CARRIES {
            carried = Some(now());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Moments { start, cut, restored, carried }
}

/// Bytes that the link delivered in the direction of the data.
pub(super) fn delivered(link: &LinkHandle, direction: Direction) -> u64 {
    link.stats(direction.of_data()).delivered.bytes
}
