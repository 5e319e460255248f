//! TIME-WAIT (RFC 9293 §3.6.1, §3.10.7.4).

use alloc::sync::Arc;
use core::net::SocketAddr;

use bytes::Bytes;
use manypath_base::{Instant, Mss, PathId, Payload, SeqNum};
use manypath_cc::Algorithm;
use manypath_wire::{Flags, Options, Segment, Timestamps};
use proptest::prelude::*;

use crate::testing::{Script, established, received};
use crate::{Config, Echo, FastOpen, Flow, Opening, PathConfig, Plain, State};

const CLOSED: &str = "
        0ms   close
        0ms   > F 1:1
        40ms  < F 1:1 ack 2
        40ms  > . 2:2 ack 2
        40ms  state TimeWait
";

fn after_closing(text: &str) {
    Script::established().run(&[CLOSED, text].concat());
}

/// RFC 9293 §3.10.7.4, eighth: the acknowledgment of a FIN that comes again, and 2 MSL anew.
#[test]
fn a_repeated_fin_is_answered_and_restarts_the_wait() {
    after_closing(
        "
        30s       < F 1:1
        30s       > . 2:2 ack 2
        60040ms   state TimeWait
        90s       expect Closed(Finished)
        ",
    );
}

/// RFC 9293 §3.10.7.4, second: CLOSED, and nothing was lost by it.
#[test]
fn a_rst_ends_the_wait_in_good_order() {
    after_closing(
        "
        5s   < R 2:2
        5s   expect Closed(Finished)
        ",
    );
}

/// RFC 5961 §4.2: a SYN in the window, even of a new connection, is challenged.
#[test]
fn a_syn_is_challenged() {
    after_closing(
        "
        5s   < S 900:900
        5s   > . 2:2 ack 2
        5s   state TimeWait
        ",
    );
}

/// RFC 9293 §3.10.5: nobody needs to be told.
#[test]
fn aborting_sends_nothing() {
    after_closing(
        "
        5s   abort
        5s   expect Closed(Aborted)
        ",
    );
}

/// RFC 6191 §2, RFC 9293 §3.6.1: without timestamps the sequence number decides.
#[test]
fn a_later_sequence_number_may_take_over() {
    after_closing(
        "
        5s   replaceable S 2:2
        5s   replaceable S 900:900
        5s   irreplaceable S 1:1
        5s   irreplaceable S 0:0
        5s   irreplaceable S. 900:900
        5s   irreplaceable SR 900:900
        5s   irreplaceable . 900:900
        ",
    );
}

/// RFC 6191 §2: with timestamps they decide, and the sequence number where they are equal; a
/// connection without them must have a later sequence number.
#[test]
fn a_later_timestamp_may_take_over() {
    Script::established().timestamps().run(
        "
        0ms   close
        0ms   > F 1:1
        40ms  < F 1:1 ack 2 ts 500 0
        40ms  > . 2:2 ack 2
        5s    replaceable S 0:0 ts 501 0
        5s    irreplaceable S 900:900 ts 499 0
        5s    replaceable S 900:900 ts 500 0
        5s    irreplaceable S 0:0 ts 500 0
        5s    replaceable S 900:900
        5s    irreplaceable S 0:0
        ",
    );
}

/// Only TIME-WAIT can be taken over.
#[test]
fn a_living_flow_is_not_replaced() {
    Script::established().run("0ms irreplaceable S 900:900");
}

const ISN: SeqNum = SeqNum(u32::MAX - 1);
const PEER_ISN: SeqNum = SeqNum(u32::MAX - 200);
/// When the peer's clock says 1,000.
const CLOSED_AT: Instant = Instant::from_millis(2_000);

fn segment(flags: Flags, seq: u32, ack: u32, len: usize, stamp: Option<u32>) -> Segment {
    let timestamps = stamp.map(|value| Timestamps { value, echo: 0 });
    Segment {
        src_port: 2,
        dst_port: 1,
        seq: PEER_ISN.wrapping_add(seq),
        ack: ISN.wrapping_add(ack),
        flags,
        window: 1_000,
        urgent: 0,
        options: Options { timestamps, ..Options::default() },
        payload: Payload::from(Bytes::from(alloc::vec![0; len])),
    }
}

/// A flow that closed first: what it sent ends at 2 of its numbers, what came at 2 of the peer's.
fn waiting() -> Flow {
    let mss = Mss(1_000);
    let opening = Opening {
        local: SocketAddr::from(([10, 0, 0, 1], 1)),
        remote: SocketAddr::from(([10, 0, 0, 2], 2)),
        isn: ISN,
        timestamp_offset: 7,
        config: Arc::new(Config { recv_buffer: 5_000, ..Config::default() }),
        path: PathConfig {
            id: PathId(0),
            mss,
            controller: Algorithm::NewReno.build(manypath_cc::Config::new(mss)),
        },
        fast_open: FastOpen::Off,
    };
    let mut flow = established((CLOSED_AT, CLOSED_AT), opening, PEER_ISN, 1_000);
    flow.close();
    while flow.poll_transmit(CLOSED_AT, &mut Plain).is_some() {}
    let fin = segment(Flags::FIN | Flags::ACK, 1, 2, 0, Some(1_000));
    flow.handle_segment(CLOSED_AT, received(fin), &mut Plain);
    while flow.poll_transmit(CLOSED_AT, &mut Plain).is_some() {}
    flow
}

proptest! {
    /// The record does what the whole flow does.
    #[test]
    fn a_record_behaves_like_the_flow(
        steps in prop::collection::vec(
            (
                0u64..20_000,
                prop::sample::select(alloc::vec![
                    Flags::ACK,
                    Flags::FIN | Flags::ACK,
                    Flags::RST,
                    Flags::RST | Flags::ACK,
                    Flags::SYN,
                    Flags::SYN | Flags::ACK,
                ]),
                prop::sample::select(alloc::vec![0u32, 1, 2, 3, 500, 5_001, 5_002, 9_000]),
                2u32..4,
                prop::sample::select(alloc::vec![0usize, 1, 2, 600]),
                prop::option::of(998u32..1_002),
            ),
            1..12,
        ),
    ) {
        let mut flow = waiting();
        let mut record = flow.time_wait().expect("it is in TIME-WAIT");
        let mut now = CLOSED_AT;
        for (millis, flags, seq, ack, len, stamp) in steps {
            now += core::time::Duration::from_millis(millis);
            if record.until() <= now {
                break;
            }
            let segment = segment(flags, seq, ack, len, stamp);
            let echo = record.handle_segment(now, &segment);
            flow.handle_segment(now, received(segment), &mut Plain);
            let sent: alloc::vec::Vec<_> =
                core::iter::from_fn(|| flow.poll_transmit(now, &mut Plain)).collect();
            let over = flow.state() == State::Closed;
            prop_assert_eq!(over, echo == Echo::Over, "{:?}", flow.state());
            if over {
                break;
            }
            prop_assert_eq!(flow.time_wait().map(|wait| wait.until()), Some(record.until()));
            let answers = usize::from(echo == Echo::Acknowledgment);
            prop_assert_eq!(sent.len(), answers, "{:?}", sent);
            for transmit in sent {
                let mut of_flow = transmit.segment;
                // A duplicate is reported by the flow alone (RFC 2883).
                of_flow.options.sack.clear();
                let of_record = record.acknowledgment(now, 1, 2);
                prop_assert_eq!(&*of_flow, &of_record);
            }
        }
    }
}
