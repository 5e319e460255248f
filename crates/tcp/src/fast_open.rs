//! TCP Fast Open (RFC 7413) for one flow: data on the SYN, and data before the third segment.
//!
//! **Leaves out** cookies themselves: the owner keeps those that servers hand out, with the MSS,
//! and computes and checks those that it hands out.

use alloc::boxed::Box;

use manypath_base::{Instant, Mss, SubflowOffset, len64, usize64};
use manypath_wire::{Options, Segment};
use smallvec::SmallVec;

use crate::extension::Phase;
use crate::flow::Transmit;
use crate::{Event, Flow, Opening, State};

/// A Fast Open cookie: 4 to 16 bytes (RFC 7413 §4.1.1).
pub type Cookie = SmallVec<[u8; 16]>;

/// What a flow does about Fast Open (RFC 7413).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FastOpen {
    /// Nothing.
    #[default]
    Off,
    /// Active open: ask the server for a cookie (§4.1.2).
    Ask,
    /// Active open: what is written before the SYN goes out rides on it (§4.2.1).
    Use {
        /// The cookie that this server handed out.
        cookie: Cookie,
        /// The MSS that it announced then; without it RFC 9293's default counts (§4.1.3).
        peer_mss: Option<Mss>,
    },
    /// Passive open: hand out this cookie with the SYN/ACK (§4.1.2).
    Grant(Cookie),
}

/// How a server answered an attempt at Fast Open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastOpenAnswer {
    /// A cookie for the next connection, if it handed one out.
    pub cookie: Option<Cookie>,
    /// The MSS to keep beside it (RFC 7413 §4.1.3).
    pub mss: Mss,
    /// Bytes that rode on the SYN.
    pub sent: u32,
    /// How many of them the server took; the others are sent again. A server that takes none and
    /// hands out no cookie should not be tried soon (RFC 7413 §4.1.3).
    pub taken: u32,
}

/// State of Fast Open in one flow. In a box, where there is a plan at all: it is over with the
/// handshake.
#[derive(Clone, Debug)]
pub(crate) struct FastOpenState {
    plan: Option<Box<FastOpen>>,
    /// Bytes that the first SYN carried.
    on_syn: u32,
    /// The caller vouches for the peer: data may go both ways before the third segment.
    early: bool,
    answer: Option<Box<FastOpenAnswer>>,
}

impl FastOpenState {
    pub(crate) fn new(plan: FastOpen) -> Self {
        let plan = (plan != FastOpen::Off).then(|| Box::new(plan));
        Self { plan, on_syn: 0, early: false, answer: None }
    }

    fn plan(&self) -> &FastOpen {
        self.plan.as_deref().unwrap_or(&FastOpen::Off)
    }
}

impl Flow {
    /// [`Flow::accept`] of a SYN whose cookie the caller found valid: its data is taken, and this
    /// side may send before the third segment of the handshake (RFC 7413 §4.2.2).
    #[must_use]
    pub fn accept_early(now: Instant, opening: Opening, syn: Segment) -> Self {
        let mut flow = Self::accept(now, opening, &syn);
        flow.fast_open.early = true;
        let (first, mut payload) = (SubflowOffset(1), syn.payload);
        payload.truncate(usize64(flow.recv.window.edge() - first).min(payload.len()));
        if !payload.is_empty() {
            flow.counts.bytes_received += flow.recv.insert(first, payload);
            flow.events.push_back(Event::Received);
        }
        flow
    }

    /// How the server answered, once [`Event::FastOpenAnswered`] was reported.
    pub fn take_fast_open_answer(&mut self) -> Option<FastOpenAnswer> {
        self.fast_open.answer.take().map(|answer| *answer)
    }

    /// Whether data may go out before the handshake is complete: the SYN/ACK has.
    pub(crate) fn may_send_early(&self) -> bool {
        let answered = self.handshake.is_some_and(|h| h.attempts > 0);
        self.state == State::SynReceived && self.fast_open.early && answered
    }

    /// The last byte that an acknowledgment of the SYN may cover, and one.
    pub(crate) fn syn_end(&self) -> SubflowOffset {
        SubflowOffset(1) + u64::from(self.fast_open.on_syn)
    }

    /// Adds option and data to a SYN, the option to a SYN/ACK, if they fit beside the others. A
    /// SYN that is sent again has neither (RFC 7413 §4.2.1).
    pub(crate) fn add_fast_open(&mut self, phase: Phase, attempt: u8, transmit: &mut Transmit) {
        let cookie = match (self.fast_open.plan(), phase) {
            (FastOpen::Ask, Phase::Syn) if attempt == 0 => Cookie::new(),
            (FastOpen::Use { cookie, .. }, Phase::Syn) if attempt == 0 => cookie.clone(),
            (FastOpen::Grant(cookie), Phase::SynAck) => cookie.clone(),
            (
                FastOpen::Off | FastOpen::Ask | FastOpen::Use { .. } | FastOpen::Grant(_),
                Phase::Syn | Phase::SynAck | Phase::Open | Phase::Reset,
            ) => return,
        };
        let options = &mut transmit.segment.options;
        options.fast_open = Some(cookie);
        if options.len() > Options::MAX_LEN {
            options.fast_open = None;
            return;
        }
        let room = self.syn_room(options.len());
        self.add_syn_data(room, &mut transmit.segment);
    }

    /// Payload bytes that a SYN may carry beside `options` bytes of options.
    fn syn_room(&self, options: usize) -> u64 {
        let &FastOpen::Use { peer_mss, .. } = self.fast_open.plan() else { return 0 };
        let default = if self.ends.remote().is_ipv6() { Mss::DEFAULT_V6 } else { Mss::DEFAULT_V4 };
        let mss = peer_mss.unwrap_or(default).min(self.paths[0].mss);
        u64::from(mss.bytes()).saturating_sub(len64(options))
    }

    /// The data stays unsent as far as the scoreboard goes: what the SYN/ACK does not acknowledge
    /// goes out after it.
    fn add_syn_data(&mut self, room: u64, syn: &mut Segment) {
        let first = SubflowOffset(1);
        let len = self.send.buffer.len().min(room);
        syn.payload = self.send.buffer.slice(first, first + len);
        self.fast_open.on_syn = u32::try_from(len).expect("it fits a packet");
        self.counts.bytes_sent += len;
    }

    /// The SYN/ACK came and acknowledges everything before `acked`.
    pub(crate) fn fast_open_answered(&mut self, acked: SubflowOffset, options: &Options) {
        if matches!(self.fast_open.plan(), FastOpen::Off | FastOpen::Grant(_)) {
            return;
        }
        let taken = acked - SubflowOffset(1);
        self.send.buffer.release(acked);
        (self.send.una, self.send.nxt) = (acked, acked);
        if taken > 0 {
            self.events.push_back(Event::Acknowledged);
        }
        self.fast_open.answer = Some(Box::new(FastOpenAnswer {
            cookie: options.fast_open.clone().filter(|cookie| !cookie.is_empty()),
            mss: self.paths[0].mss,
            sent: self.fast_open.on_syn,
            taken: u32::try_from(taken).expect("no more than the SYN carried"),
        }));
        self.events.push_back(Event::FastOpenAnswered);
    }
}
