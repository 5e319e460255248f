//! One connection as its two applications see it.

use manypath_base::Instant;
use manypath_mptcp::{ConnId, ConnectionInfo};

/// What one application has to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    pub(crate) conn: Option<ConnId>,
    /// Bytes that may be written, counted from the start.
    pub(crate) allowed: u64,
    pub(crate) written: u64,
    pub(crate) read: u64,
    /// Nothing follows what is allowed.
    pub(crate) closing: bool,
    pub(crate) shut: bool,
    /// What was known of the connection when it ended; its endpoint forgets it then.
    pub(crate) last: Option<Box<ConnectionInfo>>,
}

/// A connection of a flow. Side 0 is the client.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) flow: usize,
    pub(crate) hosts: [u32; 2],
    pub(crate) sides: [Side; 2],
    pub(crate) opened: Instant,
    /// Bytes of the answers to all that was asked.
    due: u64,
    /// The last request is not answered yet.
    waits: bool,
    pub(crate) asked_at: Instant,
    pub(crate) on: bool,
    pub(crate) ended: bool,
}

impl Session {
    pub(crate) fn new(flow: usize, hosts: [u32; 2], client: ConnId, now: Instant) -> Self {
        let client = Side { conn: Some(client), ..Side::default() };
        Self {
            flow,
            hosts,
            sides: [client, Side::default()],
            opened: now,
            due: 0,
            waits: false,
            asked_at: now,
            on: false,
            ended: false,
        }
    }

    /// Lets the client send the next request, given as the bytes of it and of its answer; closes
    /// where there is none.
    pub(crate) fn ask(&mut self, now: Instant, next: Option<(u64, u64)>) {
        let Some((request, response)) = next else {
            self.sides[0].closing = true;
            return;
        };
        self.asked_at = now;
        self.sides[0].allowed += request;
        self.due += response;
        self.waits = true;
    }

    /// Lets the server answer once it has read the whole of the last request.
    pub(crate) fn answer(&mut self) {
        if self.sides[1].read == self.sides[0].allowed {
            self.sides[1].allowed = self.due;
        }
    }

    /// Whether the client has just read an answer to its end.
    pub(crate) fn is_answered(&mut self) -> bool {
        let complete = self.waits && self.sides[0].read == self.due;
        self.waits &= !complete;
        complete
    }
}
