//! What applications do.
//!
//! **Owns** the description of flows and the draws that they make. **Leaves out** carrying them
//! out: `session`.

use std::time::Duration;

use bytes::Bytes;
use manypath_base::{Rate, Rng, len64, usize64};
use manypath_cc::Algorithm as CongestionControl;
use manypath_mptcp::ConnectionMode;
use manypath_sched::Algorithm as Scheduler;

/// What a flow carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    /// As much as the network takes, or so many bytes, from the client to the server.
    Bulk {
        /// Bytes; without end if `None`.
        bytes: Option<u64>,
    },
    /// Bulk in periods of random length, exponentially distributed.
    OnOff {
        /// Mean length of a period with data.
        on: Duration,
        /// Mean length of a pause.
        off: Duration,
    },
    /// Requests from the client, one after the other, each answered by the server.
    Requests {
        /// Bytes of a request.
        request: u64,
        /// Bytes of an answer.
        response: u64,
        /// From an answer to the next request.
        gap: Duration,
        /// How many; without end if `None`.
        count: Option<u64>,
    },
    /// Packets at a constant rate, without a protocol.
    Cbr {
        /// The rate.
        rate: Rate,
        /// Bytes of a packet.
        bytes: u32,
    },
    /// A web page: objects fetched over several connections, one after the other on each; a
    /// connection that has its object asks for the next of the page. It is complete when all are
    /// there.
    Page {
        /// How many objects.
        objects: u64,
        /// Bytes of the objects, one after the other, and from the first on again where there are
        /// more objects.
        bytes: Vec<u64>,
        /// How many connections.
        connections: u64,
    },
    /// New connections at random times (a Poisson process), each with an amount of data that is
    /// exponentially distributed.
    Arrivals {
        /// Mean time between two.
        gap: Duration,
        /// Mean number of bytes.
        bytes: u64,
    },
}

/// Bytes of a request for an object of a web page.
const PAGE_REQUEST: u64 = 300;

impl Workload {
    /// Bytes of the request of this number, counted from 0, and of its answer; `None` after the last,
    /// and where the workload has none.
    pub(crate) fn exchange(&self, number: u64) -> Option<(u64, u64)> {
        match self {
            Self::Requests { request, response, count, .. } => {
                let more = count.is_none_or(|count| number < count);
                more.then_some(((*request).max(1), (*response).max(1)))
            }
            Self::Page { objects, bytes, .. } => {
                let turn = number.checked_rem(len64(bytes.len()))?;
                let bytes = bytes[usize64(turn)].max(1);
                (number < *objects).then_some((PAGE_REQUEST, bytes))
            }
            Self::Bulk { .. } | Self::OnOff { .. } | Self::Cbr { .. } | Self::Arrivals { .. } => {
                None
            }
        }
    }

    /// Whether clients ask and servers answer.
    pub(crate) fn is_exchange(&self) -> bool {
        match self {
            Self::Requests { .. } | Self::Page { .. } => true,
            Self::Bulk { .. } | Self::OnOff { .. } | Self::Cbr { .. } | Self::Arrivals { .. } => {
                false
            }
        }
    }
}

/// Traffic from one host to another.
#[derive(Clone, Debug)]
pub struct FlowConfig {
    /// Its name.
    pub name: String,
    /// The node that connects.
    pub from: usize,
    /// The node that listens.
    pub to: usize,
    /// Congestion control of the client, if not that of the host.
    pub cc: Option<CongestionControl>,
    /// Scheduler of the client, if not that of the host.
    pub scheduler: Option<Scheduler>,
    /// What its connections are to be.
    pub mode: ConnectionMode,
    /// What it carries.
    pub workload: Workload,
    /// When it starts.
    pub start: Duration,
    /// It starts later by a random time below this.
    pub jitter: Duration,
    /// Check every byte that arrives.
    pub checked: bool,
}

/// A random time with this mean, exponentially distributed. Integers only, so that it is the same
/// on every machine.
pub(crate) fn exponential(rng: &mut Rng, mean: Duration) -> Duration {
    let nanos = u64::try_from(mean.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(exponential_number(rng, nanos))
}

/// -ln(u) * mean for a uniform u of 64 bits.
pub(crate) fn exponential_number(rng: &mut Rng, mean: u64) -> u64 {
    /// ln 2 in units of 2^-32.
    const LN2: u128 = 2_977_044_472;
    let minus_log2 = (64u64 << 32) - log2(rng.u64().max(1));
    let scaled = u128::from(mean) * u128::from(minus_log2) * LN2;
    u64::try_from(scaled >> 64).unwrap_or(u64::MAX)
}

/// The binary logarithm in units of 2^-32, by squaring.
fn log2(x: u64) -> u64 {
    let whole = x.ilog2();
    let mut mantissa = u128::from(x) << (63 - whole);
    let mut out = u64::from(whole);
    for _ in 0..32 {
        mantissa = (mantissa * mantissa) >> 63;
        let bit = mantissa >> 64 != 0;
        mantissa >>= u32::from(bit);
        out = out << 1 | u64::from(bit);
    }
    out
}

/// Data without end: every byte follows from its place in the stream, and none is ever copied.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Bytes);

impl Pattern {
    /// The stream repeats after so many bytes: a prime, so that no packet size divides it.
    const PERIOD: u64 = 65_521;
    /// The longest chunk.
    const CHUNK: u64 = 65_536;

    pub(crate) fn new() -> Self {
        let byte = |n: u64| crate::hash::mix(n % Self::PERIOD + 1).to_le_bytes()[0];
        Self((0..Self::PERIOD + Self::CHUNK).map(byte).collect())
    }

    /// The next bytes from `offset` on, at most `limit` of them.
    pub(crate) fn chunk(&self, offset: u64, limit: u64) -> Bytes {
        let start = usize64(offset % Self::PERIOD);
        let len = usize64(limit.min(Self::CHUNK));
        self.0.slice(start..start + len)
    }

    /// Whether `bytes` are what stands at `offset`.
    pub(crate) fn is(&self, offset: u64, bytes: &[u8]) -> bool {
        let mut at = offset;
        bytes.chunks(usize64(Self::CHUNK)).all(|part| {
            let expected = self.chunk(at, len64(part.len()));
            at += len64(part.len());
            expected == part
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_times_have_their_mean_and_median() {
        let mut rng = Rng::seeded(3);
        let draws: Vec<u64> =
            (0..20_000).map(|_| exponential_number(&mut rng, 1_000_000)).collect();
        let mean = draws.iter().sum::<u64>() / 20_000;
        let below = draws.iter().filter(|&&d| d < 693_147).count();
        assert!((980_000..1_020_000).contains(&mean), "{mean}");
        assert!((9_800..10_200).contains(&below), "{below}");
        assert_eq!(log2(8), 3 << 32);
        assert_eq!(log2(3) >> 12, 1_661_953, "1.5849625 * 2^20");
    }

    #[test]
    fn objects_of_a_page_have_their_sizes_in_turn() {
        let page = Workload::Page { objects: 4, bytes: vec![7, 0, 9], connections: 6 };
        let answers: Vec<_> = (0..5).map(|n| page.exchange(n).map(|sizes| sizes.1)).collect();
        assert_eq!(answers, [Some(7), Some(1), Some(9), Some(7), None]);
    }

    #[test]
    fn the_pattern_is_the_same_wherever_it_is_cut() {
        let pattern = Pattern::new();
        let whole = [pattern.chunk(0, 65_536), pattern.chunk(65_536, 65_536)].concat();
        assert!(pattern.is(0, &whole) && pattern.is(70_000, &whole[70_000..]));
        assert!(!pattern.is(1, &whole[..100]));
        assert_eq!(pattern.chunk(65_521 + 7, 9), pattern.chunk(7, 9));
    }
}
