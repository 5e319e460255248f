//! Waiting, and not for ever.

use std::future::Future;
use std::time::Duration;

use manypath::{Event, Events, Notice};
use tokio::task::block_in_place;

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Lets nothing hang.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing hangs")
}

/// Waits until `condition` holds; says `what` did not come.
pub(crate) async fn reach(condition: impl Fn() -> bool, what: impl FnOnce() -> String) {
    let holds = async {
        while !block_in_place(&condition) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, holds).await.is_err() {
        panic!("not reached: {}", what());
    }
}

/// Waits for an event that `pick` makes something of.
pub(crate) async fn event<T>(events: &mut Events, pick: impl Fn(Event) -> Option<T>) -> T {
    let wanted = async {
        loop {
            match events.next().await.expect("the endpoint is there") {
                Notice::Event(event) => {
                    if let Some(picked) = pick(event) {
                        return picked;
                    }
                }
                Notice::Lagged(n) => panic!("missed {n} events"),
            }
        }
    };
    within(wanted).await
}
