//! Memory that a flow has no use for while it rests.
//!
//! **Owns** what is given back: queues and lists keep the memory that they have grown into, so that
//! a busy flow need not ask for it packet by packet. **Leaves out** when: whoever owns the flow
//! knows whether it rests.

use manypath_base::Instant;

use crate::Flow;

impl Flow {
    /// Gives back the memory of queues that are empty, and what others have too much. Nothing is
    /// lost; what comes next asks for memory again.
    pub fn release_spare(&mut self, now: Instant) {
        let Self { send, recv, paths, board, events, .. } = self;
        send.buffer.release_spare();
        recv.release_spare();
        paths.iter_mut().for_each(|path| path.release_spare(now));
        board.release_spare();
        events.shrink_to_fit();
    }
}
