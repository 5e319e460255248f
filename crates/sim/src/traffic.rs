//! What applications do in a world: they open connections, write, read, and count.

use std::net::SocketAddr;
use std::time::Duration;

use manypath_base::{Instant, Rng, len32, len64, usize32};
use manypath_mptcp::{ConnId, ConnectOptions, Event};

use crate::frame::{Frame, Port};
use crate::session::Session;
use crate::workload::{FlowConfig, Workload, exponential, exponential_number};
use crate::world::{What, World};

/// What a flow counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowStats {
    /// Bytes of payload that applications read, at both ends; of a source without a protocol, the
    /// bytes of its packets.
    pub received: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// Transfers, requests or pages that were completed: when they began and ended.
    pub completed: Vec<(Instant, Instant)>,
    /// Objects of pages that were fetched: when each was asked for and when it was there. The first
    /// of a connection waits for the connection too.
    pub objects: Vec<(Instant, Instant)>,
    /// Longest time without a byte read while the flow was at it.
    pub longest_stall: Duration,
    /// A byte that arrived was not the one that was sent.
    pub corrupt: bool,
    /// Connections that ended in an error, or could not be begun.
    pub failed: u64,
    last_read: Option<Instant>,
}

impl FlowStats {
    fn on_read(&mut self, now: Instant, bytes: u64) {
        self.received += bytes;
        if let Some(last) = self.last_read {
            self.longest_stall = self.longest_stall.max(now.since(last));
        }
        self.last_read = Some(now);
    }

    pub(crate) fn forget_stall(&mut self, now: Instant) {
        self.longest_stall = Duration::ZERO;
        self.last_read = self.last_read.map(|_| now);
    }

    /// The longest time without a byte, one that is not over included.
    #[must_use]
    pub fn stall_until(&self, now: Instant) -> Duration {
        self.longest_stall.max(self.last_read.map_or(Duration::ZERO, |last| now.since(last)))
    }
}

/// A flow at work.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) config: FlowConfig,
    pub(crate) hosts: [u32; 2],
    pub(crate) stats: FlowStats,
    rng: Rng,
    /// Requests that were begun.
    asked: u64,
    /// Of a page: objects that are there, and when the first was asked for.
    fetched: u64,
    started: Instant,
}

impl Flow {
    /// Bytes of the next request and of its answer.
    fn next_exchange(&mut self) -> Option<(u64, u64)> {
        let next = self.config.workload.exchange(self.asked);
        self.asked += u64::from(next.is_some());
        next
    }
}

impl World {
    pub(crate) fn add_flow(&mut self, config: FlowConfig, hosts: [u32; 2], mut rng: Rng) {
        let jitter = u64::try_from(config.jitter.as_nanos()).unwrap_or(u64::MAX);
        let at = self.now + config.start + Duration::from_nanos(rng.below(jitter));
        let stats = FlowStats::default();
        let number = len32(self.flows.len());
        self.flows.push(Flow { config, hosts, stats, rng, asked: 0, fetched: 0, started: at });
        self.events.push(at, What::Flow(number));
    }

    /// A flow starts, or its next packet or connection is due.
    pub(crate) fn on_flow_timer(&mut self, flow: usize) {
        match self.flows[flow].config.workload {
            Workload::Bulk { bytes } => self.open(flow, |session| {
                session.sides[0].allowed = bytes.unwrap_or(u64::MAX);
                session.sides[0].closing = bytes.is_some();
            }),
            Workload::OnOff { .. } => {
                self.open(flow, |_| {});
                let session = len32(self.sessions.len()) - 1;
                self.on_session_timer(session);
            }
            Workload::Requests { .. } => self.open_and_ask(flow),
            Workload::Page { objects, connections, .. } => {
                for _ in 0..connections.clamp(1, objects.max(1)) {
                    self.open_and_ask(flow);
                }
            }
            Workload::Cbr { rate, bytes } => {
                let hosts = self.flows[flow].hosts;
                self.events.push(self.now + rate.time_for(bytes.into()), What::Flow(len32(flow)));
                let to = Port::new(hosts[1], 0);
                self.send_filler(hosts[0], Frame::filler(len32(flow), to, bytes));
            }
            Workload::Arrivals { gap, bytes } => {
                let rng = &mut self.flows[flow].rng;
                let (gap, bytes) = (exponential(rng, gap), exponential_number(rng, bytes).max(1));
                self.events.push(self.now + gap, What::Flow(len32(flow)));
                self.open(flow, |session| {
                    session.sides[0].allowed = bytes;
                    session.sides[0].closing = true;
                });
            }
        }
    }

    /// Opens a connection and sends the next request on it.
    fn open_and_ask(&mut self, flow: usize) {
        let (now, next) = (self.now, self.flows[flow].next_exchange());
        self.open(flow, |session| session.ask(now, next));
    }

    /// Opens a connection of a flow; `prepare` says what its applications have to do.
    fn open(&mut self, flow: usize, prepare: impl FnOnce(&mut Session)) {
        let Flow { config, hosts, stats, .. } = &mut self.flows[flow];
        let options = ConnectOptions {
            mode: config.mode,
            congestion_control: config.cc,
            scheduler: config.scheduler,
            ..ConnectOptions::default()
        };
        let hosts = *hosts;
        let server = self.hosts[usize32(hosts[1])].listening_at;
        let client = &mut self.hosts[usize32(hosts[0])];
        let opened = client.endpoint.connect(self.now, server, &options);
        let Ok(conn) = opened else {
            stats.failed += 1;
            return;
        };
        stats.opened += 1;
        let number = len32(self.sessions.len());
        let mut session = Session::new(flow, hosts, conn, self.now);
        prepare(&mut session);
        self.sessions.push(session);
        client.set_session(conn, number);
        if let Some(info) = client.endpoint.info(conn) {
            self.by_client.insert((hosts[1], info.local), number);
        }
        self.write(number, 0);
        self.settle_and_deliver(hosts[0]);
    }

    /// The next request is due, or a period of data begins or ends.
    pub(crate) fn on_session_timer(&mut self, number: u32) {
        let session = &mut self.sessions[usize32(number)];
        let flow = &mut self.flows[session.flow];
        match flow.config.workload {
            Workload::Requests { .. } => session.ask(self.now, flow.next_exchange()),
            Workload::OnOff { on, off } => {
                session.on = !session.on;
                session.sides[0].allowed = session.sides[0].written;
                let mean = if session.on { on } else { off };
                let at = self.now + exponential(&mut flow.rng, mean);
                self.events.push(at, What::Session(number));
            }
            Workload::Bulk { .. }
            | Workload::Cbr { .. }
            | Workload::Page { .. }
            | Workload::Arrivals { .. } => {}
        }
        let host = session.hosts[0];
        self.allow_ahead(number);
        self.write(number, 0);
        self.settle_and_deliver(host);
    }

    /// Lets a client that has a period of data write so far ahead of the acknowledgments that the
    /// network never waits for it, and not the whole send buffer: that would fill the pauses.
    fn allow_ahead(&mut self, number: u32) {
        /// Beyond two windows, in bytes.
        const AHEAD: u64 = 64 << 10;
        let session = &mut self.sessions[usize32(number)];
        let Some(conn) = session.sides[0].conn.filter(|_| session.on) else { return };
        let endpoint = &self.hosts[usize32(session.hosts[0])].endpoint;
        let Some(info) = endpoint.info(conn) else { return };
        let windows: u64 = info.subflows.iter().map(|s| u64::from(s.path.cwnd)).sum();
        session.sides[0].allowed = info.bytes_acknowledged + 2 * windows + AHEAD;
    }

    pub(crate) fn on_event(&mut self, host: u32, event: Event) {
        match event {
            Event::Incoming(_) => self.accept(host),
            Event::Established(conn) | Event::Writable(conn) => {
                self.for_session(host, conn, Self::write);
            }
            Event::Readable(conn) => self.for_session(host, conn, Self::read),
            Event::Closed(conn, error) => {
                self.for_session(host, conn, |world, number, side| {
                    let info = world.hosts[usize32(host)].endpoint.info(conn);
                    let session = &mut world.sessions[usize32(number)];
                    session.sides[side].last = info.map(Box::new);
                    let first = !std::mem::replace(&mut session.ended, true);
                    if error.is_some() && side == 0 && first {
                        world.flows[session.flow].stats.failed += 1;
                    }
                });
                self.hosts[usize32(host)].endpoint.release(self.now, conn);
            }
            // What happens to paths shows in the counters.
            _ => {}
        }
    }

    fn for_session(&mut self, host: u32, conn: ConnId, act: impl FnOnce(&mut Self, u32, usize)) {
        if let Some(number) = self.hosts[usize32(host)].session(conn) {
            let client = self.sessions[usize32(number)].hosts[0] == host
                && self.sessions[usize32(number)].sides[0].conn == Some(conn);
            act(self, number, usize::from(!client));
        }
    }

    fn accept(&mut self, host: u32) {
        let at = &mut self.hosts[usize32(host)];
        while let Some(conn) = at.endpoint.accept(at.listener) {
            let remote = at.endpoint.info(conn).map(|info| info.remote);
            let known = |remote: SocketAddr| self.by_client.remove(&(host, remote));
            let Some(number) = remote.and_then(known) else { continue };
            self.sessions[usize32(number)].sides[1].conn = Some(conn);
            at.set_session(conn, number);
        }
    }

    /// An application writes what it may, and closes when that was all.
    fn write(&mut self, number: u32, side: usize) {
        let session = &mut self.sessions[usize32(number)];
        let endpoint = &mut self.hosts[usize32(session.hosts[side])].endpoint;
        let side = &mut session.sides[side];
        let Some(conn) = side.conn else { return };
        while side.written < side.allowed {
            let mut chunk = self.pattern.chunk(side.written, side.allowed - side.written);
            let len = chunk.len();
            let Ok(taken) = endpoint.write(self.now, conn, &mut chunk) else { return };
            side.written += len64(taken);
            if taken < len {
                return;
            }
        }
        if side.closing && !side.shut {
            side.shut = true;
            endpoint.shutdown(self.now, conn);
        }
    }

    /// An application reads what there is, and acts on it.
    fn read(&mut self, number: u32, side: usize) {
        let session = &mut self.sessions[usize32(number)];
        let flow = &mut self.flows[session.flow];
        let endpoint = &mut self.hosts[usize32(session.hosts[side])].endpoint;
        let Some(conn) = session.sides[side].conn else { return };
        let mut ended = false;
        while let Ok(Some(chunk)) = endpoint.read(self.now, conn) {
            if chunk.is_empty() {
                ended = true;
                break;
            }
            let at = &mut session.sides[side].read;
            flow.stats.corrupt |= flow.config.checked && !self.pattern.is(*at, &chunk);
            *at += len64(chunk.len());
            flow.stats.on_read(self.now, len64(chunk.len()));
        }
        if flow.config.workload.is_exchange() {
            self.on_exchange(number, side);
        } else if session.on && side == 1 {
            // What has been read is acknowledged at once, and that lets the client send.
            self.allow_ahead(number);
            self.write(number, 0);
        }
        if ended {
            self.on_end(number, side);
        }
    }

    /// Something of a request or of an answer was read.
    fn on_exchange(&mut self, number: u32, side: usize) {
        let now = self.now;
        let session = &mut self.sessions[usize32(number)];
        let flow = &mut self.flows[session.flow];
        if side == 1 {
            session.answer();
        } else if session.is_answered() {
            match flow.config.workload {
                Workload::Requests { gap, .. } if !gap.is_zero() => {
                    flow.stats.completed.push((session.asked_at, now));
                    self.events.push(now + gap, What::Session(number));
                }
                Workload::Page { objects, .. } => {
                    flow.fetched += 1;
                    flow.stats.objects.push((session.asked_at, now));
                    if flow.fetched == objects {
                        flow.stats.completed.push((flow.started, now));
                    }
                    session.ask(now, flow.next_exchange());
                }
                _ => {
                    flow.stats.completed.push((session.asked_at, now));
                    session.ask(now, flow.next_exchange());
                }
            }
        }
        self.write(number, side);
    }

    /// The other side has closed: this one has no more to say either.
    fn on_end(&mut self, number: u32, side: usize) {
        let session = &mut self.sessions[usize32(number)];
        let flow = &mut self.flows[session.flow];
        let transfer = side == 1 && !flow.config.workload.is_exchange();
        if transfer && !session.sides[1].shut {
            flow.stats.completed.push((session.opened, self.now));
        }
        session.sides[side].shut = true;
        let host = session.hosts[side];
        if let Some(conn) = session.sides[side].conn {
            self.hosts[usize32(host)].endpoint.shutdown(self.now, conn);
        }
    }
}
