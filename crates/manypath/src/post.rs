//! What the shards of an endpoint have in common: their alarms, what they hand over to each other, and
//! their end.
//!
//! **Invariants**: what one shard hands over to another arrives in order; a shard that is broken stops
//! all; none ends before all have nothing left to do, since each may have to hand packets on. **Leaves
//! out** what is handed over, and to which: `manypath_mptcp` knows.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use manypath_mptcp::Handover;
use parking_lot::Mutex;

use crate::alarm::Alarm;

/// Packets that may wait for a shard, as in the queue of a device.
const MOST: usize = 1024;

/// One for all shards of an endpoint.
pub(crate) struct Post {
    boxes: Box<[Mailbox]>,
    /// Shards that have nothing left to do.
    done: AtomicUsize,
    stopped: AtomicBool,
}

/// Of one shard.
struct Mailbox {
    alarm: Alarm,
    mail: Mutex<Vec<Handover>>,
    /// Packets that found no room.
    lost: AtomicU64,
}

impl Post {
    /// For as many shards as there are alarms.
    pub(crate) fn new(alarms: impl IntoIterator<Item = Alarm>) -> Self {
        let mailbox = |alarm| Mailbox { alarm, mail: Mutex::default(), lost: AtomicU64::new(0) };
        Self {
            boxes: alarms.into_iter().map(mailbox).collect(),
            done: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Makes the driver of a shard look.
    pub(crate) fn ring(&self, shard: usize) {
        self.boxes[shard].alarm.ring();
    }

    fn ring_all(&self) {
        self.boxes.iter().for_each(|mailbox| mailbox.alarm.ring());
    }

    /// Puts something in a shard's box; a packet that finds it full is lost.
    pub(crate) fn hand_over(&self, to: usize, handover: Handover) {
        let mut mail = self.boxes[to].mail.lock();
        if handover.is_packet() && mail.len() >= MOST {
            self.boxes[to].lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        mail.push(handover);
        // Who finds something there has been rung for.
        if mail.len() == 1 {
            drop(mail);
            self.ring(to);
        }
    }

    /// Takes what waits in a shard's box, in exchange for an empty one.
    pub(crate) fn take(&self, shard: usize, mail: &mut Vec<Handover>) {
        if self.boxes.len() > 1 {
            std::mem::swap(&mut *self.boxes[shard].mail.lock(), mail);
        }
    }

    /// Packets that found no room in a shard's box.
    pub(crate) fn lost(&self, shard: usize) -> u64 {
        self.boxes[shard].lost.load(Ordering::Relaxed)
    }

    /// A shard has nothing left to do, or something again.
    pub(crate) fn note_done(&self, done: bool) {
        if done {
            self.done.fetch_add(1, Ordering::AcqRel);
        } else {
            self.done.fetch_sub(1, Ordering::AcqRel);
        }
        if self.is_over() {
            self.ring_all();
        }
    }

    /// Whether no shard has anything left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.boxes.len()
    }

    /// Stops all shards.
    pub(crate) fn stop(&self) {
        if !self.stopped.swap(true, Ordering::AcqRel) {
            self.ring_all();
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}
