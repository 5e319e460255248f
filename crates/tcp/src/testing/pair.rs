//! Two flows and the network between them, in virtual time.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use manypath_base::{Instant, Mss, PathId, Rng, SeqNum, len64, usize64};
use manypath_cc::{Algorithm, Config as CcConfig};
use manypath_sched::Algorithm as Scheduling;
use manypath_wire::{Ecn, IcmpError, IcmpKind, Segment};

use super::link::{Link, LinkConfig, packets, wire_len};
use super::setup::{self, PATH};
use crate::{Config, Event, Flow, PathConfig, Plain, Received, State};

/// Bytes that the application keeps written ahead.
const AHEAD: u64 = 16 << 20;
/// Largest piece that the application writes.
const PIECE: u64 = 65_536;
/// The stream repeats after this many bytes, a prime.
const PERIOD: u64 = 65_521;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The side that opens.
    Client,
    /// The side that is opened.
    Server,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }
}

/// What a pair is made of.
#[derive(Clone, Copy, Debug)]
pub struct Sides {
    /// Both directions of the path.
    pub link: LinkConfig,
    /// Congestion control of both.
    pub algorithm: Algorithm,
    /// Settings of both.
    pub config: Config,
    /// Payload of a packet without options.
    pub mss: Mss,
    /// Super-segments are not cut: they travel and are received whole, as between virtual devices.
    pub whole: bool,
}

impl Sides {
    /// CUBIC and default settings over `link`.
    #[must_use]
    pub fn over(link: LinkConfig) -> Self {
        Self {
            link,
            algorithm: Algorithm::Cubic,
            config: Config::default(),
            mss: Mss(1460),
            whole: false,
        }
    }
}

/// What the application of one side has to do and has seen.
#[derive(Debug, Default)]
struct App {
    to_write: u64,
    written: u64,
    received: u64,
    closing: bool,
    /// Stops reading.
    paused: bool,
}

/// A path of the client that drops what is longer.
#[derive(Clone, Copy, Debug)]
struct Narrow {
    path: PathId,
    mtu: u32,
    /// A router says so (RFC 1191).
    tells: bool,
}

/// How a transfer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Every byte came, once and in order. (A wrong byte panics where it is found.)
    pub intact: bool,
    /// From the call until the last byte came.
    pub time: Duration,
}

/// Two flows, the links between them, and applications that write and read a known stream.
#[derive(Debug)]
pub struct Pair {
    now: Instant,
    flows: [Flow; 2],
    links: [Link; 2],
    /// Further paths of the client, away from it.
    further: Vec<(PathId, Link)>,
    swallows: Option<PathId>,
    narrow: Option<Narrow>,
    apps: [App; 2],
    wire: BTreeMap<(Instant, u64), (Side, Segment, Ecn)>,
    packets: u64,
    pattern: Bytes,
    /// Everything reported so far, but data received and acknowledged.
    pub events: Vec<(Instant, Side, Event)>,
    /// When the last bytes were read, by side.
    pub last_read: [Instant; 2],
    /// Segments with something new that the server dropped as old (PAWS, RFC 7323 §5).
    pub fresh_dropped: u64,
    /// Right edge that each side has promised on the wire.
    promised: [Option<SeqNum>; 2],
    whole: bool,
}

impl Pair {
    /// Both sides at the beginning of their handshake: the client's SYN has just arrived.
    #[must_use]
    pub fn new(seed: u64, sides: Sides) -> Self {
        let mut rng = Rng::seeded(seed);
        let now = Instant::from_millis(1_000);
        let mut opening = |addresses| {
            let controller = sides.algorithm.build(CcConfig::new(sides.mss));
            // Half of the flows wrap their sequence numbers soon.
            let soon = u32::try_from(rng.below(100_000)).expect("it is small");
            let isn = SeqNum(if rng.chance(1, 2) { u32::MAX - soon } else { rng.u32() });
            setup::opening(addresses, isn, sides.config, sides.mss, controller)
        };
        let (ours, theirs) = (opening((1, 2)), opening((2, 1)));
        let mut client = Flow::connect(now, ours);
        let syn = client.poll_transmit(now, &mut Plain).expect("a SYN waits").segment;
        let mut link = || Link::new(sides.link, rng.fork());
        let mut links = [link(), link()];
        // The first SYN comes through; a listener is not part of a pair.
        let arrivals = links[0].send(now, wire_len(&syn));
        let now = arrivals.first().copied().unwrap_or(now + sides.link.delay);
        let server = Flow::accept(now, theirs, &syn);
        let pattern: Vec<u8> = (0..PERIOD + PIECE).map(byte_at).collect();
        let mut pair = Self {
            now,
            flows: [client, server],
            links,
            further: Vec::new(),
            swallows: None,
            narrow: None,
            apps: Default::default(),
            wire: BTreeMap::new(),
            packets: 0,
            pattern: pattern.into(),
            events: Vec::new(),
            last_read: [now; 2],
            fresh_dropped: 0,
            promised: [None; 2],
            whole: sides.whole,
        };
        pair.drain();
        pair
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// One of the flows.
    #[must_use]
    pub fn flow(&self, side: Side) -> &Flow {
        &self.flows[side.index()]
    }

    /// One of the flows, to change it; follow with [`Pair::run_for`].
    pub fn flow_mut(&mut self, side: Side) -> &mut Flow {
        &mut self.flows[side.index()]
    }

    /// The link that leads away from `side`.
    #[must_use]
    pub fn link(&self, side: Side) -> &Link {
        &self.links[side.index()]
    }

    /// Bytes that the application of `side` has read.
    #[must_use]
    pub fn received(&self, side: Side) -> u64 {
        self.apps[side.index()].received
    }

    /// The application of `side` writes `bytes` more.
    pub fn write(&mut self, side: Side, bytes: u64) {
        self.apps[side.index()].to_write += bytes;
        self.drain();
    }

    /// The application of `side` closes after what it has to write.
    pub fn close(&mut self, side: Side) {
        self.apps[side.index()].closing = true;
        self.drain();
    }

    /// The application of `side` stops or resumes reading.
    pub fn pause(&mut self, side: Side, paused: bool) {
        self.apps[side.index()].paused = paused;
        self.drain();
    }

    /// Cuts or restores both directions, silently.
    pub fn cut(&mut self, down: bool) {
        for link in &mut self.links {
            link.set_down(down);
        }
    }

    /// The client gets a further path, of which the server knows nothing; acknowledgments come back
    /// as before.
    pub fn add_path(&mut self, seed: u64, link: LinkConfig, algorithm: Algorithm) {
        let id = PathId(u32::try_from(self.further.len()).expect("they are few") + 1);
        let mut rng = Rng::seeded(seed);
        self.further.push((id, Link::new(link, rng.fork())));
        let (now, client) = (self.now, &mut self.flows[Side::Client.index()]);
        let mss = client.mss();
        let controller = algorithm.build(CcConfig::new(mss));
        if client.use_several_paths(now, Scheduling::Blest.build(), rng).is_ok() {
            client.add_path(now, PathConfig { id, mss, controller }).expect("there is room");
        }
        self.fresh_dropped = 0;
        self.drain();
    }

    /// Cuts or restores a further path of the client.
    pub fn cut_path(&mut self, id: PathId, down: bool) {
        for (_, link) in self.further.iter_mut().filter(|(path, _)| *path == id) {
            link.set_down(down);
        }
    }

    /// Cuts or restores what leads away from `side` on its first path.
    pub fn cut_path_of(&mut self, side: Side, down: bool) {
        self.links[side.index()].set_down(down);
    }

    /// A further path of the client loses whatever is longer than a ping.
    pub fn swallow(&mut self, id: PathId) {
        self.swallows = Some(id);
    }

    /// A path of the client takes packets no longer than this from now on; what is longer is dropped,
    /// with an error or without.
    pub fn narrow(&mut self, path: PathId, mtu: u32, tells: bool) {
        self.narrow = Some(Narrow { path, mtu, tells });
    }

    /// A RST that fits comes to `side`, on a path.
    pub fn reset(&mut self, side: Side, path: PathId) {
        let mut segment = self.bare_ack(side);
        segment.flags = manypath_wire::Flags::RST;
        self.deliver(side, path, segment);
    }

    /// An acknowledgment comes to `side` that reports `len` bytes, so many before the first that is
    /// not acknowledged, as a duplicate (RFC 2883 §4).
    pub fn forge_duplicate(&mut self, side: Side, back: u32, len: u32) {
        let mut segment = self.bare_ack(side);
        let start = segment.ack.wrapping_add(back.wrapping_neg());
        segment.options.sack.push(start..start.wrapping_add(len));
        self.deliver(side, PATH, segment);
    }

    /// An error comes to `side` that says a packet was too big, the one that begins so many bytes
    /// after the first that is not acknowledged.
    pub fn too_big(&mut self, side: Side, ahead: u32, mtu: u32) {
        let flow = self.flow(side);
        let seq = flow.send.una.seq(flow.send.isn).wrapping_add(ahead);
        self.quote(side, seq, mtu);
        self.drain();
    }

    /// An error says that the packet which began there was longer than `mtu`.
    fn quote(&mut self, side: Side, seq: SeqNum, mtu: u32) {
        let flow = &mut self.flows[side.index()];
        let (local, remote) = (flow.local(), flow.remote());
        let kind = IcmpKind::PacketTooBig { mtu };
        flow.handle_icmp(self.now, &IcmpError { kind, local, remote, seq });
    }

    /// An acknowledgment comes to `side` that reports everything under way as received
    /// (RFC 2018) but for the first `hole` bytes.
    pub fn forge_sack(&mut self, side: Side, hole: u32) {
        let mut segment = self.bare_ack(side);
        let flow = self.flow(side);
        let (start, end) = (segment.ack.wrapping_add(hole), flow.send.nxt.seq(flow.send.isn));
        if start.before(end) {
            segment.options.sack.push(start..end);
            self.deliver(side, PATH, segment);
        }
    }

    /// What the peer of `side` might have sent last.
    fn bare_ack(&self, side: Side) -> Segment {
        let flow = &self.flows[side.index()];
        Segment {
            src_port: flow.remote().port(),
            dst_port: flow.local().port(),
            seq: flow.recv.nxt().seq(flow.recv.isn),
            ack: flow.send.una.seq(flow.send.isn),
            flags: manypath_wire::Flags::ACK,
            window: u16::try_from(flow.send.window >> flow.agreed.send_scale).unwrap_or(u16::MAX),
            urgent: 0,
            options: Default::default(),
            payload: Default::default(),
        }
    }

    fn deliver(&mut self, side: Side, path: PathId, segment: Segment) {
        let received = Received { path, segment: Box::new(segment), ecn: Ecn::NotEct };
        self.flows[side.index()].handle_segment(self.now, received, &mut Plain);
        self.drain();
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        while self.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Runs until `done`, at most for `limit`; returns whether it came to be done.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        self.drain();
        while !done(self) {
            if self.next_at().is_none_or(|at| at > end) {
                return false;
            }
            self.step();
        }
        true
    }

    /// The client sends `bytes`, within `limit`.
    pub fn transfer(&mut self, bytes: u64, limit: Duration) -> Transfer {
        let (begin, target) = (self.now, self.received(Side::Server) + bytes);
        self.write(Side::Client, bytes);
        let intact = self.run_until(limit, |pair| pair.received(Side::Server) >= target);
        Transfer { intact, time: self.now.since(begin) }
    }

    /// Closes both sides; returns whether both ended in good order within `limit`.
    pub fn finish(&mut self, limit: Duration) -> bool {
        self.close(Side::Client);
        self.close(Side::Server);
        let over = |flow: &Flow| matches!(flow.state(), State::TimeWait { .. } | State::Closed);
        self.run_until(limit, |pair| pair.flows.iter().all(over))
    }

    fn next_at(&self) -> Option<Instant> {
        let arrival = self.wire.keys().next().map(|(at, _)| *at);
        let timers = self.flows.iter().filter_map(Flow::poll_timeout);
        timers.chain(arrival).min().map(|at| at.max(self.now))
    }

    /// The next arrival, or else the next timer.
    fn step(&mut self) {
        let Some(at) = self.next_at() else { return };
        self.now = at;
        if let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= at) {
            let (to, segment, ecn) = entry.remove();
            let flow = &mut self.flows[to.index()];
            let (old, nxt) = (flow.counters().paws_dropped, flow.recv.nxt().seq(flow.recv.isn));
            let fresh = nxt.before(segment.seq.wrapping_add(segment.seq_len()));
            flow.handle_segment(
                at,
                Received { path: PATH, segment: Box::new(segment), ecn },
                &mut Plain,
            );
            let fresh = fresh && to == Side::Server;
            self.fresh_dropped += u64::from(fresh && flow.counters().paws_dropped > old);
        } else {
            for flow in &mut self.flows {
                if flow.poll_timeout().is_some_and(|due| due <= at) {
                    flow.handle_timeout(at, &mut Plain);
                    let stuck = flow.poll_timeout().is_some_and(|due| due <= at);
                    assert!(!stuck, "a timer stays due: {flow:?}");
                }
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        for side in [Side::Client, Side::Server] {
            self.applications(side);
            while let Some(sent) = self.flows[side.index()].poll_transmit(self.now, &mut Plain) {
                let cut = if self.whole { None } else { sent.gso_mss };
                for packet in packets(*sent.segment, cut) {
                    self.post((side, sent.path), &packet, sent.ecn);
                }
            }
            while let Some(event) = self.flows[side.index()].poll_event() {
                let ended = |(_, s, e): &(Instant, Side, Event)| {
                    *s == side && matches!(e, Event::Closed(_))
                };
                assert!(!self.events.iter().any(ended), "{event:?} after the end");
                if !matches!(event, Event::Received | Event::Acknowledged) {
                    self.events.push((self.now, side, event));
                }
            }
            #[cfg(test)]
            self.flows[side.index()].check_invariants();
        }
    }

    fn post(&mut self, (from, path): (Side, PathId), packet: &Segment, ecn: Ecn) {
        self.check_promise(from, packet);
        if self.swallows == Some(path) && from == Side::Client && packet.payload.len() > 64 {
            return;
        }
        let narrow = self.narrow.filter(|n| n.path == path && from == Side::Client);
        if let Some(narrow) = narrow.filter(|n| wire_len(packet) > n.mtu.into()) {
            if narrow.tells {
                self.quote(from, packet.seq, narrow.mtu);
            }
            return;
        }
        let further = self.further.iter_mut().find(|(id, _)| *id == path && from == Side::Client);
        let link = further.map_or(&mut self.links[from.index()], |(_, link)| link);
        let marked = ecn != Ecn::NotEct && link.marks(self.now);
        let ecn = if marked { Ecn::Ce } else { ecn };
        for at in link.send(self.now, wire_len(packet)) {
            self.packets += 1;
            self.wire.insert((at, self.packets), (from.peer(), packet.clone(), ecn));
        }
    }

    /// The right edge of the window never moves left, but for what the scale rounds away
    /// (RFC 7323 §2.4).
    fn check_promise(&mut self, from: Side, packet: &Segment) {
        let flow = &self.flows[from.index()];
        if !flow.state().is_synchronized() || packet.flags.has(manypath_wire::Flags::RST) {
            return;
        }
        let shift = flow.agreed.recv_scale;
        let edge = packet.ack.wrapping_add(u32::from(packet.window) << shift);
        let promised = &mut self.promised[from.index()];
        if let Some(old) = *promised {
            let rounded = edge.wrapping_add(1 << shift);
            assert!(!rounded.before(old), "{from:?} takes its window back: {old:?} to {edge:?}");
        }
        *promised = Some(promised.filter(|old| edge.before(*old)).unwrap_or(edge));
    }

    fn applications(&mut self, side: Side) {
        let (app, flow) = (&mut self.apps[side.index()], &mut self.flows[side.index()]);
        while !app.paused
            && let Some((_, payload)) = flow.read()
        {
            for chunk in payload.chunks() {
                let at = usize64(app.received % PERIOD);
                let mut rest = &chunk[..];
                let mut from = at;
                while !rest.is_empty() {
                    let n = rest.len().min(usize64(PERIOD));
                    assert_eq!(rest[..n], self.pattern[from..from + n], "a byte is wrong");
                    (rest, from) = (&rest[n..], (from + n) % usize64(PERIOD));
                }
                app.received += len64(chunk.len());
            }
            self.last_read[side.index()] = self.now;
        }
        while app.to_write > 0 && flow.unacknowledged() < AHEAD {
            let n = app.to_write.min(PIECE);
            let from = usize64(app.written % PERIOD);
            flow.write(self.pattern.slice(from..from + usize64(n)));
            app.to_write -= n;
            app.written += n;
        }
        if app.closing && app.to_write == 0 && flow.state().is_synchronized() {
            app.closing = false;
            flow.close();
        }
    }
}

/// The stream: no two of its first 65,521 neighbourhoods are alike.
fn byte_at(offset: u64) -> u8 {
    let n = (offset % PERIOD).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    n.to_be_bytes()[0]
}
