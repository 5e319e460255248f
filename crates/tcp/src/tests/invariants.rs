//! What must hold between any two calls.

use manypath_base::SubflowOffset;

use crate::path::Path;
use crate::scoreboard::{Sent, Status};
use crate::{Flow, State};

impl Flow {
    pub(crate) fn check_invariants(&self) {
        if self.state == State::Closed {
            return;
        }
        assert!(self.board.is_canonical(), "{:?}", self.board);
        if let (Some(first), Some(last)) = (self.board.iter().next(), self.board.iter().last()) {
            assert_eq!(first.range.start, self.send.una.max(SubflowOffset(1)));
            assert_eq!(last.range.end, self.send.nxt);
        } else if self.state.is_synchronized() {
            assert_eq!(self.send.una, self.send.nxt);
        }
        self.paths.iter().for_each(|path| self.check_path(path));
        let held: u64 = self.recv.data.ranges().map(|r| r.end - r.start).sum();
        assert_eq!(held, self.recv.data.held_bytes());
        assert!(self.recv.data.ranges().all(|r| r.start > self.recv.data.next()));
        assert!(self.send.buffer.start() <= self.send.una.max(SubflowOffset(1)));
    }

    fn check_path(&self, path: &Path) {
        let sum = |status| {
            let mine = self.board.iter().filter(|s| s.path == path.id && s.status == status);
            mine.map(|s| s.len()).sum::<u32>()
        };
        assert_eq!(path.in_flight, sum(Status::InFlight), "in flight");
        assert_eq!(path.lost, sum(Status::Lost), "lost");
        assert_eq!(path.sacked, sum(Status::Sacked), "sacked");
        assert!(path.timer.is_some() || !path.is_outstanding(), "nothing will wake {path:?}");
        assert!(path.controller.cwnd() >= path.smss.unwrap_or(path.mss).bytes());
        assert!(path.work.order.len() == 0 || !self.board.is_empty(), "what is over is forgotten");
        let in_flight = |s: &&Sent| s.path == path.id && s.status == Status::InFlight;
        // The ends tell; looking at all would cost the square of the flight.
        for piece in self.board.iter().filter(in_flight).take(4) {
            assert!(path.work.order.holds(piece), "loss detection forgot {piece:?}");
        }
    }
}
