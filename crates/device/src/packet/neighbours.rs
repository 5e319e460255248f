//! Who on the link has which address: what the kernel does for its own addresses, for ours.
//!
//! **Owns** the table of neighbours and the answers about our own addresses (RFC 826, RFC 4861 §7).
//! Sans-IO: frames and the time in, frames out. **Invariants**: one packet at most waits for an
//! answer (RFC 1122 §2.3.2.2 asks for that one), questions about an address are a second apart
//! (§2.3.2.1), and the table has a largest size, so that no neighbour can make it grow.
//! **Leaves out** timers: who sends again, asks again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use manypath_wire::Datagram;

use super::arp::Arp;
use super::frame;
use super::ndp::Neighbour;
use crate::Mac;

/// Between two questions about the same address (RFC 1122 §2.3.2.1, RFC 4861 RetransTimer).
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// After which an answer is asked for again; meanwhile it is believed (RFC 4861 ReachableTime).
const FRESH: Duration = Duration::from_secs(30);
/// Questions without answer after which what was known is forgotten (RFC 4861 §7.3.3).
const PATIENCE: u32 = 3;
/// Neighbours at most; beyond, none is added.
const MAX_NEIGHBOURS: usize = 1024;

/// Neighbours of one interface.
#[derive(Debug)]
pub(super) struct Neighbours {
    mac: Mac,
    addresses: Vec<IpAddr>,
    known: HashMap<IpAddr, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    mac: Option<Mac>,
    /// When the address was told last.
    told: Option<Instant>,
    /// When it was asked for last, and how often since it was told.
    asked: Option<Instant>,
    questions: u32,
    /// What is to be sent once the address is known: the latest.
    waiting: Option<Datagram>,
}

/// What a frame leads to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// A frame to be sent.
    pub(super) answer: Option<Vec<u8>>,
    /// A packet that waited, and to whom it goes.
    pub(super) ready: Option<(Mac, IpAddr, Datagram)>,
}

/// Where a packet goes now.
#[derive(Debug)]
pub(super) struct Next {
    /// To whom, if that is known; else the packet waits, or is dropped.
    pub(super) mac: Option<Mac>,
    /// A question to be sent.
    pub(super) question: Option<Vec<u8>>,
}

impl Neighbours {
    pub(super) fn new(mac: Mac, addresses: Vec<IpAddr>) -> Self {
        Self { mac, addresses, known: HashMap::new() }
    }

    /// The link address of `hop`, a neighbour.
    pub(super) fn find(&mut self, now: Instant, hop: IpAddr, packet: &Datagram) -> Next {
        if self.known.len() >= MAX_NEIGHBOURS && !self.known.contains_key(&hop) {
            return Next { mac: None, question: None };
        }
        let entry = self.known.entry(hop).or_default();
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        let fresh = since(entry.told).is_some_and(|age| age < FRESH);
        let due = !fresh && since(entry.asked).is_none_or(|age| age >= ASK_AGAIN);
        if due && entry.questions == PATIENCE {
            (entry.mac, entry.questions) = (None, 0);
        }
        if due {
            entry.asked = Some(now);
            entry.questions += 1;
        }
        let mac = entry.mac;
        if mac.is_none() {
            entry.waiting = Some(packet.clone());
        }
        let question = if due { self.question(hop, mac) } else { None };
        Next { mac, question }
    }

    /// Takes a frame in; `None` if it is not about link addresses, but for the stack.
    pub(super) fn take(&mut self, now: Instant, kind: u16, body: &[u8]) -> Option<Outcome> {
        match kind {
            frame::ARP => {
                Some(Arp::parse(body).map(|arp| self.on_arp(now, arp)).unwrap_or_default())
            }
            frame::IPV6 => Neighbour::parse(body).map(|said| self.on_ndp(now, said)),
            _ => None,
        }
    }

    fn on_arp(&mut self, now: Instant, arp: Arp) -> Outcome {
        let (mac, sender) = arp.sender;
        let asks_us = arp.asks && self.addresses.contains(&arp.target.into());
        let answer = asks_us.then(|| {
            Arp { asks: false, sender: (self.mac, arp.target), target: sender }.frame(Some(mac))
        });
        // Who asks us is a neighbour whom we shall answer: RFC 826 has it learned, too.
        Outcome { answer, ready: self.learn(now, sender.into(), mac) }
    }

    fn on_ndp(&mut self, now: Instant, said: Neighbour) -> Outcome {
        let Some(mac) = said.mac else { return Outcome::default() };
        if !said.asks {
            return Outcome { answer: None, ready: self.learn(now, said.target.into(), mac) };
        }
        let asks_us = self.addresses.contains(&said.target.into()) && !said.src.is_unspecified();
        let answer = asks_us.then(|| {
            let src = said.target;
            Neighbour { asks: false, src, target: src, mac: Some(self.mac) }
                .frame(self.mac, Some((mac, said.src)))
        });
        Outcome { answer, ready: self.learn(now, said.src.into(), mac) }
    }

    /// Only of those whom we asked or talk to: others would fill the table.
    fn learn(&mut self, now: Instant, addr: IpAddr, mac: Mac) -> Option<(Mac, IpAddr, Datagram)> {
        let entry = self.known.get_mut(&addr)?;
        (entry.mac, entry.told, entry.questions) = (Some(mac), Some(now), 0);
        entry.waiting.take().map(|packet| (mac, addr, packet))
    }

    /// A question about `hop`, to itself where its link address was known (RFC 4861 §7.3.3).
    fn question(&self, hop: IpAddr, mac: Option<Mac>) -> Option<Vec<u8>> {
        let own = self.addresses.iter().find(|own| own.is_ipv4() == hop.is_ipv4())?;
        match (*own, hop) {
            (IpAddr::V4(own), IpAddr::V4(target)) => {
                Some(Arp { asks: true, sender: (self.mac, own), target }.frame(mac))
            }
            (IpAddr::V6(src), IpAddr::V6(target)) => {
                let to = mac.map(|mac| (mac, target));
                let asks = Neighbour { asks: true, src, target, mac: Some(self.mac) };
                Some(asks.frame(self.mac, to))
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const OURS: Mac = Mac([2, 0, 0, 0, 0, 7]);
    const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn addr(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn neighbours() -> Neighbours {
        Neighbours::new(OURS, vec![addr("10.0.0.7"), addr("fd00::7")])
    }

    fn packet(n: u8) -> Datagram {
        Datagram { payload: Bytes::copy_from_slice(&[0x45, n]).into(), ..Datagram::default() }
    }

    /// Hands over what one says to the other.
    fn tell(to: &mut Neighbours, now: Instant, frame: &[u8]) -> Outcome {
        let (kind, body) = frame::parse(frame).expect("a frame");
        to.take(now, kind, body).expect("it is about link addresses")
    }

    #[test]
    fn a_packet_waits_for_the_answer_to_one_question() {
        let now = Instant::now();
        for (hop, their) in [("10.0.0.1", "10.0.0.1"), ("fd00::1", "fd00::1")] {
            let (mut us, mut peer) = (neighbours(), Neighbours::new(THEIRS, vec![addr(their)]));
            let next = us.find(now, addr(hop), &packet(1));
            assert_eq!(next.mac, None);
            let question = next.question.expect("nobody was asked yet");
            let next = us.find(now, addr(hop), &packet(2));
            assert!(next.question.is_none(), "asked a moment ago");
            let answer = tell(&mut peer, now, &question).answer.expect("it is its address");
            let ready = tell(&mut us, now, &answer).ready.expect("a packet waits");
            assert_eq!(ready, (THEIRS, addr(hop), packet(2)), "the latest");
            assert_eq!(us.find(now, addr(hop), &packet(3)).mac, Some(THEIRS));
        }
    }

    #[test]
    fn a_neighbour_that_answers_no_more_is_forgotten() {
        let (mut us, mut now, hop) = (neighbours(), Instant::now(), addr("10.0.0.1"));
        us.find(now, hop, &packet(1));
        us.learn(now, hop, THEIRS);
        now += FRESH;
        for _ in 0..PATIENCE {
            let next = us.find(now, hop, &packet(1));
            assert_eq!(next.mac, Some(THEIRS), "believed while it is asked");
            let question = next.question.expect("a second has passed");
            assert_eq!(question[..6], THEIRS.0, "asked itself, not everyone");
            now += ASK_AGAIN;
        }
        let next = us.find(now, hop, &packet(1));
        assert_eq!((next.mac, &next.question.expect("due")[..6]), (None, &[0xff; 6][..]));
    }

    #[test]
    fn strangers_neither_get_answers_nor_fill_the_table() {
        let (mut us, now) = (neighbours(), Instant::now());
        let [ours, other, stranger] = ["10.0.0.7", "10.0.0.8", "10.0.0.9"].map(addr);
        let mut stranger = Neighbours::new(THEIRS, vec![stranger]);
        let about_other = stranger.find(now, other, &packet(1)).question.expect("due");
        assert!(tell(&mut us, now, &about_other).answer.is_none());
        let about_us = stranger.find(now, ours, &packet(1)).question.expect("due");
        assert!(tell(&mut us, now, &about_us).answer.is_some());
        assert!(us.known.is_empty());
        for n in 0..2_000_u32 {
            us.find(now, IpAddr::V4((0x0a00_1000 + n).into()), &packet(1));
        }
        assert_eq!(us.known.len(), MAX_NEIGHBOURS);
    }
}
