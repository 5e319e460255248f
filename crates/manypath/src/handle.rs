//! A connection in the application's hands: the calls that streams and halves are made of.
//!
//! **Invariants**: a waker is kept under the same hold of the lock under which there was nothing,
//! so no wake is lost; nothing is copied under the lock. **Leaves out** buffers and futures.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use manypath_base::{Ends, FourTuple, Instant, SubflowId};
use manypath_mptcp::{ConnId, ConnectionError, Endpoint, NotOpen};

use crate::error::{Stopped, connection_error};
use crate::hold::Hold;
use crate::shared::{Conn, Core, End, State, keep};
use crate::{ConnectError, ConnectionInfo};

/// Holds a connection; dropping it releases the connection.
pub(crate) struct Handle {
    hold: Arc<Hold>,
    id: ConnId,
    ends: Ends,
}

/// What came of fetching.
pub(crate) enum Fetched {
    /// Chunks were appended.
    Some,
    /// The end of the stream.
    End,
}

impl Handle {
    /// Holds `id`, which has its [`Conn`] already.
    pub(crate) fn new(hold: Arc<Hold>, id: ConnId, local: SocketAddr, peer: SocketAddr) -> Self {
        Self { hold, id, ends: FourTuple { local, remote: peer }.into() }
    }

    pub(crate) fn id(&self) -> ConnId {
        self.id
    }

    /// The number of its shard.
    pub(crate) fn shard(&self) -> usize {
        self.hold.shard_of(self.id)
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.ends.local()
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.ends.remote()
    }

    /// Waits for the handshake.
    pub(crate) fn poll_established(&self, cx: &Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.core().peek(|state| {
            let conn = self.conn(state);
            match conn.end {
                Some(End::Failed(error)) => Poll::Ready(Err(error.into())),
                Some(End::Closed) => Poll::Ready(Err(ConnectionError::Aborted.into())),
                None if conn.established => Poll::Ready(Ok(())),
                None => {
                    keep(&mut conn.watcher, cx.waker());
                    Poll::Pending
                }
            }
        })?
    }

    /// Waits for the end.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.core().peek(|state| {
            let conn = self.conn(state);
            match conn.end {
                Some(End::Failed(error)) => Poll::Ready(Err(connection_error(error))),
                Some(End::Closed) => Poll::Ready(Ok(())),
                None => {
                    keep(&mut conn.watcher, cx.waker());
                    Poll::Pending
                }
            }
        })?
    }

    /// Appends chunks until `want` bytes are there or nothing more waits; at least one.
    pub(crate) fn poll_fetch(
        &self,
        cx: &Context<'_>,
        chunks: &mut VecDeque<Bytes>,
        want: usize,
    ) -> Poll<io::Result<Fetched>> {
        self.core().read(|state, now| {
            let mut got = 0;
            while got < want {
                match state.endpoint.read(now, self.id) {
                    Ok(Some(chunk)) if chunk.is_empty() => break,
                    Ok(Some(chunk)) => {
                        got += chunk.len();
                        chunks.push_back(chunk);
                    }
                    // What was fetched comes first; the error comes again.
                    Ok(None) | Err(NotOpen) if got > 0 => break,
                    Ok(None) => {
                        keep(&mut self.conn(state).reader, cx.waker());
                        return Poll::Pending;
                    }
                    Err(NotOpen) => return Poll::Ready(self.read_ended(state)),
                }
            }
            Poll::Ready(Ok(if got > 0 { Fetched::Some } else { Fetched::End }))
        })?
    }

    /// Waits until there may be room to write, so that nothing is copied in vain.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<Result<(), Stopped>> {
        let full = self.core().peek(|state| {
            let conn = self.conn(state);
            if conn.full {
                keep(&mut conn.writer, cx.waker());
            }
            conn.full
        })?;
        if full { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Gives as much of `chunk` as there is room for, at least a byte, and says how much.
    /// `more` is about to be given.
    pub(crate) fn poll_give(
        &self,
        cx: &Context<'_>,
        chunk: &mut Bytes,
        more: bool,
    ) -> Poll<io::Result<usize>> {
        self.core().with(|state, now| {
            let mut given = 0;
            while !chunk.is_empty() {
                let wrote = if more {
                    state.endpoint.write_more(now, self.id, chunk)
                } else {
                    state.endpoint.write(now, self.id, chunk)
                };
                match wrote {
                    // Asking once more makes sure that `Writable` follows.
                    Ok(0) => {
                        self.conn(state).full = true;
                        break;
                    }
                    Ok(n) => given += n,
                    Err(NotOpen) if given > 0 => break,
                    Err(NotOpen) => return Poll::Ready(Err(self.write_error(state))),
                }
            }
            if given == 0 && !chunk.is_empty() {
                keep(&mut self.conn(state).writer, cx.waker());
                return Poll::Pending;
            }
            Poll::Ready(Ok(given))
        })?
    }

    /// Closes this side's half.
    pub(crate) fn shutdown(&self) -> Result<(), Stopped> {
        self.core().with(|state, now| state.endpoint.shutdown(now, self.id))
    }

    /// Ends the connection at once.
    pub(crate) fn abort(&self) -> Result<(), Stopped> {
        self.core().with(|state, now| state.endpoint.abort(now, self.id))
    }

    /// Makes a subflow a backup or a regular one.
    pub(crate) fn set_backup(&self, subflow: SubflowId, backup: bool) -> io::Result<()> {
        let set = self.core().with(|s, now| s.endpoint.set_backup(now, self.id, subflow, backup));
        set?.map_err(|e| io::Error::new(io::ErrorKind::NotConnected, e))
    }

    /// Changes a setting.
    pub(crate) fn set(
        &self,
        change: impl FnOnce(&mut Endpoint, Instant, ConnId) -> Result<(), NotOpen>,
    ) -> io::Result<()> {
        let set = self.core().with(|state, now| change(&mut state.endpoint, now, self.id))?;
        set.map_err(|e| io::Error::new(io::ErrorKind::NotConnected, e))
    }

    /// A snapshot.
    pub(crate) fn info(&self) -> io::Result<ConnectionInfo> {
        let info = self.core().peek(|state| ConnectionInfo::of(state, self.id))?;
        info.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, NotOpen))
    }

    fn core(&self) -> &Core {
        self.hold.of(self.id)
    }

    fn conn<'a>(&self, state: &'a mut State) -> &'a mut Conn {
        state.conns.get_mut(&self.id).expect("it is there as long as its handle")
    }

    fn read_ended(&self, state: &mut State) -> io::Result<Fetched> {
        match self.conn(state).end {
            Some(End::Failed(error)) => Err(connection_error(error)),
            Some(End::Closed) => Ok(Fetched::End),
            None => Err(io::Error::new(io::ErrorKind::NotConnected, NotOpen)),
        }
    }

    fn write_error(&self, state: &mut State) -> io::Error {
        match self.conn(state).end {
            Some(End::Failed(error)) => connection_error(error),
            Some(End::Closed) | None => io::Error::new(io::ErrorKind::BrokenPipe, NotOpen),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A stopped endpoint has nothing to release.
        let _stopped = self.core().with(|state, now| {
            state.conns.remove(&self.id);
            state.endpoint.release(now, self.id);
        });
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {} to {}", self.id, self.local(), self.peer())
    }
}
