//! One connection as its two applications see it.

use manypath_base::Instant;
use manypath_mptcp::ConnId;

use crate::workload::Workload;

/// What one application has to do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Side {
    pub(crate) conn: Option<ConnId>,
    /// Bytes that may be written, counted from the start.
    pub(crate) allowed: u64,
    pub(crate) written: u64,
    pub(crate) read: u64,
    /// Nothing follows what is allowed.
    pub(crate) closing: bool,
    pub(crate) shut: bool,
}

/// A connection of a flow. Side 0 is the client.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) flow: usize,
    pub(crate) hosts: [u32; 2],
    pub(crate) sides: [Side; 2],
    pub(crate) opened: Instant,
    /// Requests that were answered, and those to come; without end if `None`.
    pub(crate) answered: u64,
    pub(crate) to_ask: Option<u64>,
    pub(crate) asked_at: Instant,
    pub(crate) on: bool,
    pub(crate) ended: bool,
}

/// Bytes of a request for an object of a web page.
const PAGE_REQUEST: u64 = 300;

/// Bytes of a request and of its answer, where the workload has them.
pub(crate) fn exchange(workload: Workload) -> Option<(u64, u64)> {
    match workload {
        Workload::Requests { request, response, .. } => Some((request.max(1), response.max(1))),
        Workload::Page { bytes, .. } => Some((PAGE_REQUEST, bytes.max(1))),
        Workload::Bulk { .. }
        | Workload::OnOff { .. }
        | Workload::Cbr { .. }
        | Workload::Arrivals { .. } => None,
    }
}

impl Session {
    pub(crate) fn new(flow: usize, hosts: [u32; 2], client: ConnId, now: Instant) -> Self {
        let client = Side { conn: Some(client), ..Side::default() };
        Self {
            flow,
            hosts,
            sides: [client, Side::default()],
            opened: now,
            answered: 0,
            to_ask: None,
            asked_at: now,
            on: false,
            ended: false,
        }
    }

    /// Lets the client send the next request, if there is one; closes after the last.
    pub(crate) fn ask(&mut self, now: Instant, request: u64) {
        if let Some(left) = &mut self.to_ask {
            if *left == 0 {
                self.sides[0].closing = true;
                return;
            }
            *left -= 1;
        }
        self.asked_at = now;
        self.sides[0].allowed += request;
    }

    /// Lets the server answer every whole request that it has read.
    pub(crate) fn answer(&mut self, (request, response): (u64, u64)) {
        self.sides[1].allowed = self.sides[1].read / request * response;
    }

    /// Whether the client has read one more answer to its end.
    pub(crate) fn is_answered(&mut self, (_, response): (u64, u64)) -> bool {
        let complete = self.sides[0].read >= (self.answered + 1) * response;
        self.answered += u64::from(complete);
        complete
    }
}
