//! How much one packet, one burst and the window field say.

use core::time::Duration;

use manypath_base::{Instant, Mss, PathId};

use crate::extension::Phase;
use crate::path::Path;
use crate::receive::FREELY;
use crate::{Extension, Flow};

/// Time that one burst may take of a path's rate, so that a super-segment does not fill a short
/// queue by itself.
const BURST_MILLIS: u64 = 1;

/// Packets in a row on one of several paths: a receiver reports few ranges, and runs survive lost
/// acknowledgments better.
const RUN: u32 = 4;

/// Packets of a burst that is worth waiting for on a path of any length.
const LONG_BURST: u32 = 8;

/// Bursts in a row to a peer beside this host, which wakes once for them.
const TRAIN: u32 = 16;

/// Option bytes of timestamps, padded (RFC 7323 appendix A).
const TIMESTAMPS_LEN: u32 = 12;

impl Flow {
    /// Payload bytes that one burst may have on a path: a super-segment is no more than a quarter
    /// of the window and no more than the path carries in a millisecond, and [`near`] more.
    pub(crate) fn burst(&self, path: usize) -> u32 {
        let most = self.max_burst(path);
        let path = &self.paths[path];
        let cwnd = path.controller.cwnd();
        let by_rate = path.rtt.srtt().map_or(u64::MAX, |srtt| {
            let nanos = u64::try_from(srtt.as_nanos()).unwrap_or(u64::MAX).max(1);
            u64::from(cwnd).saturating_mul(BURST_MILLIS * 1_000_000) / nanos
        });
        let by_rate = u32::try_from(by_rate).unwrap_or(u32::MAX);
        let by_rate = by_rate.saturating_add(near(path.rtt.min(), most));
        let floor = if path.shares { RUN } else { path.pair() } * path.mss.bytes();
        (cwnd / 4).min(by_rate).max(floor).min(most)
    }

    /// Payload bytes of one packet on a path beside `extension` bytes of options that an extension
    /// adds, and of the largest burst of such packets that may be sent there now.
    #[must_use]
    pub fn packet_and_burst(&self, path: PathId, extension: u32) -> (u32, u32) {
        let i = self.paths.iter().position(|p| p.id == path).unwrap_or(0);
        let timestamps = if self.agreed.timestamps { TIMESTAMPS_LEN } else { 0 };
        let packet = self.paths[i].mss.bytes().saturating_sub(timestamps + extension).max(1);
        let burst = self.burst(i).max(packet);
        (packet, burst - burst % packet)
    }

    /// Whether what a path has room for had better wait until acknowledgments make it more: it is
    /// less than a third of the window and than sixteen bursts, and what is in flight will be
    /// acknowledged. Acknowledgments of small segments else admit small segments for ever, and a
    /// peer beside this host is woken for each. Of a fast path that is longer one burst is saved,
    /// where an acknowledgment is due within half a round trip.
    ///
    /// **Choice:** Linux saves one burst everywhere (`tcp_tso_should_defer`).
    #[must_use]
    pub fn saves_room(&self, path: PathId, now: Instant) -> bool {
        let i = self.paths.iter().position(|p| p.id == path).unwrap_or(0);
        let path = &self.paths[i];
        let steady = path.episode.is_none() && path.work.frto.is_none();
        let (room, mss) = (path.room(), path.mss.bytes());
        if !steady || path.in_flight <= 2 * mss || room >= path.window() / 3 {
            return false;
        }
        let burst = self.burst(i);
        if path.is_beside() {
            return room < TRAIN * burst;
        }
        burst >= LONG_BURST * mss && room < burst && self.hears_soon(path, now)
    }

    /// Whether the oldest of what is outstanding was sent at least half a round trip ago.
    fn hears_soon(&self, path: &Path, now: Instant) -> bool {
        let half = path.rtt.srtt().unwrap_or_default() / 2;
        self.board.iter().next().is_some_and(|oldest| now.since(oldest.sent_at) >= half)
    }

    /// Payload bytes of the largest super-segment, or of one packet where that has more.
    fn max_burst(&self, path: usize) -> u32 {
        self.config.max_burst.max(self.paths[path].mss.bytes())
    }

    /// Payload per packet once `options` bytes of options are known.
    pub(super) fn packet_payload(&self, path: usize, options: usize) -> Mss {
        let mss = self.paths[path].mss.0;
        Mss(mss.saturating_sub(u16::try_from(options).unwrap_or(40)).max(1))
    }

    fn max_segment(&self, path: usize, options: usize) -> u32 {
        let packet = self.packet_payload(path, options).bytes();
        let burst = self.config.max_burst.max(packet);
        // Whole packets, so that a super-segment leaves no small one in the middle.
        burst - burst % packet
    }

    pub(super) fn clip(&self, path: usize, len: u64, options: usize) -> u64 {
        let packet = u64::from(self.packet_payload(path, options).bytes());
        let max = u64::from(self.max_segment(path, options));
        let len = len.min(max);
        if len > packet && len < max { len - len % packet } else { len }
    }

    pub(super) fn window_field(&mut self, now: Instant, phase: Phase, ext: &dyn Extension) -> u16 {
        let nxt = self.recv.nxt();
        let srtt =
            || self.paths.iter().filter_map(|path| path.rtt.srtt()).max().unwrap_or_default();
        self.recv.window.adapt(now, || FREELY, srtt);
        let mss = self.paths[0].mss.bytes();
        let own = self.recv.window.advance(nxt, self.recv.queued(), mss);
        let window = ext.shared_window().map_or(own, u64::from);
        let shift =
            if matches!(phase, Phase::Syn | Phase::SynAck) { 0 } else { self.agreed.recv_scale };
        u16::try_from(window >> shift).unwrap_or(u16::MAX)
    }
}

/// Bytes that a burst may have beyond the rate's where the peer is near: all within half a millisecond,
/// half of that within another, and so on. There, a round trip is what hosts take to handle packets:
/// many connections with small ones keep them busy, which makes their round trips long, and so
/// their packets small.
///
/// **Choice:** Linux has the same rule (`tcp_tso_rtt_log`).
fn near(min_rtt: Duration, most: u32) -> u32 {
    let halves = u32::try_from(min_rtt.as_micros() / 512).unwrap_or(u32::MAX);
    if min_rtt.is_zero() { 0 } else { most.checked_shr(halves).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_near_gets_more_at_once() {
        for (micros, more) in
            [(0, 0), (1, 64_000), (500, 64_000), (600, 32_000), (5_200, 62), (40_000, 0)]
        {
            assert_eq!(near(Duration::from_micros(micros), 64_000), more, "{micros} us");
        }
    }
}
