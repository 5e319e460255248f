//! A script at work: runs it line by line, and fails at the first that does not hold.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;

use bytes::Bytes;
use manypath_base::{Instant, len64, usize32};
use manypath_wire::{
    IcmpError, IcmpKind, MpTcpRst, Options, ResetReason, Segment, Timestamps, UserTimeout,
};

use super::link::packets;
use super::notation::{Line, Sent, hex};
use super::script::{EPOCH, Script, Start};
use super::setup::{self, PATH, address};
use crate::{CloseReason, Cookie, Event, Flow, Plain, Received, State, SynOffer, Transmit};

/// A script at work.
#[derive(Debug)]
pub(super) struct Run {
    script: Script,
    flow: Option<Flow>,
    now: Instant,
    out: VecDeque<(Instant, Sent)>,
    events: VecDeque<Event>,
    line: String,
    peer_nxt: u32,
    ack: u32,
    win: u32,
    echo: u32,
}

impl Run {
    pub(super) fn new(mut script: Script) -> Self {
        let opening = script.opening();
        let flow = match script.start {
            Start::Connecting => Some(Flow::connect(EPOCH, opening)),
            Start::Accepting | Start::Resuming => None,
            Start::Established => {
                let times = (EPOCH - script.rtt, EPOCH);
                Some(setup::established(times, opening, script.peer_isn, script.window))
            }
        };
        let win = u32::from(script.window);
        let established = flow.as_ref().is_some_and(|f| f.state() == State::Established);
        let mut run = Self {
            peer_nxt: u32::from(established),
            ack: 1,
            win,
            echo: 0,
            script,
            flow,
            now: EPOCH,
            out: VecDeque::new(),
            events: VecDeque::new(),
            line: "the start".to_string(),
        };
        if let (Some(max), Some(flow)) = (run.script.max_rto, run.flow.as_mut()) {
            flow.set_max_rto(max);
        }
        if let Some(flow) = run.flow.as_mut() {
            flow.write(Bytes::from(vec![7; run.script.early]));
        }
        run.drain();
        run
    }

    /// Runs every line of `text`.
    pub(super) fn all(&mut self, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default().trim();
            if !line.is_empty() {
                self.line = format!("line {number}: {line}");
                self.step(line);
            }
        }
        self.line = "the end".to_string();
        self.silence();
    }

    pub(super) fn fail(&self, why: &str) -> ! {
        let paths = self.flow.as_ref().map(|f| f.paths().collect::<Vec<_>>());
        panic!("{}\n  at {:?}: {why}\n  {paths:?}", self.line, self.now.since(EPOCH))
    }

    pub(super) fn flow(&mut self) -> &mut Flow {
        self.flow.as_mut().unwrap_or_else(|| panic!("{}: there is no flow yet", self.line))
    }

    fn step(&mut self, line: &str) {
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = match time(first) {
            Some(at) => {
                self.advance(EPOCH + at);
                rest.trim()
            }
            None => line,
        };
        let (verb, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if verb == ">" {
            return self.sent(rest);
        }
        if !matches!(verb, "expect" | "never" | "state" | "check") {
            self.silence();
        }
        self.act(verb, rest.trim());
        if verb != "<+" {
            self.drain();
        }
    }

    fn act(&mut self, verb: &str, rest: &str) {
        match verb {
            "<" | "<+" => self.receive(&Line::parse(rest)),
            "write" => {
                let bytes = Bytes::from(vec![7; self.parse(rest)]);
                self.flow().write(bytes);
            }
            "write-more" => {
                let bytes = Bytes::from(vec![7; self.parse(rest)]);
                self.flow().write_more(bytes);
            }
            "cork" => self.flow().set_cork(rest == "on"),
            "nodelay" => self.flow().set_nodelay(rest == "on"),
            "user-timeout" => {
                let secs = self.parse(rest);
                self.flow().set_user_timeout(Duration::from_secs(secs));
            }
            "read" => self.read(self.parse(rest)),
            "close" => self.flow().close(),
            "abort" => {
                let reason = (!rest.is_empty())
                    .then_some(MpTcpRst { transient: false, reason: ResetReason::Unspecified });
                self.flow().abort(reason);
            }
            "request-ack" => self.flow().request_ack(),
            "ask-alive" => self.flow().ask_alive(),
            "replaceable" | "irreplaceable" => {
                let syn = self.segment(&Line::parse(rest));
                let wait = self.flow().time_wait();
                let replaceable = wait.is_some_and(|wait| wait.may_be_replaced(&syn));
                if replaceable != (verb == "replaceable") {
                    self.fail("the other is true");
                }
            }
            "answer" => {
                let answer = self.flow().take_fast_open_answer();
                let answer = answer.unwrap_or_else(|| self.fail("there is none"));
                let cookie = answer.cookie.as_deref().unwrap_or_default();
                let seen = format!("{} {} {}", answer.sent, answer.taken, hex(cookie));
                if seen.trim() != rest {
                    self.fail(&format!("it is {seen}"));
                }
            }
            "expect" => self.expect(rest),
            "never" => {
                if self.events.iter().any(|e| format!("{e:?}") == rest) {
                    self.fail("that event came");
                }
            }
            "state" => {
                let state = format!("{:?}", self.flow().state());
                if !state.starts_with(rest) {
                    self.fail(&format!("the state is {state}"));
                }
            }
            "check" => self.check(rest),
            "icmp" => self.icmp(rest),
            "" => {}
            verb => self.fail(&format!("no verb {verb:?}")),
        }
    }

    pub(super) fn parse<T: FromStr>(&self, text: &str) -> T {
        text.parse().unwrap_or_else(|_| self.fail(&format!("{text:?} is not a number")))
    }

    /// Moves time to `to`, stopping wherever a timer is due.
    fn advance(&mut self, to: Instant) {
        if to < self.now {
            self.fail("time does not run backwards");
        }
        for _ in 0..10_000 {
            let Some(due) = self.flow.as_ref().and_then(Flow::poll_timeout) else { break };
            if due > to {
                break;
            }
            self.now = self.now.max(due);
            let now = self.now;
            self.flow().handle_timeout(now, &mut Plain);
            self.drain();
        }
        let due = self.flow.as_ref().and_then(Flow::poll_timeout);
        if due.is_some_and(|due| due <= to) {
            self.fail("a timer stays due");
        }
        self.now = to;
    }

    fn drain(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        for n in 0.. {
            assert!(n < 10_000, "it never stops sending");
            let Some(Transmit { segment, gso_mss, ecn, .. }) =
                flow.poll_transmit(self.now, &mut Plain)
            else {
                break;
            };
            self.echo = segment.options.timestamps.map_or(self.echo, |t| t.value);
            for packet in packets(*segment, gso_mss) {
                self.out.push_back((self.now, Sent { segment: packet, ecn }));
            }
        }
        while let Some(event) = flow.poll_event() {
            self.events.push_back(event);
        }
        #[cfg(test)]
        flow.check_invariants();
    }

    /// Fails if something was sent that no line listed.
    fn silence(&self) {
        if let Some((at, sent)) = self.out.front() {
            let (own, peer) = (self.script.isn, self.script.peer_isn);
            let line = Line { ack: Some(0), win: Some(0), ..Line::default() };
            let seen = line.show(sent, own, peer, 0);
            self.fail(&format!("unlisted, at {:?}: {seen:?}", at.since(EPOCH)));
        }
    }

    fn sent(&mut self, text: &str) {
        let expected = Line::parse(text);
        let Some((at, sent)) = self.out.pop_front() else { self.fail("nothing was sent") };
        let shift = self.flow().agreed.recv_scale;
        let seen = expected.show(&sent, self.script.isn, self.script.peer_isn, shift);
        if seen != expected {
            self.fail(&format!("sent {seen:?}"));
        }
        if at != self.now {
            self.fail(&format!("sent at {:?}", at.since(EPOCH)));
        }
    }

    fn receive(&mut self, line: &Line) {
        let segment = self.segment(line);
        let end = segment.seq.0.wrapping_sub(self.script.peer_isn.0) + segment.seq_len();
        self.peer_nxt = self.peer_nxt.max(end);
        let now = self.now;
        if let Start::Resuming = self.script.start
            && self.flow.is_none()
        {
            self.resume(segment);
        } else if self.flow.is_none() {
            let opening = self.script.opening();
            self.flow = Some(if self.script.trusting {
                Flow::accept_early(now, opening, segment)
            } else {
                Flow::accept(now, opening, &segment)
            });
        } else {
            let received = Received { path: PATH, segment: Box::new(segment), ecn: line.ecn };
            self.flow().handle_segment(now, received, &mut Plain);
        }
    }

    fn resume(&mut self, ack: Segment) {
        let opening = self.script.opening();
        let config = &self.script.config;
        let offer = SynOffer {
            isn: self.script.peer_isn,
            mss: self.script.mss.0,
            window_scale: config.window_scale.then_some(2),
            sack_permitted: config.sack,
            timestamps: config.timestamps,
        };
        let ack = setup::received(ack);
        self.flow = Flow::resume(self.now, opening, &offer, ack, &mut Plain);
        if self.flow.is_none() {
            self.events.push_back(Event::Closed(CloseReason::Refused));
        }
    }

    fn segment(&mut self, line: &Line) -> Segment {
        let range = line.range.clone().unwrap_or(self.peer_nxt..self.peer_nxt);
        self.ack = line.ack.unwrap_or(self.ack);
        self.win = line.win.unwrap_or(self.win);
        let syn = line.has('S');
        let shift = self.flow.as_ref().map_or(0, |f| f.agreed.send_scale);
        let (own, peer) = (self.script.isn, self.script.peer_isn);
        let sack = line.sack.iter();
        let options = Options {
            mss: line.mss.filter(|_| syn),
            window_scale: line.wscale,
            sack_permitted: line.sack_ok,
            timestamps: self.peer_timestamps(line),
            sack: sack.map(|r| own.wrapping_add(r.start)..own.wrapping_add(r.end)).collect(),
            fast_open: line.cookie.clone().map(Cookie::from_vec),
            user_timeout: line.uto.map(|value| UserTimeout { minutes: false, value }),
            ..Options::default()
        };
        let window = self.win >> if syn { 0 } else { shift };
        let payload = Bytes::from(vec![9; usize32(range.end.wrapping_sub(range.start))]);
        Segment {
            src_port: address(2).port(),
            dst_port: address(1).port(),
            seq: peer.wrapping_add(range.start),
            ack: own.wrapping_add(self.ack),
            flags: line.wire_flags(),
            window: u16::try_from(window).expect("a window that fits"),
            urgent: 0,
            options,
            payload: payload.into(),
        }
    }

    /// Where nothing is said, the peer's clock is the script's, and it echoes what came last.
    fn peer_timestamps(&self, line: &Line) -> Option<Timestamps> {
        let agreed = self.flow.as_ref().is_some_and(|f| f.agreed.timestamps);
        let clock = u32::try_from(self.now.since(EPOCH).as_millis()).expect("scripts are short");
        match line.ts {
            Some(Some((value, echo))) => Some(Timestamps { value, echo }),
            Some(None) => Some(Timestamps { value: clock, echo: self.echo }),
            None if agreed && !line.has('S') => Some(Timestamps { value: clock, echo: self.echo }),
            None => None,
        }
    }

    fn read(&mut self, bytes: u64) {
        let mut left = bytes;
        while left > 0 {
            let Some((_, payload)) = self.flow().read() else {
                self.fail(&format!("{left} bytes are not there"));
            };
            left = left.checked_sub(len64(payload.len())).unwrap_or_else(|| {
                self.fail("what is read comes in the pieces that were received")
            });
        }
    }

    fn expect(&mut self, name: &str) {
        while let Some(event) = self.events.pop_front() {
            if format!("{event:?}") == name {
                return;
            }
        }
        self.fail("that event did not come");
    }

    fn icmp(&mut self, rest: &str) {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let kind = match words.first() {
            Some(&"unreachable") => IcmpKind::Unreachable,
            Some(&"refused") => IcmpKind::Refused,
            Some(mtu) => IcmpKind::PacketTooBig { mtu: self.parse(mtu) },
            None => self.fail("which error?"),
        };
        let seq: u32 = self.parse(words.get(1).copied().unwrap_or_default());
        let (local, remote): (SocketAddr, SocketAddr) = (address(1), address(2));
        let seq = self.script.isn.wrapping_add(seq);
        let now = self.now;
        self.flow().handle_icmp(now, &IcmpError { kind, local, remote, seq });
    }
}

/// `40ms`, `250us` or `3s`.
fn time(word: &str) -> Option<Duration> {
    if let Some(n) = word.strip_suffix("ms") {
        return n.parse().ok().map(Duration::from_millis);
    }
    if let Some(n) = word.strip_suffix("us") {
        return n.parse().ok().map(Duration::from_micros);
    }
    word.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}
