//! What every controller around a [`Window`] does alike, so that an algorithm is its growth law.
//!
//! **Owns** the walk through slow start to the algorithm's own growth, and the answers of RFC 5681
//! to all other events. **Leaves out** algorithms with state that an undo must restore
//! ([`Cubic`](crate::Cubic)) and those without a window (BBR): they are [`Controller`]s directly.

use core::fmt;

use manypath_base::{Instant, Mss};

use crate::{AckSample, Controller, Decrease, FlowView, Phase, Reduced, Signal, Window};

/// An algorithm around a [`Window`]; it is a [`Controller`] by that.
pub trait WindowBased: fmt::Debug + Send {
    /// The name users select it by, as in `--cc`.
    const NAME: &'static str;

    /// The window.
    fn window(&self) -> &Window;

    /// The window, to be changed.
    fn window_mut(&mut self) -> &mut Window;

    /// Growth for an acknowledgment in congestion avoidance, the window being the limit.
    fn avoid(&mut self, ack: &AckSample, flows: &[FlowView]);

    /// What is kept after congestion.
    fn keep(&self, _flows: &[FlowView]) -> Decrease {
        Decrease::HALF
    }

    /// Any acknowledgment of new data, before the window grows for it.
    fn observe(&mut self, _ack: &AckSample) {}

    /// The window was moved by something other than growth: what was measured on the way to it is
    /// void.
    fn forget(&mut self) {}
}

impl<T: WindowBased> Controller for T {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn on_ack(&mut self, ack: &AckSample, flows: &[FlowView]) {
        self.observe(ack);
        if self.window_mut().slow_start(ack) == Phase::Avoidance && ack.cwnd_limited {
            self.avoid(ack, flows);
        }
    }

    fn on_signal(&mut self, _: Instant, signal: Signal, in_flight: u32, flows: &[FlowView]) {
        let keep = self.keep(flows);
        match self.window_mut().reduce(signal, in_flight, keep) {
            Reduced::Anew | Reduced::Again => self.forget(),
        }
    }

    fn on_spurious(&mut self) {
        self.window_mut().undo();
    }

    fn on_idle(&mut self) {
        self.window_mut().restart();
        self.forget();
    }

    fn on_lossy_handshake(&mut self) {
        self.window_mut().begin_with_one();
    }

    fn set_mss(&mut self, mss: Mss) {
        self.window_mut().set_mss(mss);
    }

    fn cwnd(&self) -> u32 {
        self.window().cwnd()
    }

    fn ssthresh(&self) -> u32 {
        self.window().ssthresh()
    }

    fn penalise(&mut self) {
        self.window_mut().halve();
        self.forget();
    }
}
