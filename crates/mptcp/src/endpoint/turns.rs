//! Who sends next.
//!
//! **Owns** the order in which connections send: by turns, of one packet or of several. **Invariant**: a
//! connection that may have something to send is in the queue once. **Leaves out** which wait for hosts
//! beside this one: see `beside`.

use manypath_base::Instant;

use super::{ConnId, Departure, Endpoint, Transmit, departure};

/// Large packets of a connection in a row, if it has so many: its peer wakes up once for them, and
/// what they touch stays in caches.
const TURN: u32 = 4;
/// Payload bytes of a large packet.
const LARGE: usize = 32 << 10;

impl Endpoint {
    /// The next packet to send. Connections take turns, of a packet or of four large ones.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.poll_packet(now).map(Transmit::from)
    }

    /// [`Endpoint::poll_transmit`] for a carrier that hands on packets as values.
    pub fn poll_packet(&mut self, now: Instant) -> Option<Departure> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        while let Some((id, has_turn)) = self.next_turn() {
            let Some(entry) = self.connections.get_mut(&id) else { continue };
            entry.conn.set_gate(has_turn || self.beside.is_open_to(&entry.beside));
            if let Some((subflow, out)) = entry.conn.poll_transmit(now) {
                let len = out.segment.payload.len();
                let used = entry.subflows.iter().find(|(id, ..)| *id == subflow);
                let departure = used.map(|&(_, ref ends, iface)| {
                    let iface = entry.conn.iface_of(out.path).unwrap_or(iface);
                    departure(ends.tuple(), iface, out)
                });
                self.beside.count(entry);
                let beside = entry.beside.is_beside();
                let most = if beside { self.beside.turn() } else { TURN };
                let goes_on = (beside || len >= LARGE) && self.turn + 1 < most;
                self.note_sent(id, goes_on);
                if departure.is_some() {
                    return departure;
                }
                continue;
            }
            entry.queued = false;
            if entry.conn.has_missed_gate() {
                self.beside.wait(id, &mut entry.beside);
            }
            self.turn = 0;
            self.rest(now, id);
        }
        None
    }

    /// Who sends next, and whether it is in its turn to send new data to a peer beside this host.
    fn next_turn(&mut self) -> Option<(ConnId, bool)> {
        if let Some(id) = self.sending.pop_front() {
            return Some((id, self.turn > 0));
        }
        let id = self.beside.next()?;
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.beside.begin();
            entry.queued = true;
        }
        Some((id, true))
    }

    /// A connection sent a packet: it goes on, or it is the next one's turn.
    fn note_sent(&mut self, id: ConnId, goes_on: bool) {
        if goes_on {
            self.turn += 1;
            self.sending.push_front(id);
        } else {
            self.turn = 0;
            self.sending.push_back(id);
        }
    }
}
