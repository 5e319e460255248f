//! What a path needs while something is under way, and not while it rests.
//!
//! **Invariant**: a path without it does as one does that has just begun to send. **Leaves out** what
//! is known of the path itself.

use alloc::boxed::Box;
use core::ops::{Deref, DerefMut};

use manypath_base::Instant;

use super::{Frto, Path, Rack, SendOrder, TailProbe, Tally};

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) rack: Rack,
    pub(crate) tally: Tally,
    /// What is in flight, in the order of sending.
    pub(crate) order: SendOrder,
    /// Finds out whether the timeout of the present episode was needless.
    pub(crate) frto: Option<Frto>,
    /// When the next piece that was passed over counts as lost.
    pub(crate) reorder_at: Option<Instant>,
    pub(crate) tail_probe: Option<TailProbe>,
    /// New data waits until then.
    pub(super) paced_until: Instant,
    /// Bytes that may leave before the pace counts.
    pub(super) unpaced: u32,
}

impl Work {
    const NEW: Self = Self {
        rack: Rack::NEW,
        tally: Tally::NEW,
        order: SendOrder::NEW,
        frto: None,
        reorder_at: None,
        tail_probe: None,
        paced_until: Instant::ZERO,
        unpaced: 0,
    };

    /// Whether it says nothing that will count, where nothing is in flight.
    fn is_spare(&self, now: Instant) -> bool {
        let Self { rack, frto, tail_probe, paced_until, .. } = self;
        rack.is_spare() && frto.is_none() && tail_probe.is_none() && *paced_until <= now
    }
}

/// In a box that comes with the first thing to note, and is given back where the flow rests.
#[derive(Debug, Default)]
pub(crate) struct Working(Option<Box<Work>>);

impl Deref for Working {
    type Target = Work;

    fn deref(&self) -> &Work {
        static AT_REST: Work = Work::NEW;
        self.0.as_deref().unwrap_or(&AT_REST)
    }
}

impl DerefMut for Working {
    fn deref_mut(&mut self) -> &mut Work {
        self.0.get_or_insert_with(|| Box::new(Work::NEW))
    }
}

impl Path {
    /// Gives back memory that it has no use for.
    pub(crate) fn release_spare(&mut self, now: Instant) {
        if !self.is_outstanding() && self.work.is_spare(now) {
            self.work = Working::default();
        } else {
            self.work.order.release_spare();
        }
    }
}
