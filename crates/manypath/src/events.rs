//! Events for whoever wants to watch.
//!
//! **Invariants**: a slow reader never holds the endpoint up, and memory is bounded: what it
//! missed is counted and told. **Leaves out** `Readable` and `Writable`, which streams see to.

use manypath_mptcp::Event;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

/// Events that may wait for one reader.
pub const EVENT_QUEUE: usize = 1024;

/// Something for a reader of [`Events`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something happened.
    Event(Event),
    /// The reader was slow: this many events were dropped here.
    Lagged(u64),
}

/// What happens at an endpoint, from the moment of [`crate::Endpoint::events`] on: all of
/// [`Event`] except `Readable` and `Writable`.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next one; `None` once the endpoint is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.0.recv().await {
            Ok(event) => Some(Notice::Event(event)),
            Err(RecvError::Lagged(n)) => Some(Notice::Lagged(n)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next one if it is there already.
    pub fn try_next(&mut self) -> Option<Notice> {
        match self.0.try_recv() {
            Ok(event) => Some(Notice::Event(event)),
            Err(TryRecvError::Lagged(n)) => Some(Notice::Lagged(n)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

/// Those who read events.
#[derive(Debug, Default)]
pub(crate) enum Subscribers {
    /// Nobody asked yet, so there is no queue.
    #[default]
    None,
    Some(broadcast::Sender<Event>),
    /// Nothing happens any more.
    Closed,
}

impl Subscribers {
    /// One more.
    pub(crate) fn subscribe(&mut self) -> Events {
        let new = || broadcast::channel(EVENT_QUEUE);
        match self {
            Self::None => {
                let (sender, receiver) = new();
                *self = Self::Some(sender);
                Events(receiver)
            }
            Self::Some(sender) => Events(sender.subscribe()),
            Self::Closed => Events(new().1),
        }
    }

    pub(crate) fn tell(&self, event: Event) {
        match self {
            // An error says that nobody listens any more.
            Self::Some(sender) => drop(sender.send(event)),
            Self::None | Self::Closed => {}
        }
    }

    /// Everyone gets what is queued, then the end.
    pub(crate) fn close(&mut self) {
        *self = Self::Closed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use manypath_mptcp::ConnId;

    #[tokio::test]
    async fn a_slow_reader_is_told_how_much_it_missed() {
        let mut subscribers = Subscribers::default();
        subscribers.tell(Event::Established(ConnId(0)));
        let mut events = subscribers.subscribe();
        assert_eq!(events.try_next(), None, "what was before is not seen");
        for n in 0..1030 {
            subscribers.tell(Event::Established(ConnId(n)));
        }
        assert_eq!(events.next().await, Some(Notice::Lagged(6)));
        assert_eq!(events.next().await, Some(Notice::Event(Event::Established(ConnId(6)))));
        subscribers.close();
        for n in 7..1030 {
            assert_eq!(events.next().await, Some(Notice::Event(Event::Established(ConnId(n)))));
        }
        assert_eq!(events.next().await, None);
        assert_eq!(subscribers.subscribe().next().await, None);
    }
}
