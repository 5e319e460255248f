//! How flows are spread over ways that are equally short.
//!
//! **Owns** the choice, and which flow of two hosts is the how manieth. **Invariants**: all packets
//! of a flow take the same ways. **Leaves out** which ways are the shortest: `graph`.

use std::collections::BTreeMap;

use manypath_base::{len64, usize64};

use crate::Spread;
use crate::frame::{Frame, Port, Turn};
use crate::graph::Way;
use crate::hash::mix;

/// The choice at work.
#[derive(Debug)]
pub(crate) struct Spreader {
    spread: Spread,
    /// By the link over which a flow leaves its host, and its hash.
    turns: BTreeMap<(Way, u32), Turn>,
    /// By that link and the interface that they lead to: flows so far.
    flows: BTreeMap<(Way, Port), u32>,
}

impl Spreader {
    pub(crate) fn new(spread: Spread) -> Self {
        Self { spread, turns: BTreeMap::new(), flows: BTreeMap::new() }
    }

    /// A frame leaves its host over `way`.
    pub(crate) fn enter(&mut self, way: Way, frame: &mut Frame) {
        match self.spread {
            Spread::Hash => {}
            Spread::Turns => frame.turn = self.turn(way, frame),
        }
    }

    fn turn(&mut self, way: Way, frame: &Frame) -> Turn {
        let flows = &mut self.flows;
        *self.turns.entry((way, frame.flow)).or_insert_with(|| {
            let before = flows.entry((way, frame.to)).or_default();
            let left = *before;
            *before += 1;
            Turn { pair: lower(mix(len64(way) << 32 | u64::from(frame.to.0))), left }
        })
    }

    /// The way that a frame takes at `node` out of several.
    pub(crate) fn pick(&self, node: usize, ways: &[u32], frame: &mut Frame) -> u32 {
        match self.spread {
            Spread::Hash => {
                let hash = mix(u64::from(frame.flow) | len64(node) << 32);
                ways[usize64((hash >> 8) % len64(ways.len()))]
            }
            Spread::Turns => take_turn(ways, &mut frame.turn),
        }
    }
}

/// The first flows of a pair go different ways out of the first switch, in an order that is the
/// pair's own; of those that go the same way there, the next switch parts the first, and so on.
fn take_turn(ways: &[u32], turn: &mut Turn) -> u32 {
    let count = u32::try_from(ways.len()).unwrap_or(u32::MAX);
    let place = turn.left % count;
    turn.left /= count;
    let rank = |way: u32| (mix(u64::from(turn.pair) << 32 | u64::from(way)), way);
    let before = |way: u32| ways.iter().filter(|&&other| rank(other) < rank(way)).count();
    let chosen = ways.iter().copied().find(|&way| before(way) == manypath_base::usize32(place));
    chosen.expect("ways are distinct, and so are their ranks")
}

fn lower(hash: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = hash.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The ways that flows between two interfaces take through two levels of switches with four
    /// ways each.
    fn paths(spread: Spread, from: Way, flows: u32) -> Vec<(u32, u32)> {
        let mut spreader = Spreader::new(spread);
        let path = |flow: u32| {
            let mut frame = Frame::filler(flow, Port::new(9, 0), 1_500);
            spreader.enter(from, &mut frame);
            let first = spreader.pick(1, &[10, 11, 12, 13], &mut frame);
            let node = 2 + usize::from(first == 11);
            (first, spreader.pick(node, &[20, 21, 22, 23].map(|w| w + 10 * first), &mut frame))
        };
        (0..flows).map(path).collect()
    }

    #[test]
    fn flows_of_a_pair_meet_no_sooner_than_they_must() {
        for from in 0..50 {
            let paths = paths(Spread::Turns, from, 17);
            for (level, distinct) in [(4, 4), (8, 4), (16, 4)] {
                let first: BTreeSet<u32> = paths[..level].iter().map(|p| p.0).collect();
                assert_eq!(first.len(), distinct);
            }
            let whole: BTreeSet<_> = paths[..16].iter().collect();
            assert_eq!(whole.len(), 16, "{paths:?}");
            assert_eq!(paths[16], paths[0], "and then they begin anew");
        }
    }

    #[test]
    fn pairs_begin_where_chance_has_it() {
        let mut begun: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for from in 0..1_600 {
            *begun.entry(paths(Spread::Turns, from, 2)[1]).or_default() += 1;
        }
        assert_eq!(begun.len(), 16);
        assert!(begun.values().all(|n| (60..140).contains(n)), "{begun:?}");
    }

    #[test]
    fn a_hash_lets_flows_of_a_pair_meet() {
        let meet = |from: Way| {
            let paths: BTreeSet<_> = paths(Spread::Hash, from, 8).into_iter().collect();
            paths.len() < 8
        };
        assert!((0..50).any(meet));
    }

    #[test]
    fn packets_of_a_flow_stay_together() {
        let mut spreader = Spreader::new(Spread::Turns);
        let mut way = |flow| {
            let mut frame = Frame::filler(flow, Port::new(9, 0), 1_500);
            spreader.enter(3, &mut frame);
            spreader.pick(1, &[10, 11], &mut frame)
        };
        let first = [way(7), way(8), way(9)];
        assert_eq!([way(7), way(8), way(9)], first);
        assert_ne!(first[0], first[1]);
    }
}
