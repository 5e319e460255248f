//! Waits for the end of connections before the process, and with it the stack, goes away.

use std::time::Duration;

use manypath::{ConnId, Endpoint, Event, Events, Notice, OwnedReadHalf, OwnedWriteHalf};

/// How long an end is waited for: some round trips and a retransmission.
const TIME: Duration = Duration::from_secs(3);

/// Hears of a connection's end. Make it while the connection is open.
#[derive(Debug)]
pub(crate) struct Linger {
    id: ConnId,
    /// `None` if the endpoint has stopped.
    events: Option<Events>,
}

impl Linger {
    /// Listens for the end of a connection.
    pub(crate) fn new(endpoint: &Endpoint, id: ConnId) -> Self {
        Self { id, events: endpoint.events().ok() }
    }

    /// Waits until both sides have closed and know it, or for three seconds; a connection whose
    /// halves were dropped would not be heard of.
    pub(crate) async fn wait(self, halves: (OwnedReadHalf, OwnedWriteHalf)) {
        let Self { id, events } = self;
        let Some(mut events) = events else { return };
        let closed = async {
            while let Some(notice) = events.next().await {
                if matches!(notice, Notice::Event(Event::Closed(closed, _)) if closed == id) {
                    return;
                }
            }
        };
        // A peer that never closes is left alone.
        tokio::time::timeout(TIME, closed).await.ok();
        drop(halves);
    }
}
