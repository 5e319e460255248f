//! One host with an application that writes, reads and closes as a plan says.

use std::collections::BTreeMap;
use std::time::Duration;

use manypath_base::Instant;
use manypath_mptcp::{ConnId, Endpoint, Event, ListenerId};

use super::pattern;

/// One direction of a transfer: what is to be written, and what was read.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) seed: u64,
    pub(crate) total: u64,
    pub(crate) written: u64,
    pub(crate) shut: bool,
    /// More may be written: the stream is not shut yet.
    pub(crate) open: bool,
    pub(crate) read: u64,
    pub(crate) finished: bool,
    /// Times at which something was read.
    pub(crate) reads: Vec<(Instant, u64)>,
}

/// One host.
pub(crate) struct Host {
    pub(crate) endpoint: Endpoint,
    pub(crate) conn: Option<ConnId>,
    pub(crate) out: Stream,
    pub(crate) into: Stream,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) closed: bool,
    /// Every connection that was accepted.
    pub(crate) accepted: Vec<ConnId>,
    /// The application reads.
    pub(crate) reads: bool,
    pub(super) blocked: bool,
}

impl Host {
    /// What the application does: accept, write, read, shut down.
    pub(super) fn act(&mut self, now: Instant, listener: Option<ListenerId>) -> bool {
        let mut any = false;
        while let Some(event) = self.endpoint.poll_event() {
            any = true;
            match event {
                Event::Incoming(_) => {
                    let conn = listener.and_then(|l| self.endpoint.accept(l));
                    self.accepted.extend(conn);
                    self.conn = self.conn.or(conn);
                }
                Event::Closed(..) => self.closed = true,
                Event::Writable(_) => self.blocked = false,
                _ => {}
            }
            self.events.push((now, event));
        }
        let Some(conn) = self.conn else { return any };
        any | self.write(now, conn) | self.read(now, conn)
    }

    fn write(&mut self, now: Instant, conn: ConnId) -> bool {
        let out = &mut self.out;
        let mut any = false;
        while out.written < out.total && !self.blocked {
            let len = (out.total - out.written).min(64 << 10) as usize;
            let mut chunk = pattern(out.seed, out.written, len);
            match self.endpoint.write(now, conn, &mut chunk) {
                Ok(n) => {
                    out.written += n as u64;
                    self.blocked = n < len;
                }
                Err(_) => break,
            }
            any = true;
        }
        if out.written == out.total && !out.shut && !out.open {
            out.shut = true;
            any = true;
            self.endpoint.shutdown(now, conn);
        }
        any
    }

    fn read(&mut self, now: Instant, conn: ConnId) -> bool {
        let mut any = false;
        while self.reads && !self.into.finished {
            match self.endpoint.read(now, conn) {
                Ok(Some(chunk)) if chunk.is_empty() => {
                    let all = (self.into.total, false);
                    assert_eq!((self.into.read, self.into.open), all, "the stream ends early");
                    self.into.finished = true;
                }
                Ok(Some(chunk)) => {
                    assert_eq!(chunk, pattern(self.into.seed, self.into.read, chunk.len()));
                    self.into.read += chunk.len() as u64;
                    self.into.reads.push((now, chunk.len() as u64));
                }
                Ok(None) | Err(_) => return any,
            }
            any = true;
        }
        any
    }

    /// Longest time without a byte read, from `since` to the last read.
    pub(crate) fn longest_stall(&self, since: Instant) -> Duration {
        let times = self.into.reads.iter().map(|(at, _)| *at).filter(|at| *at >= since);
        let times: Vec<Instant> = std::iter::once(since).chain(times).collect();
        times.windows(2).map(|w| w[1].since(w[0])).max().unwrap_or_default()
    }

    /// Payload bits per second read between two moments.
    pub(crate) fn rate(&self, from: Instant, to: Instant) -> f64 {
        let within = self.into.reads.iter().filter(|(at, _)| *at >= from && *at < to);
        within.map(|(_, n)| *n).sum::<u64>() as f64 * 8.0 / to.since(from).as_secs_f64()
    }

    /// Bytes sent on each subflow, by identifier.
    pub(crate) fn sent_by_subflow(&self) -> BTreeMap<u32, u64> {
        let info = self.conn.and_then(|c| self.endpoint.info(c));
        info.into_iter().flat_map(|i| i.subflows).map(|s| (s.id.0, s.bytes_sent)).collect()
    }
}
