//! A controller whose window stays where a test puts it.

use manypath_base::{Instant, Mss};
use manypath_cc::{AckSample, Controller, FlowView, Signal};

/// A window of fixed size: a loss halves the threshold only, a timeout leaves one segment until
/// the next acknowledgment.
#[derive(Clone, Copy, Debug)]
pub struct FixedWindow {
    window: u32,
    cwnd: u32,
    ssthresh: u32,
    mss: Mss,
}

impl FixedWindow {
    /// A window of `window` bytes.
    #[must_use]
    pub const fn new(window: u32, mss: Mss) -> Self {
        Self { window, cwnd: window, ssthresh: u32::MAX, mss }
    }
}

impl Controller for FixedWindow {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn on_ack(&mut self, _: &AckSample, _: &[FlowView]) {
        self.cwnd = self.window;
    }

    fn on_signal(&mut self, _: Instant, signal: Signal, in_flight: u32, _: &[FlowView]) {
        self.ssthresh = (in_flight / 2).max(2 * self.mss.bytes());
        if signal == Signal::Timeout {
            self.cwnd = self.mss.bytes();
        }
    }

    fn on_spurious(&mut self) {
        (self.cwnd, self.ssthresh) = (self.window, u32::MAX);
    }

    fn on_idle(&mut self) {}

    fn on_lossy_handshake(&mut self) {
        self.cwnd = self.mss.bytes();
    }

    fn set_mss(&mut self, mss: Mss) {
        self.mss = mss;
        self.cwnd = self.cwnd.max(mss.bytes());
    }

    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn penalise(&mut self) {}
}
