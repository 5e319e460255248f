//! The order of events.
//!
//! **Invariants**: events come out by time, and those of one moment in the order they went in.
//! **Leaves out** taking events back: who gets one asks whether it is still due.
//!
//! A heap with four children a node: half as deep as a binary one, and the four lie next to each
//! other in memory. A link has one event in it at a time, so it stays small.

use manypath_base::Instant;

#[derive(Clone, Copy, Debug)]
struct Event<W> {
    at: u64,
    seq: u64,
    what: W,
}

impl<W> Event<W> {
    fn key(&self) -> (u64, u64) {
        (self.at, self.seq)
    }
}

/// What is to happen, soonest first.
#[derive(Clone, Debug)]
pub struct EventQueue<W> {
    heap: Vec<Event<W>>,
    next_seq: u64,
}

impl<W> Default for EventQueue<W> {
    fn default() -> Self {
        Self { heap: Vec::new(), next_seq: 0 }
    }
}

/// Children of a node.
const WIDTH: usize = 4;

impl<W: Copy> EventQueue<W> {
    /// Plans an event.
    pub fn push(&mut self, at: Instant, what: W) {
        let event = Event { at: at.as_nanos(), seq: self.next_seq, what };
        self.next_seq += 1;
        let mut i = self.heap.len();
        self.heap.push(event);
        while i > 0 {
            let parent = (i - 1) / WIDTH;
            if self.heap[parent].key() <= event.key() {
                break;
            }
            self.heap[i] = self.heap[parent];
            i = parent;
        }
        self.heap[i] = event;
    }

    /// Takes out the soonest event, if it comes no later than `end`.
    pub fn pop_until(&mut self, end: Instant) -> Option<(Instant, W)> {
        if self.heap.first()?.at > end.as_nanos() {
            return None;
        }
        self.pop()
    }

    /// Takes out the soonest event.
    pub fn pop(&mut self) -> Option<(Instant, W)> {
        let last = self.heap.pop()?;
        let Some(&first) = self.heap.first() else {
            return Some((Instant::from_nanos(last.at), last.what));
        };
        let mut i = 0;
        while let Some(child) = self.smallest_child(i) {
            if last.key() <= self.heap[child].key() {
                break;
            }
            self.heap[i] = self.heap[child];
            i = child;
        }
        self.heap[i] = last;
        Some((Instant::from_nanos(first.at), first.what))
    }

    fn smallest_child(&self, i: usize) -> Option<usize> {
        let from = WIDTH * i + 1;
        let to = (from + WIDTH).min(self.heap.len());
        (from..to).min_by_key(|&c| self.heap[c].key())
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is to happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a list that is sorted each time; the sort keeps the order of equal times.
        #[test]
        fn behaves_like_a_sorted_list(ops in prop::collection::vec((any::<bool>(), 0u64..9), 0..80)) {
            let (mut queue, mut model) = (EventQueue::default(), Vec::new());
            for (i, (push, at)) in ops.into_iter().enumerate() {
                if push {
                    queue.push(Instant::from_nanos(at), i);
                    model.push((Instant::from_nanos(at), i));
                    model.sort_by_key(|&(at, _)| at);
                } else {
                    let expected = (!model.is_empty()).then(|| model.remove(0));
                    prop_assert_eq!(queue.pop(), expected);
                }
                prop_assert_eq!(queue.len(), model.len());
            }
        }
    }
}
