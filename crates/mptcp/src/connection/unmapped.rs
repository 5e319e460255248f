//! Data of a subflow whose mapping has not come yet: it waits (RFC 8684 §3.3.1).
//!
//! **Invariant**: pieces are in subflow order and lie behind everything that was delivered whole;
//! how much waits is bounded.

use alloc::boxed::Box;
use alloc::vec::Vec;

use manypath_base::{Payload, SubflowOffset, len64, usize64};

use super::Connection;

/// Bytes that wait on one subflow. **Choice:** the RFC says a receive window; a mapping covers
/// 64 KiB at most, so that of these at least four have not come.
const MAX_BYTES: u64 = 256 << 10;
/// Runs of such bytes, with mapped ones between.
const MAX_PIECES: usize = 64;

/// What waits on one subflow. In a box, since nothing does most of the time.
#[derive(Debug, Default)]
pub(crate) struct Unmapped(Option<Box<Pieces>>);

#[derive(Debug, Default)]
struct Pieces {
    pieces: Vec<(SubflowOffset, Payload)>,
    bytes: u64,
}

impl Unmapped {
    fn pieces(&self) -> &[(SubflowOffset, Payload)] {
        self.0.as_deref().map_or(&[], |waits| &waits.pieces)
    }

    fn take(&mut self) -> Vec<(SubflowOffset, Payload)> {
        self.0.take().map(|waits| waits.pieces).unwrap_or_default()
    }

    /// Returns whether too much waits now.
    fn push(&mut self, at: SubflowOffset, payload: Payload) -> bool {
        let Pieces { pieces, bytes } = &mut **self.0.get_or_insert_default();
        *bytes += len64(payload.len());
        match pieces.last_mut() {
            Some((start, last)) if *start + len64(last.len()) == at => last.append(payload),
            _ => pieces.push((at, payload)),
        }
        *bytes > MAX_BYTES || pieces.len() > MAX_PIECES
    }

    /// The first byte that waits.
    pub(super) fn first(&self) -> Option<SubflowOffset> {
        self.pieces().first().map(|(at, _)| *at)
    }
}

impl Connection {
    /// Delivers what waited for a mapping that has come since.
    pub(super) fn retry_unmapped(&mut self, i: usize) {
        let state = &mut self.subflows[i].state;
        let found = state.unmapped.pieces().iter().any(|(at, payload)| {
            let end = *at + len64(payload.len());
            state.rx.find(*at).is_some() || state.rx.next_after(*at).is_some_and(|ssn| ssn < end)
        });
        if found {
            for (at, payload) in state.unmapped.take() {
                self.take_mapped(i, at, payload);
            }
        }
    }

    /// What waits for a mapping is taken as it is: both levels count alike, or this would not be TCP.
    pub(super) fn take_unmapped(&mut self, i: usize) {
        for (at, payload) in self.subflows[i].state.unmapped.take() {
            self.take_plain(at, payload);
        }
    }

    /// Data at `at` has no mapping: up to the next one that is known it waits. Returns how much.
    /// Where too much waits the subflow is of no use: its options vanish (RFC 8684 §3.7). So it is where
    /// multipath is about to end for that reason, and TCP would take the data for what it may not be.
    pub(super) fn hold_unmapped(
        &mut self,
        i: usize,
        at: SubflowOffset,
        payload: &Payload,
    ) -> usize {
        let in_order = self.shared.checksum;
        let sub = &mut self.subflows[i];
        let next = sub.state.rx.next_after(at).filter(|_| !in_order);
        let len = next.map_or(payload.len(), |next| usize64(next - at).min(payload.len()));
        let too_much = sub.state.unmapped.push(at, payload.slice(0, len));
        if too_much || (self.shared.has_lost_options() && sub.state.lacks_mapping()) {
            sub.end_disturbed();
        }
        len
    }

    /// Whether data at `at` must wait although its mapping is known: a checksum is summed in order.
    pub(super) fn waits_for_earlier(&self, i: usize) -> bool {
        self.shared.checksum && self.subflows[i].state.unmapped.first().is_some()
    }
}
