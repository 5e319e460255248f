//! `NewReno`: the standard congestion control of TCP (RFC 5681, RFC 6582).
//!
//! **Owns** one segment more a round trip, half of it after a loss. It is the yardstick of the others,
//! and has a standard slow start: where losses are random, leaving it before one (RFC 9406) costs a
//! long path a tenth of what common systems' NewReno carries in its first ten seconds. **Leaves out** which segments
//! recovery sends: RFC 6582's partial acknowledgments are the sender's part, and it reports one
//! signal an episode.

use crate::{AckSample, Config, FlowView, Window, WindowBased};

/// Standard TCP congestion control.
#[derive(Clone, Debug)]
pub struct NewReno {
    window: Window,
    /// Bytes acknowledged since the window last grew.
    acked: u32,
}

impl NewReno {
    /// A controller in slow start.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { window: Window::standard(config), acked: 0 }
    }
}

impl WindowBased for NewReno {
    const NAME: &'static str = "reno";

    fn window(&self) -> &Window {
        &self.window
    }

    fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    /// Counts bytes: once a window's worth is acknowledged, the window is a segment larger
    /// (RFC 5681 §3.1, the RECOMMENDED way), at most once an acknowledgment. Whole segments of it
    /// are what can be in flight, and so what is waited for: the rest would cost a window of 3.5
    /// segments a sixth of its growth.
    fn avoid(&mut self, ack: &AckSample, _: &[FlowView]) {
        let (usable, mss) = (self.window.usable(), self.window.mss().bytes());
        self.acked = self.acked.saturating_add(ack.acked);
        if self.acked >= usable {
            self.acked = (self.acked - usable).min(usable);
            self.window.grow(mss);
        }
    }

    fn forget(&mut self) {
        self.acked = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ack;
    use crate::{Controller, Signal};
    use manypath_base::{Instant, Mss};

    /// A controller in congestion avoidance with a window of 20 segments of 1000 bytes.
    fn avoiding() -> NewReno {
        let mut reno = NewReno::new(Config { mss: Mss(1000), initial_window: 40_000 });
        reno.on_signal(Instant::ZERO, Signal::Loss, 40_000, &[]);
        reno
    }

    #[test]
    fn a_round_trip_adds_one_segment_however_it_is_acknowledged() {
        for step in [100, 1000, 2000, 20_000] {
            let mut reno = avoiding();
            for round in 0..10 {
                let cwnd = 20_000 + round * 1000;
                assert_eq!(reno.cwnd(), cwnd, "acknowledged by {step}");
                let mut left = cwnd;
                while left > 0 {
                    reno.on_ack(&ack(step.min(left), 100), &[]);
                    left -= step.min(left);
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_segment_is_not_waited_for() {
        let mut reno = avoiding();
        reno.on_signal(Instant::ZERO, Signal::Loss, 7_000, &[]);
        assert_eq!(reno.cwnd(), 3_500);
        for (packets, cwnd) in [(3, 4_500), (4, 5_500)] {
            for _ in 0..packets {
                assert!(reno.cwnd() < cwnd);
                reno.on_ack(&ack(1000, 100), &[]);
            }
            assert_eq!(reno.cwnd(), cwnd);
        }
    }

    #[test]
    fn a_window_that_does_not_limit_does_not_grow() {
        let mut reno = avoiding();
        for _ in 0..100 {
            reno.on_ack(&AckSample { cwnd_limited: false, ..ack(20_000, 100) }, &[]);
        }
        assert_eq!(reno.cwnd(), 20_000);
    }

    #[test]
    fn slow_start_doubles_and_stops_at_the_threshold() {
        let mut reno = avoiding();
        reno.on_signal(Instant::ZERO, Signal::Timeout, 20_000, &[]);
        for expected in [2000, 4000, 8000, 10_000, 11_000] {
            let cwnd = reno.cwnd();
            for _ in 0..cwnd / 1000 {
                reno.on_ack(&ack(1000, 100), &[]);
            }
            assert_eq!(reno.cwnd(), expected);
        }
    }

    #[test]
    fn idleness_restarts_from_the_initial_window() {
        let mut reno = NewReno::new(Config { mss: Mss(1000), initial_window: 10_000 });
        for _ in 0..90 {
            reno.on_ack(&ack(1000, 100), &[]);
        }
        reno.on_signal(Instant::ZERO, Signal::Loss, 100_000, &[]);
        reno.on_idle();
        assert_eq!((reno.cwnd(), reno.ssthresh()), (10_000, 50_000));
    }
}
