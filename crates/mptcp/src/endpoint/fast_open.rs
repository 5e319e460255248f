//! TCP Fast Open at the host (RFC 7413): the cookies that it hands out, and those that servers
//! handed out to it.
//!
//! **Invariants**: what is remembered of servers is bounded; a cookie that this host hands out is
//! a keyed hash and costs no memory. **Leaves out** data on SYNs: see [`manypath_tcp::FastOpen`].

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use manypath_base::{FourTuple, Instant, Mss};
use manypath_tcp::{Cookie, FastOpen, FastOpenAnswer};
use manypath_wire::Segment;

use super::listeners::Arrival;
use super::memory::make_room;
use super::secret::Secret;
use super::{ConnId, Endpoint};
use crate::ConnectionError;
use crate::crypto::equal;

/// Length of a cookie. **Choice:** 6 bytes, all that is left beside MP_CAPABLE, MSS, window scale,
/// SACK and timestamps in a SYN/ACK (RFC 8684 appendix B.1).
const COOKIE_LEN: usize = 6;
/// How long a key is used (RFC 7413 §4.1.2 has it change periodically); its cookies are good for
/// as long again.
const KEY_TIME: Duration = Duration::from_secs(24 * 3_600);

/// Hands out cookies and knows them again (RFC 7413 §4.1.2).
#[derive(Debug)]
pub(super) struct Granter {
    secret: Secret,
}

impl Granter {
    pub(super) const fn new(secret: Secret) -> Self {
        Self { secret }
    }

    /// The cookie of a client.
    pub(super) fn grant(&self, now: Instant, local: IpAddr, client: IpAddr) -> Cookie {
        self.cookie(key_number(now), local, client)
    }

    /// Whether a client has one of ours.
    pub(super) fn is_valid(
        &self,
        now: Instant,
        local: IpAddr,
        client: IpAddr,
        cookie: &[u8],
    ) -> bool {
        let newest = key_number(now);
        (newest.saturating_sub(1)..=newest)
            .any(|number| equal(&self.cookie(number, local, client), cookie))
    }

    fn cookie(&self, number: u64, local: IpAddr, client: IpAddr) -> Cookie {
        let hash = self.secret.hash_hosts(local, client).with(&number.to_be_bytes()).finish();
        Cookie::from_slice(&hash[..COOKIE_LEN])
    }
}

fn key_number(now: Instant) -> u64 {
    now.as_nanos() / u64::try_from(KEY_TIME.as_nanos()).expect("a day of nanoseconds fits")
}

/// Servers that are remembered.
const MAX_SERVERS: usize = 1024;
/// How long a server that took no data, or did not answer, is not asked again (RFC 7413 §4.1.3.1).
const REFUSED: Duration = Duration::from_secs(3_600);

/// This host and a server: cookies are good for the two (RFC 7413 §4.1.3).
type Hosts = (IpAddr, IpAddr);

/// What is known of a server.
#[derive(Clone, Debug)]
enum Known {
    /// It handed out a cookie, and said this MSS then.
    Cookie(Cookie, Mss),
    /// It is not to be asked until then.
    Refused(Instant),
}

/// What servers said of Fast Open (RFC 7413 §4.1.3).
#[derive(Debug, Default)]
pub(super) struct Servers(BTreeMap<Hosts, (Instant, Known)>);

impl Servers {
    /// What a connection to a server does about Fast Open.
    pub(super) fn plan(&self, now: Instant, hosts: Hosts) -> FastOpen {
        match self.0.get(&hosts) {
            Some((_, Known::Cookie(cookie, mss))) => {
                FastOpen::Use { cookie: cookie.clone(), peer_mss: Some(*mss) }
            }
            Some((_, Known::Refused(until))) if now < *until => FastOpen::Off,
            Some((_, Known::Refused(_))) | None => FastOpen::Ask,
        }
    }

    /// A server answered.
    pub(super) fn on_answer(&mut self, now: Instant, hosts: Hosts, answer: FastOpenAnswer) {
        match answer {
            FastOpenAnswer { cookie: Some(cookie), mss, .. } => {
                self.remember(now, hosts, Known::Cookie(cookie, mss));
            }
            // The cookie is still good.
            FastOpenAnswer { cookie: None, taken: 1.., .. } => {}
            FastOpenAnswer { cookie: None, .. } => self.on_silence(now, hosts),
        }
    }

    /// A connection ended before the server answered. That nobody listens there says nothing of
    /// the server.
    pub(super) fn on_failure(&mut self, now: Instant, hosts: Hosts, error: ConnectionError) {
        if matches!(error, ConnectionError::TimedOut | ConnectionError::Unreachable) {
            self.on_silence(now, hosts);
        }
    }

    /// A server did not answer, or does not do its part.
    fn on_silence(&mut self, now: Instant, hosts: Hosts) {
        self.remember(now, hosts, Known::Refused(now + REFUSED));
    }

    /// Keeps what is known; what was learned first makes way.
    fn remember(&mut self, now: Instant, hosts: Hosts, known: Known) {
        make_room(&mut self.0, &hosts, MAX_SERVERS, |(at, _)| *at);
        self.0.insert(hosts, (now, known));
    }
}

/// What becomes of a SYN as far as Fast Open goes (RFC 7413 §4.1.2, §4.2.2).
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Early {
    /// It does not ask, or this host does not offer.
    No,
    /// A cookie is handed out; data on the SYN is not taken.
    Grant(Cookie),
    /// Its cookie is valid: its data is taken.
    Take,
}

impl Endpoint {
    /// What a SYN that comes to a listener may do.
    pub(super) fn early(&mut self, now: Instant, arrival: Arrival, syn: &Segment) -> Early {
        let FourTuple { local, remote } = arrival.tuple;
        let (Some(cookie), Some(listening)) =
            (&syn.options.fast_open, self.listeners.get_mut(&arrival.listener))
        else {
            return Early::No;
        };
        let connections = &self.connections;
        let pending = |id: &ConnId| connections.get(id).is_some_and(|e| e.conn.is_half_open());
        listening.early.retain(pending);
        let limit = listening.options.fast_open;
        if limit == 0 {
            Early::No
        } else if !self.granter.is_valid(now, local.ip(), remote.ip(), cookie) {
            Early::Grant(self.granter.grant(now, local.ip(), remote.ip()))
        } else if listening.early.len() >= limit {
            Early::No
        } else {
            Early::Take
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    fn answer(cookie: Option<&[u8]>, sent: u32, taken: u32) -> FastOpenAnswer {
        FastOpenAnswer { cookie: cookie.map(Cookie::from_slice), mss: Mss(1_400), sent, taken }
    }

    /// RFC 7413 §4.1.2.
    #[test]
    fn a_cookie_is_good_for_one_client_and_a_day_at_least() {
        let granter = Granter::new(Secret::new([5; 32]));
        let now = Instant::from_millis(5_000);
        let cookie = granter.grant(now, host(1), host(2));
        let valid = |at, local, client| granter.is_valid(at, host(local), host(client), &cookie);
        assert!(valid(now, 1, 2) && valid(now + KEY_TIME, 1, 2));
        assert!(!valid(now, 1, 3) && !valid(now, 3, 2) && !valid(now + KEY_TIME * 2, 1, 2));
        assert!(!granter.is_valid(now, host(1), host(2), &cookie[..4]));
        assert!(!granter.is_valid(now, host(1), host(2), &[]));
    }

    /// RFC 7413 §4.1.3 and §4.1.3.1.
    #[test]
    fn cookies_and_refusals_are_remembered() {
        let (mut servers, hosts) = (Servers::default(), (host(1), host(2)));
        let now = Instant::from_millis(5_000);
        assert_eq!(servers.plan(now, hosts), FastOpen::Ask);
        servers.on_answer(now, hosts, answer(Some(&[1, 2, 3, 4]), 0, 0));
        let uses =
            FastOpen::Use { cookie: Cookie::from_slice(&[1, 2, 3, 4]), peer_mss: Some(Mss(1_400)) };
        assert_eq!(servers.plan(now, hosts), uses);
        servers.on_answer(now, hosts, answer(None, 100, 50));
        assert_eq!(servers.plan(now, hosts), uses, "it took some");
        servers.on_answer(now, hosts, answer(None, 100, 0));
        assert_eq!(servers.plan(now, hosts), FastOpen::Off);
        assert_eq!(servers.plan(now, (host(3), host(2))), FastOpen::Ask, "another address");
        assert_eq!(servers.plan(now + REFUSED, hosts), FastOpen::Ask);
        servers.on_answer(now, hosts, answer(Some(&[4; 8]), 100, 0));
        assert!(matches!(servers.plan(now, hosts), FastOpen::Use { .. }), "a new cookie");
    }

    #[test]
    fn no_more_servers_than_the_limit_are_remembered() {
        let mut servers = Servers::default();
        for n in 0..3_000 {
            let now = Instant::from_millis(n.into());
            servers.on_answer(now, (host(0), host(n)), answer(Some(&[1; 4]), 0, 0));
        }
        assert_eq!(servers.0.len(), MAX_SERVERS);
        let plan = |n| servers.plan(Instant::from_millis(3_000), (host(0), host(n)));
        assert!(matches!(plan(2_999), FastOpen::Use { .. }) && plan(0) == FastOpen::Ask);
    }
}
