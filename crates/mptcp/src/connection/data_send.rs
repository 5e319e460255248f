//! The sending side of the connection: bytes written, sent, acknowledged at the data level.
//!
//! **Invariant**: `una <= nxt <= buffer.end() + 1`, and `una` moves only by DATA_ACK; the right
//! edge of the peer's window never moves left (RFC 8684 §3.3.4).

use core::ops::Range;
use core::time::Duration;

use manypath_base::{DataOffset, Instant, RangeSet};
use manypath_tcp::SendBuffer;

/// Bytes after which the rate is looked at: a quarter of what 32 bits tell apart.
const WRAP_CHECK: u64 = 1 << 30;
/// The same share of the maximum segment lifetime, 2 minutes (RFC 7323 §5.2 takes it from RFC 9293
/// §3.4.2).
const WRAP_TIME: Duration = Duration::from_secs(30);

/// Whether numbers of 32 bits wrap within a segment's lifetime: then all 64 must be sent (RFC 8684
/// §3.3.1).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WrapWatch {
    since: Option<(DataOffset, Instant)>,
    fast: bool,
}

impl WrapWatch {
    /// New data up to `nxt` is sent.
    pub(crate) fn on_sent(&mut self, now: Instant, nxt: DataOffset) {
        let (from, at) = *self.since.get_or_insert((nxt, now));
        if nxt.saturating_sub(from) >= WRAP_CHECK {
            self.fast |= now.since(at) < WRAP_TIME;
            self.since = Some((nxt, now));
        }
    }

    /// Whether numbers go out with 64 bits; once so, always.
    pub(crate) fn needs_64_bits(&self) -> bool {
        self.fast
    }
}

/// SND.* of the data level.
#[derive(Debug)]
pub(crate) struct DataSend {
    pub(crate) buffer: SendBuffer<DataOffset>,
    /// First byte not acknowledged by DATA_ACK.
    pub(crate) una: DataOffset,
    /// First byte that no subflow has been given.
    pub(crate) nxt: DataOffset,
    /// Right edge of the shared window: DATA_ACK plus window.
    pub(crate) edge: DataOffset,
    /// Sent bytes to be sent again on another subflow.
    pub(crate) reinject: RangeSet<DataOffset>,
    /// The application closed its half.
    pub(crate) closing: bool,
    /// DATA_FIN was sent at least once.
    pub(crate) fin_sent: bool,
    /// When an acknowledgment of what is outstanding is overdue.
    pub(crate) timer: Option<Instant>,
    /// The application was told that there is no room.
    pub(crate) blocked: bool,
    pub(crate) reinjected: u64,
    pub(crate) wrap: WrapWatch,
    /// Everything before this was sent on a second subflow because a slow one held it.
    pub(crate) hurried: DataOffset,
    /// Timeouts in a row.
    pub(crate) retries: u32,
    /// Since when something is due and nothing new was acknowledged.
    pub(crate) stalled_since: Option<Instant>,
    /// The peer answers, with a closed window.
    pub(crate) shut_out: bool,
}

impl DataSend {
    pub(crate) fn new() -> Self {
        let first = DataOffset(1);
        Self {
            buffer: SendBuffer::new(first),
            una: first,
            nxt: first,
            edge: first,
            reinject: RangeSet::default(),
            closing: false,
            fin_sent: false,
            timer: None,
            blocked: false,
            reinjected: 0,
            wrap: WrapWatch::default(),
            hurried: first,
            retries: 0,
            stalled_since: None,
            shut_out: false,
        }
    }

    /// Offset of the DATA_FIN, once the application has closed.
    pub(crate) fn fin(&self) -> Option<DataOffset> {
        self.closing.then(|| self.buffer.end())
    }

    /// Whether everything written was handed to subflows and DATA_FIN is next.
    pub(crate) fn fin_is_next(&self) -> bool {
        self.fin().is_some_and(|fin| self.nxt >= fin) && !self.fin_acknowledged()
    }

    pub(crate) fn fin_acknowledged(&self) -> bool {
        self.fin().is_some_and(|fin| self.una > fin)
    }

    /// Bytes written that no subflow has been given.
    pub(crate) fn unsent(&self) -> u64 {
        self.buffer.end().saturating_sub(self.nxt)
    }

    /// Bytes that the shared window still admits.
    pub(crate) fn window(&self) -> u64 {
        self.edge.saturating_sub(self.nxt)
    }

    /// Whether something sent waits for its DATA_ACK.
    pub(crate) fn is_outstanding(&self) -> bool {
        self.una < self.nxt || (self.fin_sent && !self.fin_acknowledged())
    }

    /// Takes a DATA_ACK in; one beyond what was sent is not believed (RFC 8684 §3.3.4).
    pub(crate) fn acknowledge(&mut self, ack: DataOffset, window: u32) {
        let sent = if self.fin_sent { self.nxt + 1 } else { self.nxt };
        if ack > sent {
            return;
        }
        self.edge = self.edge.max(ack + u64::from(window));
        if ack <= self.una {
            self.shut_out |= ack == self.una && window == 0;
            return;
        }
        self.una = ack;
        self.buffer.release(ack.min(self.buffer.end()));
        self.reinject.remove_before(ack);
        self.forget_timers();
    }

    /// Nothing is overdue any more.
    pub(crate) fn forget_timers(&mut self) {
        (self.timer, self.stalled_since, self.retries) = (None, None, 0);
    }

    /// Marks sent bytes for another subflow.
    pub(crate) fn reinject(&mut self, range: Range<DataOffset>) {
        let range = range.start.max(self.una)..range.end.min(self.nxt);
        self.reinject.insert(range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn sent(bytes: &'static [u8]) -> DataSend {
        let mut send = DataSend::new();
        send.buffer.push(Bytes::from_static(bytes));
        send.nxt = send.buffer.end();
        send
    }

    #[test]
    fn a_data_ack_beyond_what_was_sent_is_not_believed() {
        let mut send = sent(b"0123456789");
        send.acknowledge(DataOffset(12), 1_000);
        assert_eq!((send.una, send.edge), (DataOffset(1), DataOffset(1)));
        send.acknowledge(DataOffset(11), 1_000);
        assert_eq!((send.una, send.edge), (DataOffset(11), DataOffset(1_011)));
    }

    #[test]
    fn the_right_edge_never_moves_left() {
        let mut send = sent(b"0123456789");
        send.acknowledge(DataOffset(3), 100);
        send.acknowledge(DataOffset(5), 10);
        assert_eq!(send.edge, DataOffset(103));
    }

    /// RFC 8684 §3.3.1: 2^32 bytes within 2 minutes.
    #[test]
    fn numbers_become_64_bits_wide_at_286_megabits_per_second() {
        for (mbps, wide) in [(280, false), (290, true)] {
            let mut wrap = WrapWatch::default();
            let (mut nxt, mut now) = (DataOffset(1), Instant::ZERO);
            while nxt.0 < 3 << 30 {
                wrap.on_sent(now, nxt);
                nxt += 1_000_000;
                now += Duration::from_micros(8_000_000 / mbps);
            }
            assert_eq!(wrap.needs_64_bits(), wide, "{mbps} Mb/s");
        }
    }

    #[test]
    fn only_what_is_outstanding_is_sent_again() {
        let mut send = sent(b"0123456789");
        send.acknowledge(DataOffset(4), 100);
        send.reinject(DataOffset(1)..DataOffset(50));
        assert_eq!(send.reinject.as_slice(), [DataOffset(4)..DataOffset(11)]);
        send.acknowledge(DataOffset(8), 100);
        assert_eq!(send.reinject.as_slice(), [DataOffset(8)..DataOffset(11)]);
    }
}
