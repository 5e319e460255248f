//! Black holes: paths that drop large packets and say nothing (RFC 2923 §2.1), found at TCP's own
//! level (RFC 4821, RFC 8899 §4.3), and the way back up.
//!
//! Timeouts of a large packet make a smaller one a trial. A trial that gets through proves nothing
//! yet, since the path may just have been dead: the segment size is lowered once a large packet is
//! lost again after it.
//!
//! An ICMP error counts at once only where nothing so large has come through; else the path has to
//! show by its silence that the error is true (RFC 5927 §7.2).

use alloc::boxed::Box;
use core::time::Duration;

use manypath_base::{Instant, Mss, SubflowOffset};

use super::Path;
use crate::scoreboard::{Scoreboard, Status};

/// Timeouts in a row of large packets before a smaller one is tried: one may be bad luck.
const SUSPICIOUS: u8 = 2;
/// When a larger size is tried again (RFC 1191 §6.3, RFC 8201 §4: ten minutes).
const RAISE: Duration = Duration::from_secs(600);
/// Segment sizes of common MTUs, downwards: Ethernet, IPv6's minimum, 1024, and the smallest that
/// is believed in (see `icmp.rs`).
const STEPS_V4: [u16; 4] = [1460, 1240, 984, MIN_MSS_V4];
const STEPS_V6: [u16; 2] = [1440, MIN_MSS_V6];

/// The smallest MSS that is brought about: an IPv4 MTU of 552 bytes, as common systems have it,
/// against forged errors that would cut packets to nothing (RFC 1191 §3 allows 68).
const MIN_MSS_V4: u16 = 512;
/// IPv6 guarantees 1280 bytes (RFC 8200 §5).
const MIN_MSS_V6: u16 = 1220;

/// The smallest MSS that an error message or a black hole brings about.
pub(crate) const fn min_mss(v6: bool) -> u16 {
    if v6 { MIN_MSS_V6 } else { MIN_MSS_V4 }
}

/// What is known of the largest packet that a path carries.
#[derive(Clone, Debug)]
pub(crate) struct Mtu {
    v6: bool,
    /// What the interface and the peer allow.
    ceiling: Mss,
    /// Timeouts of large packets since something large came through.
    timeouts: u8,
    /// Payload of the smallest packet that timed out.
    suspect: u32,
    /// What the first lost packet is cut to.
    trial: Option<Mss>,
    /// A trial that came through.
    passed: Option<Mss>,
    raise_at: Option<Instant>,
    /// Payload of the largest packet that came through, options included: the `maxsizeacked` of
    /// RFC 5927 §7.2.
    proven: u32,
    /// What an error that is not believed yet said, and of which packet. In a box, since there hardly
    /// ever is one.
    claim: Option<Box<(SubflowOffset, Mss)>>,
}

/// What becomes of an error that says that a packet was too big.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooBig {
    /// Packets are to be as small as that.
    Believed,
    /// It contradicts what is known, or waits for a timeout to confirm it.
    Doubted,
}

impl Mtu {
    pub(crate) const fn new(ceiling: Mss, v6: bool) -> Self {
        Self {
            v6,
            ceiling,
            timeouts: 0,
            suspect: 0,
            trial: None,
            passed: None,
            raise_at: None,
            proven: 0,
            claim: None,
        }
    }

    fn step_below(&self, mss: Mss) -> Mss {
        let steps: &[u16] = if self.v6 { &STEPS_V6 } else { &STEPS_V4 };
        let below = steps.iter().find(|&&step| step < mss.0);
        Mss(below.copied().unwrap_or_else(|| mss.0.min(min_mss(self.v6))))
    }

    fn forget(&mut self) {
        *self = Self { raise_at: self.raise_at, ..Self::new(self.ceiling, self.v6) };
    }
}

impl Path {
    /// The MSS that the interface and the peer allow.
    pub(crate) fn agreed_mss(&self) -> Mss {
        self.mtu.ceiling
    }

    /// The peer's MSS is known.
    pub(crate) fn agree_on_mss(&mut self, mss: Mss) {
        self.set_mss(mss);
        self.mtu.ceiling = self.mss;
    }

    /// Packets are to be smaller from now on, for some time.
    pub(crate) fn lower_mss(&mut self, mss: Mss, now: Instant) {
        self.set_mss(mss);
        self.mtu.forget();
        self.mtu.raise_at = Some(now + RAISE);
    }

    /// An error says that the packet which began at `at`, with `left` bytes of its piece, was larger
    /// than `mss` allows.
    ///
    /// Only a packet that was so large can have caused it. Where packets larger than it claims came
    /// through, it waits: what it is about must not be delivered by the time that the path is found
    /// silent (RFC 5927 §7.2). **Choice:** of several such errors the first, until it is settled, so
    /// that none can displace another.
    pub(crate) fn on_too_big(&mut self, at: SubflowOffset, left: u64, mss: Mss) -> TooBig {
        if mss >= self.mss || left <= self.payload_beside_options(mss).into() {
            return TooBig::Doubted;
        }
        if self.mtu.proven <= mss.bytes() {
            return TooBig::Believed;
        }
        self.mtu.claim.get_or_insert_with(|| Box::new((at, mss)));
        TooBig::Doubted
    }

    /// Forgets a doubted error whose packet was delivered after all.
    pub(crate) fn settle_claim(&mut self, board: &Scoreboard) {
        let missing = |at| {
            board
                .at(at)
                .is_some_and(|piece| piece.path == self.id && piece.status != Status::Sacked)
        };
        self.mtu.claim.take_if(|claim| !missing(claim.0));
    }

    /// The path is silent: a doubted error whose packet is still missing was true.
    pub(crate) fn confirm_claim(&mut self, board: &Scoreboard, now: Instant) {
        self.settle_claim(board);
        if let Some((_, mss)) = self.mtu.claim.take().map(|claim| *claim) {
            self.lower_mss(mss, now);
        }
    }

    /// The path takes what is short and loses the rest, as far as can be seen: packets become smaller, by
    /// one step (RFC 4821 §7.7 has a full stop count as a sign of that). What came through before says nothing
    /// against it, since no error that somebody may have forged is believed here.
    pub(crate) fn doubt_size(&mut self, now: Instant) {
        let smaller = self.mtu.step_below(self.mss);
        if self.mss == self.mtu.ceiling && smaller < self.mss {
            self.lower_mss(smaller, now);
        }
    }

    /// When its packets may be larger again, if that is not now.
    pub(crate) fn lowered_until(&self, now: Instant) -> Option<Instant> {
        self.mtu.raise_at.filter(|&at| at > now)
    }

    /// The time of small packets is over: what caused them may be.
    pub(crate) fn raise_mss(&mut self, now: Instant) {
        if self.mtu.raise_at.is_some_and(|at| at <= now) {
            self.mtu.raise_at = None;
            self.mtu.forget();
            let packet = self.payload_beside_options(self.mtu.ceiling);
            self.set_mss(self.mtu.ceiling);
            self.packet = packet;
        }
    }

    /// Payload of a packet with this MSS and as many options as were last sent.
    fn payload_beside_options(&self, mss: Mss) -> u32 {
        let options = self.mss.bytes().saturating_sub(self.packet);
        mss.bytes().saturating_sub(options).max(1)
    }

    /// The retransmission timer expired, and `bytes` from the first lost packet on.
    pub(crate) fn on_large_timeout(&mut self, bytes: u32, now: Instant) {
        let size = bytes.min(self.packet);
        if let Some(passed) = self.mtu.passed {
            if size > self.payload_beside_options(passed) {
                self.lower_mss(passed, now);
            }
            return;
        }
        if self.mtu.trial.is_none()
            && size <= self.payload_beside_options(Mss(min_mss(self.mtu.v6)))
        {
            return;
        }
        let first = self.mtu.timeouts == 0;
        self.mtu.suspect = if first { size } else { self.mtu.suspect.min(size) };
        self.mtu.timeouts = self.mtu.timeouts.saturating_add(1);
        if self.mtu.timeouts >= SUSPICIOUS {
            let mut trial = self.mtu.step_below(self.mtu.trial.unwrap_or(self.mss));
            while self.payload_beside_options(trial) >= size && trial.0 > min_mss(self.mtu.v6) {
                trial = self.mtu.step_below(trial);
            }
            self.mtu.trial = Some(trial);
        }
    }

    /// A piece of `bytes` came through.
    pub(super) fn note_size(&mut self, bytes: u32) {
        let options = self.mss.bytes().saturating_sub(self.packet);
        self.mtu.proven = self.mtu.proven.max(bytes.min(self.packet) + options);
        if self.mtu.suspect == 0 {
            return;
        }
        if bytes.min(self.packet) >= self.mtu.suspect {
            self.mtu.forget();
        } else if let Some(trial) = self.mtu.trial.take() {
            self.mtu.passed = Some(trial);
            self.mtu.timeouts = 0;
        }
    }

    /// Payload that a retransmission may have, where that is under trial.
    pub(crate) fn trial_limit(&self) -> u32 {
        self.mtu.trial.map_or(u32::MAX, |trial| self.payload_beside_options(trial))
    }
}
