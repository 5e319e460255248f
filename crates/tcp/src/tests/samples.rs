//! What a controller is told of acknowledgments.

extern crate std;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::Mutex;

use manypath_base::{Instant, Mss};
use manypath_cc::{AckSample, Controller, FlowView, Signal};

use crate::testing::{FixedWindow, Script};

/// Bytes delivered, lost and in flight; limited by the application.
type Seen = Arc<Mutex<Vec<(u64, u64, u32, bool)>>>;

/// A fixed window that writes down what it is told.
#[derive(Debug)]
struct Recorder {
    window: FixedWindow,
    seen: Seen,
}

impl Recorder {
    fn note(&self, ack: &AckSample) {
        let row = (ack.delivered, ack.lost, ack.in_flight, ack.app_limited);
        self.seen.lock().expect("one thread").push(row);
    }
}

impl Controller for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn on_ack(&mut self, ack: &AckSample, _: &[FlowView]) {
        self.note(ack);
    }

    fn governs_recovery(&self) -> bool {
        true
    }

    fn on_signal(&mut self, now: Instant, signal: Signal, in_flight: u32, flows: &[FlowView]) {
        self.window.on_signal(now, signal, in_flight, flows);
    }

    fn on_spurious(&mut self) {}

    fn on_idle(&mut self) {}

    fn set_mss(&mut self, _: Mss) {}

    fn cwnd(&self) -> u32 {
        self.window.cwnd()
    }

    fn ssthresh(&self) -> u32 {
        self.window.ssthresh()
    }

    fn penalise(&mut self) {}
}

/// Runs a script with a window of `cwnd` bytes and returns what the controller was told.
fn told(cwnd: u32, script: &str) -> Vec<(u64, u64, u32, bool)> {
    let seen = Seen::default();
    let window = FixedWindow::new(cwnd, Mss(100));
    let recorder = Recorder { window, seen: seen.clone() };
    Script::established().controller(Box::new(recorder)).run(script);
    seen.lock().expect("one thread").clone()
}

#[test]
fn what_is_sent_while_nothing_waits_is_limited_by_the_application() {
    let rows = told(
        200,
        "
        0ms   write 300
        0ms   > 1:101
        0ms   > 101:201
        40ms  < ack 101
        40ms  > 201:301
        41ms  < ack 201         // room, and nothing to send
        80ms  < ack 301
        ",
    );
    let expected = [(100, 0, 100, false), (200, 0, 100, false), (300, 0, 0, true)];
    assert_eq!(rows, expected);
}

#[test]
fn who_governs_recovery_hears_of_it_with_what_was_lost() {
    let rows = told(
        400,
        "
        0ms   write 400
        0ms   > 1:101           // lost
        0ms   > 101:201
        0ms   > 201:301
        0ms   > 301:401
        40ms  < ack 1 sack 101:401
        40ms  > 1:101
        80ms  < ack 401
        ",
    );
    assert_eq!(rows[0], (300, 100, 0, false));
    assert_eq!((rows[1].0, rows[1].1), (400, 100), "recovery has ended");
}
