//! What applications call.

use core::time::Duration;

use bytes::Bytes;
use manypath_base::{Instant, SubflowId};
use manypath_tcp::Keepalive;

use super::{ConnId, Endpoint};
use crate::connection::Connection;
use crate::{ConnectionInfo, NotOpen};

impl Endpoint {
    /// Takes bytes to send, as many as the send buffer has room for from the front of `chunk`,
    /// without copying; returns how many. Fewer than all means: wait for
    /// [`crate::Event::Writable`].
    ///
    /// # Errors
    /// If the connection is gone or this half of it closed.
    pub fn write(&mut self, now: Instant, id: ConnId, chunk: &mut Bytes) -> Result<usize, NotOpen> {
        self.call(now, id, |conn| conn.write(chunk, false))?
    }

    /// [`Endpoint::write`], and more is about to be written: less than a packet waits for it, for
    /// 200 ms at most.
    ///
    /// # Errors
    /// As [`Endpoint::write`].
    pub fn write_more(
        &mut self,
        now: Instant,
        id: ConnId,
        chunk: &mut Bytes,
    ) -> Result<usize, NotOpen> {
        self.call(now, id, |conn| conn.write(chunk, true))?
    }

    /// The next bytes in order, without copying; `Ok(None)` is "nothing now", an empty chunk the
    /// end of the stream.
    ///
    /// # Errors
    /// If the connection is gone, and what it received is read.
    pub fn read(&mut self, now: Instant, id: ConnId) -> Result<Option<Bytes>, NotOpen> {
        let entry = self.connections.get_mut(&id).ok_or(NotOpen)?;
        let chunk = entry.conn.read()?;
        // Where there is nothing to read, nothing has changed.
        if chunk.is_some() {
            self.settle(now, id);
        }
        Ok(chunk)
    }

    /// Closes this side's half: DATA_FIN (RFC 8684 §3.3.3), or FIN after falling back.
    pub fn shutdown(&mut self, now: Instant, id: ConnId) {
        let _gone_is_closed = self.call(now, id, |conn| conn.shutdown(now));
    }

    /// Ends a connection at once: MP_FASTCLOSE (RFC 8684 §3.5), or RST after falling back.
    pub fn abort(&mut self, now: Instant, id: ConnId) {
        let _gone_is_closed = self.call(now, id, |conn| {
            conn.abort(now);
            conn.settle_all(now);
        });
    }

    /// The application is done with this connection: it is closed if it was not, and forgotten
    /// when the protocol allows. No event names it afterwards.
    pub fn release(&mut self, now: Instant, id: ConnId) {
        let _gone_is_released = self.call(now, id, |conn| conn.release(now));
    }

    /// Makes a subflow a backup or a regular one, and tells the peer (MP_PRIO, RFC 8684 §3.3.8).
    ///
    /// # Errors
    /// If the connection or subflow is gone, or fell back to TCP.
    pub fn set_backup(
        &mut self,
        now: Instant,
        id: ConnId,
        subflow: SubflowId,
        backup: bool,
    ) -> Result<(), NotOpen> {
        self.call(now, id, |conn| conn.set_backup(subflow, backup))?
    }

    /// Sends small pieces at once, or again holds them back while data is in flight (Nagle's
    /// algorithm, RFC 9293 §3.7.4, MUST-17).
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn set_nodelay(&mut self, now: Instant, id: ConnId, on: bool) -> Result<(), NotOpen> {
        self.call(now, id, |conn| conn.set_nodelay(on))
    }

    /// Holds back less than a packet, for 200 ms at most, until uncorked or closed.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn set_cork(&mut self, now: Instant, id: ConnId, on: bool) -> Result<(), NotOpen> {
        self.call(now, id, |conn| conn.set_cork(on))
    }

    /// Probes every subflow while it is idle, or no longer (RFC 9293 §3.8.4). One that does not
    /// answer ends, and with the last one the connection.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn set_keepalive(
        &mut self,
        now: Instant,
        id: ConnId,
        keepalive: Option<Keepalive>,
    ) -> Result<(), NotOpen> {
        self.call(now, id, |conn| conn.set_keepalive(now, keepalive))
    }

    /// How long data may stay unacknowledged, on a subflow and on all together (RFC 9293 §3.8.3,
    /// MUST-21).
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn set_user_timeout(
        &mut self,
        now: Instant,
        id: ConnId,
        timeout: Duration,
    ) -> Result<(), NotOpen> {
        self.call(now, id, |conn| conn.set_user_timeout(timeout))
    }

    /// A snapshot of a connection.
    #[must_use]
    pub fn info(&self, id: ConnId) -> Option<ConnectionInfo> {
        self.connections.get(&id).map(|entry| entry.conn.info())
    }

    fn call<R>(
        &mut self,
        now: Instant,
        id: ConnId,
        call: impl FnOnce(&mut Connection) -> R,
    ) -> Result<R, NotOpen> {
        let entry = self.connections.get_mut(&id).ok_or(NotOpen)?;
        let answer = call(&mut entry.conn);
        self.settle(now, id);
        Ok(answer)
    }
}
