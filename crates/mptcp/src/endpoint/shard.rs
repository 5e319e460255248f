//! One host as several endpoints, its *shards*: which of them a packet is for, and how it comes there.
//!
//! Each shard has connections of its own, so that as many processors work on them and nothing is shared
//! while data flows. A packet may come to any of them:
//!
//! 1. A shard takes what comes to its own subflows.
//! 2. A SYN that joins a connection goes to the shard of its token; keys are drawn until their token
//!    leads to the shard that they are drawn in.
//! 3. Everything else goes to the *home* of its two ports, where connections between them begin, and
//!    where what is left of them waits in TIME-WAIT.
//! 4. A joined subflow that is not at home, since the peer chose the port, is a *guest*: its shard tells
//!    its home, which sends on what comes there.
//!
//! **Invariants**: a shard that has no more of a guest has said so before it sends a packet of it home, so
//! that no packet goes round; what nobody knows is answered at home, once. **Leaves out** how things
//! come from shard to shard, which is to be in the order in which they were handed over.
//!
//! **Choice:** the rules are no secret. Who aims at one shard has the host's other processors go on.

use alloc::collections::VecDeque;
use core::num::NonZeroU32;

use hashbrown::HashMap;
use manypath_base::{Ends, FourTuple, IfaceId, Instant, Token, usize32};
use manypath_wire::{Flags, IpHeader, MpJoin, Packet, Segment, Transport};

use super::time_wait::Record;
use super::{ConnId, Endpoint};

/// 2^32 divided by the golden ratio: what differs by any step is spread evenly (Knuth, volume 3, §6.4).
const SPREAD: u32 = 0x9e37_79b1;

/// Which of how many endpoints of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: NonZeroU32,
}

impl Shard {
    /// The only one.
    pub const ONLY: Self = Self { index: 0, count: NonZeroU32::MIN };

    /// All of so many.
    pub fn all(count: NonZeroU32) -> impl Iterator<Item = Self> {
        (0..count.get()).map(move |index| Self { index, count })
    }

    /// From 0 on.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count.get()
    }

    /// The home of what is between these ports.
    #[must_use]
    pub fn of_ports(self, local: u16, remote: u16) -> u32 {
        let both = (u32::from(local) << 16) | u32::from(remote);
        self.of_even(both.wrapping_mul(SPREAD))
    }

    /// The shard of the connection with this token, which is a hash already (RFC 8684 §3.2).
    fn of_token(self, token: Token) -> u32 {
        self.of_even(token.0)
    }

    /// The shard of a connection.
    #[must_use]
    pub fn of_connection(self, id: ConnId) -> u32 {
        let index = id.0 % u64::from(self.count.get());
        u32::try_from(index).expect("less than their count")
    }

    /// Of numbers that are spread evenly each shard has its part.
    fn of_even(self, number: u32) -> u32 {
        let index = (u64::from(number) * u64::from(self.count.get())) >> 32;
        u32::try_from(index).expect("less than their count")
    }

    pub(super) fn is_home(self, local: u16, remote: u16) -> bool {
        self.of_ports(local, remote) == self.index
    }

    pub(super) fn is_of(self, token: Token) -> bool {
        self.of_token(token) == self.index
    }

    /// A shard's part of what is a limit of the host.
    pub(super) fn part(self, limit: usize) -> usize {
        limit.div_ceil(usize32(self.count.get()))
    }
}

/// Something for another shard of the host.
#[derive(Debug)]
pub struct Handover(What);

#[derive(Debug)]
enum What {
    /// A packet for no subflow of the shard that it came to, and where it came in.
    Packet(IfaceId, Packet),
    /// A shard has a subflow whose home is another one.
    Guest(Ends, u32),
    /// A shard has it no more; this is left of it.
    Left(Ends, u32, Option<Record>),
}

impl Handover {
    /// Whether it is a packet, which the network may lose, too.
    #[must_use]
    pub fn is_packet(&self) -> bool {
        matches!(self.0, What::Packet(..))
    }
}

/// What a shard knows of the others.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Subflows whose home is here, and that are elsewhere.
    guests: HashMap<Ends, u32>,
    /// What is to be handed over, and to which.
    out: VecDeque<(u32, Handover)>,
}

impl Endpoint {
    /// Which of the host's shards this is.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// The next thing for another shard, and for which: to be asked for before
    /// [`Endpoint::poll_transmit`], so that a home knows its guests before their peers say more, and
    /// after it.
    pub fn poll_handover(&mut self) -> Option<(u32, Handover)> {
        self.others.out.pop_front()
    }

    /// Takes in what another shard handed over.
    pub fn handle_handover(&mut self, now: Instant, Handover(what): Handover) {
        match what {
            What::Packet(iface, packet) => self.handle_packet(now, iface, packet),
            What::Guest(ends, shard) => {
                self.others.guests.insert(ends, shard);
            }
            What::Left(ends, shard, record) => {
                // The guest of another one by now, if its peer was quick.
                if self.others.guests.get(&ends) == Some(&shard) {
                    self.others.guests.remove(&ends);
                    record.into_iter().for_each(|record| self.keep(ends.clone(), record));
                }
            }
        }
    }

    /// The shard that deals with a segment for no subflow of this one, if that is another.
    pub(super) fn elsewhere(&self, tuple: &FourTuple, segment: &Segment) -> Option<u32> {
        match segment.options.mptcp.join {
            Some(MpJoin::Syn { token, .. }) if segment.flags.has(Flags::SYN) => {
                Some(self.shard.of_token(token)).filter(|&there| there != self.shard.index)
            }
            _ => self.home_elsewhere(tuple),
        }
    }

    /// The shard to which the ends lead that are of no subflow of this one, if that is another.
    pub(super) fn home_elsewhere(&self, tuple: &FourTuple) -> Option<u32> {
        let guest = self.others.guests.get(tuple).copied();
        let there = guest.unwrap_or_else(|| self.home(tuple));
        Some(there).filter(|&there| there != self.shard.index)
    }

    /// Whether a subflow of another shard has these ends, which are at home here.
    pub(super) fn has_guest(&self, tuple: &FourTuple) -> bool {
        self.others.guests.contains_key(tuple)
    }

    pub(super) fn hand_over(&mut self, to: u32, iface: IfaceId, ip: IpHeader, what: Transport) {
        let packet = Packet { ip, transport: what };
        self.others.out.push_back((to, Handover(What::Packet(iface, packet))));
    }

    /// A subflow is here; if that is not its home, that is to know.
    pub(super) fn note_guest(&mut self, tuple: &FourTuple) {
        let shard = self.shard.index;
        self.tell_home(tuple, |ends| What::Guest(ends, shard));
    }

    /// A subflow is here no more, but for what waits in TIME-WAIT.
    pub(super) fn note_left(&mut self, tuple: &FourTuple, record: Option<Record>) {
        let shard = self.shard.index;
        self.tell_home(tuple, |ends| What::Left(ends, shard, record));
    }

    fn tell_home(&mut self, tuple: &FourTuple, what: impl FnOnce(Ends) -> What) {
        let home = self.home(tuple);
        if home != self.shard.index {
            self.others.out.push_back((home, Handover(what((*tuple).into()))));
        }
    }

    fn home(&self, tuple: &FourTuple) -> u32 {
        self.shard.of_ports(tuple.local.port(), tuple.remote.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: u32) -> Shard {
        Shard::all(NonZeroU32::new(count).unwrap()).next().unwrap()
    }

    /// Linux takes every second port for connections.
    #[test]
    fn ports_are_spread_evenly_whatever_their_step() {
        for count in [1, 2, 3, 8] {
            for step in [1, 2, 3, 4, 16] {
                let mut of = [0u32; 8];
                for n in 0..1_200 {
                    of[usize32(shards(count).of_ports(80, 32_768 + n * step))] += 1;
                }
                let (used, unused) = of.split_at(usize32(count));
                let fair = 1_200 / count;
                assert!(used.iter().all(|n| n.abs_diff(fair) < fair / 5), "{step}: {of:?}");
                assert!(unused.iter().all(|&n| n == 0));
            }
        }
    }

    #[test]
    fn the_ends_of_all_numbers_have_a_shard() {
        let of = |token| shards(3).of_token(Token(token));
        assert_eq!([of(0), of(u32::MAX / 2), of(u32::MAX)], [0, 1, 2]);
        assert_eq!([0, 1, 2, 3, 4].map(|id| shards(3).of_connection(ConnId(id))), [0, 1, 2, 0, 1]);
        assert_eq!(Shard::ONLY.of_token(Token(u32::MAX)), 0);
        assert_eq!([shards(3).part(0), shards(3).part(1), shards(3).part(7)], [0, 1, 3]);
    }
}
