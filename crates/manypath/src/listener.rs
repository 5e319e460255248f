//! Accepting connections.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use manypath_mptcp::ListenerId;

use crate::Stream;
use crate::handle::Handle;
use crate::hold::Hold;
use crate::shared::{Conn, State};

/// Accepts connections. Dropping it stops listening and aborts those that were not accepted.
pub struct Listener {
    hold: Arc<Hold>,
    id: ListenerId,
    local: SocketAddr,
}

impl Listener {
    pub(crate) fn new(hold: Arc<Hold>, id: ListenerId, local: SocketAddr) -> Self {
        Self { hold, id, local }
    }

    /// The next connection, and the address its peer came from. Several tasks may wait. Cancel
    /// safe.
    ///
    /// # Errors
    /// When the endpoint has stopped.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`Listener::accept`].
    ///
    /// # Errors
    /// When the endpoint has stopped.
    pub fn poll_accept(&self, cx: &Context<'_>) -> Poll<io::Result<(Stream, SocketAddr)>> {
        for core in self.hold.cores_in_turn() {
            if let Poll::Ready(handle) = core.with(|state, _| self.take(state, cx))? {
                let peer = handle.peer();
                return Poll::Ready(Ok((Stream::new(handle), peer)));
            }
        }
        Poll::Pending
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn take(&self, state: &mut State, cx: &Context<'_>) -> Poll<Handle> {
        let Some(id) = state.endpoint.accept(self.id) else {
            let waiting = state.listeners.entry(self.id).or_default();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        };
        state.conns.insert(id, Conn::accepted());
        let info = state.endpoint.info(id).expect("a connection just accepted has a snapshot");
        Poll::Ready(Handle::new(Arc::clone(&self.hold), id, info.local, info.remote))
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listener({})", self.local)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A stopped endpoint does not listen.
        let _stopped = self.hold.with_all(|state, now| {
            state.listeners.remove(&self.id);
            state.endpoint.close_listener(now, self.id);
        });
    }
}
