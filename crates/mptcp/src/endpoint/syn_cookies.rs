//! SYN cookies (RFC 4987 §3.6, RFC 8684 §3.1): where there is no room for half-open connections, a
//! SYN is answered and forgotten, and the third segment of the handshake makes the connection.
//!
//! **Choice:** a SYN that joins a connection is no concern of cookies. It names a token, which a
//! flood does not know, and what a connection keeps of joins is bounded by its limit of subflows,
//! the oldest half-open one making way; so their state is kept, and every nonce is random.
//!
//! **Leaves out** the numbers: see [`super::cookie`].

use alloc::boxed::Box;

use manypath_base::{FourTuple, IfaceId, Instant, Mss, SeqNum};
use manypath_tcp::{Received, SynOffer};
use manypath_wire::{Ecn, Flags, MpCapable, Segment};

use super::cookie::{Remembered, read_stamp, stamp};
use super::listeners::Arrival;
use super::{Endpoint, departure};
use crate::connection::Connection;
use crate::crypto::Identity;
use crate::{ConnectionMode, SynCookieCounters};

impl Endpoint {
    /// SYN cookies sent, and those that came back.
    #[must_use]
    pub fn syn_cookies(&self) -> SynCookieCounters {
        self.cookies.counters
    }

    /// Answers a SYN with a cookie. The answer is that of a connection, of which nothing is kept.
    pub(super) fn answer_with_cookie(&mut self, now: Instant, arrival: Arrival, syn: &Segment) {
        let ends = arrival.tuple;
        let peer_mss = syn.options.mss.unwrap_or(default_mss(ends).0);
        let (isn, key) = self.cookies.make(now, &self.isns, ends, syn.seq, peer_mss);
        // No other key could be verified: without multipath then (RFC 8684 §3.1).
        let taken = self.tokens.contains_key(&Identity::new(key).token);
        let arrival = Arrival { multipath: arrival.multipath && !taken, ..arrival };
        let Some(mut birth) = self.birth_at_listener(now, arrival, key) else { return };
        birth.opening.isn = isn;
        let mut conn = Connection::accept(now, birth, &memorable(syn));
        let Some((_, mut answer)) = conn.poll_transmit(now) else { return };
        let options = &mut answer.segment.options;
        if let Some(timestamps) = &mut options.timestamps {
            let scale = syn.options.window_scale.filter(|_| options.window_scale.is_some());
            timestamps.value = stamp(timestamps.value, scale, options.sack_permitted);
        }
        self.cookies.counters.sent += 1;
        self.queue_answer(departure(ends, arrival.iface, answer));
    }

    /// A segment for no connection may be the third of a handshake of which nothing was kept.
    /// Returns whether it is.
    pub(super) fn on_cookie(
        &mut self,
        now: Instant,
        iface: IfaceId,
        tuple: FourTuple,
        segment: &Segment,
        ecn: Ecn,
    ) -> bool {
        let one_before = |n: SeqNum| n.wrapping_add(u32::MAX);
        let (peer_isn, isn) = (one_before(segment.seq), one_before(segment.ack));
        let answers = segment.flags.has(Flags::ACK)
            && !segment.flags.has(Flags::RST)
            && !segment.flags.has(Flags::SYN);
        let known = || self.cookies.check(now, &self.isns, tuple, peer_isn, isn);
        let (true, Some(listener)) = (answers, self.listener_at(tuple.local)) else { return false };
        let Some(remembered) = known() else { return false };
        let multipath = match segment.options.mptcp.capable {
            Some(MpCapable::Ack { receiver_key, .. }) if receiver_key == remembered.key => true,
            // A key that was not ours.
            Some(_) => return false,
            None => false,
        };
        let options = self.listeners[&listener].options;
        let denied = multipath && options.mode != ConnectionMode::Automatic;
        if denied || self.tokens.contains_key(&Identity::new(remembered.key).token) {
            return false;
        }
        let arrival = Arrival { listener, iface, tuple, multipath };
        // Where there is no room, silence: the peer sends again.
        if self.make_room(listener) {
            self.resume(now, arrival, isn, remembered, segment, ecn);
        }
        true
    }

    /// Makes the connection of a cookie that came back.
    fn resume(
        &mut self,
        now: Instant,
        arrival: Arrival,
        isn: SeqNum,
        remembered: Remembered,
        ack: &Segment,
        ecn: Ecn,
    ) {
        let Arrival { listener, tuple, .. } = arrival;
        let Some(mut birth) = self.birth_at_listener(now, arrival, remembered.key) else { return };
        birth.opening.isn = isn;
        let (iface, path) = (birth.iface, birth.opening.path.id);
        let received = Received { path, segment: Box::new(ack.clone()), ecn };
        let offer = offer(remembered.mss, ack);
        if let Some(conn) = Connection::resume(now, birth, &offer, received) {
            self.cookies.counters.accepted += 1;
            self.insert(now, conn, tuple, iface, Some(listener));
        }
    }
}

/// A SYN, without what a cookie cannot tell.
fn memorable(syn: &Segment) -> Segment {
    let mut syn = syn.clone();
    syn.flags = Flags::SYN;
    syn.payload = Default::default();
    syn.options.user_timeout = None;
    if syn.options.timestamps.is_none() {
        (syn.options.window_scale, syn.options.sack_permitted) = (None, false);
    }
    syn
}

/// What the acknowledgment of a cookie tells of the SYN.
fn offer(mss: u16, ack: &Segment) -> SynOffer {
    let stamps = ack.options.timestamps;
    let (window_scale, sack_permitted) = stamps.map_or((None, false), |ts| read_stamp(ts.echo));
    SynOffer {
        isn: ack.seq.wrapping_add(u32::MAX),
        mss,
        window_scale,
        sack_permitted,
        timestamps: stamps.is_some(),
    }
}

/// What a peer that does not say takes (RFC 9293 §3.7.1).
const fn default_mss(ends: FourTuple) -> Mss {
    if ends.remote.is_ipv6() { Mss::DEFAULT_V6 } else { Mss::DEFAULT_V4 }
}
