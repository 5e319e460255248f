//! What a script starts from: settings of the flow and of its peer.

use alloc::boxed::Box;
use core::time::Duration;

use manypath_base::{Instant, Mss, SeqNum};
use manypath_cc::Controller;

use super::run::Run;
use super::setup;
use super::{FixedWindow, ms};
use crate::{Config, EcnMode, FastOpen, Opening};

/// Time zero of every script: late enough that something may have happened before.
pub(super) const EPOCH: Instant = Instant::from_millis(1_000_000);

/// Where the flow stands at time zero.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    Connecting,
    Accepting,
    Resuming,
    Established,
}

/// A flow, and the segments that it must and must not send.
///
/// Lines are `[time] what`, in the order of time: `> segment` must come out next, `< segment`
/// comes in, `<+ segment` comes in with the next, before output is asked for, and `write n`,
/// `write-more n`, `read n`, `close`, `abort`, `cork on`, `nodelay on`, `user-timeout secs`,
/// `request-ack`, `ask-alive`,
/// `replaceable segment` or `irreplaceable segment` (in TIME-WAIT), `answer sent taken cookie` (of Fast Open), `expect event`, `never event`, `state name`, `check quantity value`, `icmp kind seq` do what they say. Timers
/// run exactly when they are due. Any segment that no line lists fails the script.
#[derive(Debug)]
pub struct Script {
    pub(super) start: Start,
    pub(super) config: Config,
    pub(super) mss: Mss,
    pub(super) cwnd: u32,
    pub(super) rtt: Duration,
    pub(super) window: u16,
    pub(super) isn: SeqNum,
    pub(super) peer_isn: SeqNum,
    pub(super) controller: Option<Box<dyn Controller>>,
    pub(super) max_rto: Option<Duration>,
    pub(super) fast_open: FastOpen,
    /// Bytes written before the SYN goes out.
    pub(super) early: usize,
    /// The cookie of the SYN counts as valid.
    pub(super) trusting: bool,
}

impl Script {
    fn new(start: Start) -> Self {
        let config = Config {
            timestamps: false,
            window_scale: false,
            recv_buffer: 10_000,
            recv_buffer_max: 10_000,
            max_burst: 1,
            pacing: false,
            ..Config::default()
        };
        Self {
            start,
            config,
            mss: Mss(100),
            cwnd: 10_000,
            rtt: ms(40),
            window: 10_000,
            isn: SeqNum(5_000),
            peer_isn: SeqNum(7_000),
            controller: None,
            max_rto: None,
            fast_open: FastOpen::Off,
            early: 0,
            trusting: false,
        }
    }

    /// A flow whose SYN waits to be sent.
    #[must_use]
    pub fn connecting() -> Self {
        Self::new(Start::Connecting)
    }

    /// A flow that the script's first segment, a SYN, makes.
    #[must_use]
    pub fn accepting() -> Self {
        Self::new(Start::Accepting)
    }

    /// A flow that the script's first segment makes: the acknowledgment of a SYN/ACK with a cookie,
    /// which tells the script's settings, and a window scale of 2 if there is any.
    #[must_use]
    pub fn resuming() -> Self {
        Self::new(Start::Resuming)
    }

    /// A flow after its handshake, which gave a first round-trip time; the quick start of
    /// acknowledgments is over.
    #[must_use]
    pub fn established() -> Self {
        Self::new(Start::Established)
    }

    /// Payload of a packet; 100 bytes if not said.
    #[must_use]
    pub fn mss(mut self, mss: u16) -> Self {
        self.mss = Mss(mss);
        self
    }

    /// Congestion window in bytes; 10,000 if not said.
    #[must_use]
    pub fn cwnd(mut self, cwnd: u32) -> Self {
        self.cwnd = cwnd;
        self
    }

    /// A congestion controller in place of the fixed window.
    #[must_use]
    pub fn controller(mut self, controller: Box<dyn Controller>) -> Self {
        self.controller = Some(controller);
        self
    }

    /// Round-trip time of the handshake; 40 ms if not said.
    #[must_use]
    pub fn rtt(mut self, rtt: Duration) -> Self {
        self.rtt = rtt;
        self
    }

    /// The window that the peer's SYN/ACK offers; 10,000 bytes if not said.
    #[must_use]
    pub fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    /// The receive buffer, which does not grow.
    #[must_use]
    pub fn recv_buffer(mut self, bytes: u32) -> Self {
        (self.config.recv_buffer, self.config.recv_buffer_max) = (bytes, bytes);
        self
    }

    /// SACK, which scripts have if nothing is said.
    #[must_use]
    pub fn sack(mut self, on: bool) -> Self {
        self.config.sack = on;
        self
    }

    /// Timestamps, which scripts do not have if nothing is said. TSval is the script's time in
    /// milliseconds.
    #[must_use]
    pub fn timestamps(mut self) -> Self {
        self.config.timestamps = true;
        self
    }

    /// Window scaling, which scripts do not have if nothing is said.
    #[must_use]
    pub fn window_scale(mut self) -> Self {
        self.config.window_scale = true;
        self
    }

    /// Nagle's algorithm, which scripts have if nothing is said.
    #[must_use]
    pub fn nagle(mut self, on: bool) -> Self {
        self.config.nagle = on;
        self
    }

    /// Explicit congestion notification; a script's flow accepts it if nothing is said.
    #[must_use]
    pub fn ecn(mut self, mode: EcnMode) -> Self {
        self.config.ecn = mode;
        self
    }

    /// The initial sequence numbers of both sides.
    #[must_use]
    pub fn isn(mut self, own: u32, peer: u32) -> Self {
        (self.isn, self.peer_isn) = (SeqNum(own), SeqNum(peer));
        self
    }

    /// Caps the backed-off retransmission timeout.
    #[must_use]
    pub fn max_rto(mut self, max: Duration) -> Self {
        self.max_rto = Some(max);
        self
    }

    /// Fast Open, and bytes that are written before the SYN goes out.
    #[must_use]
    pub fn fast_open(mut self, fast_open: FastOpen, early: usize) -> Self {
        (self.fast_open, self.early) = (fast_open, early);
        self
    }

    /// The SYN that comes has a valid cookie.
    #[must_use]
    pub fn trusting(mut self) -> Self {
        self.trusting = true;
        self
    }

    /// Changes any other setting.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Runs the script.
    ///
    /// # Panics
    /// At the first line that does not hold.
    pub fn run(self, text: &str) {
        Run::new(self).all(text);
    }

    pub(super) fn opening(&mut self) -> Opening {
        let fixed = Box::new(FixedWindow::new(self.cwnd, self.mss));
        let controller = self.controller.take().unwrap_or(fixed);
        let mut opening = setup::opening((1, 2), self.isn, self.config, self.mss, controller);
        let millis = u32::try_from(EPOCH.as_nanos() / 1_000_000).expect("it is small");
        opening.fast_open = self.fast_open.clone();
        opening.timestamp_offset = 0u32.wrapping_sub(millis);
        opening
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "unlisted")]
    fn a_segment_that_is_not_listed_fails_the_script() {
        Script::established().run("0ms write 100\n1ms write 0");
    }

    #[test]
    #[should_panic(expected = "sent at")]
    fn a_segment_at_another_time_fails_the_script() {
        Script::established().run("0ms write 100\n1ms > 1:101");
    }
}
