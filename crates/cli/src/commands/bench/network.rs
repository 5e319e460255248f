//! Networks of emulated links: rate, delay and loss of real paths, without their chance.
//!
//! **Owns** which networks there are and what each can carry at most. **Invariant**: manypath and
//! the kernel meet the same links with the same seed in the same round, and no end has its buffers
//! set by hand: the kernel's may grow beyond a bandwidth-delay product in both configurations.
//! **Leaves out** the links themselves (`manypath_lab`).

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use manypath_lab::{EndpointKind, Host, LabError, LinkConfig, Loss, Topology};

use crate::watch::float;

/// One link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    /// Rate in megabits a second, of IP packets.
    mbps: u64,
    /// Round trip without a queue, in milliseconds.
    rtt_ms: u64,
}

/// Links between two hosts, each with a queue of its bandwidth-delay product that drops what comes
/// last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// The links, each with a subflow.
    pub(super) links: &'static [Hop],
    /// Packets lost in each direction, of a million.
    loss_ppm: u32,
}

const LONG: &[Hop] = &[Hop { mbps: 1_000, rtt_ms: 100 }];
const EQUAL: &[Hop] = &[Hop { mbps: 50, rtt_ms: 20 }; 8];

/// Payload of a packet of 1,500 bytes whose options are the shortest that MPTCP has with timestamps.
const PAYLOAD: u64 = 1_428;

impl Network {
    /// How long connections run before they are measured: slow start over a long path takes a second
    /// and a half, and windows need some more to settle.
    pub(super) const WARM_UP: Duration = Duration::from_secs(5);

    /// Long fat paths, with the congestion control of both ends.
    pub(super) const LONG: [(Self, Option<&'static str>); 3] = [
        (Self { links: LONG, loss_ppm: 0 }, None),
        (Self { links: LONG, loss_ppm: 1_000 }, Some("cubic")),
        (Self { links: LONG, loss_ppm: 1_000 }, Some("bbr")),
    ];

    /// More and more paths, and two that differ more and more.
    pub(super) const PATHS: [Self; 6] = [
        Self { links: EQUAL.split_at(1).0, loss_ppm: 0 },
        Self { links: EQUAL.split_at(2).0, loss_ppm: 0 },
        Self { links: EQUAL.split_at(4).0, loss_ppm: 0 },
        Self { links: EQUAL, loss_ppm: 0 },
        Self { links: &[Hop { mbps: 50, rtt_ms: 20 }, Hop { mbps: 50, rtt_ms: 60 }], loss_ppm: 0 },
        Self { links: &[Hop { mbps: 50, rtt_ms: 20 }, Hop { mbps: 50, rtt_ms: 200 }], loss_ppm: 0 },
    ];

    /// The most payload that the links carry together, in Mbit/s.
    pub(super) fn ceiling(&self) -> f64 {
        float(self.mbps() * PAYLOAD) / 1_500.0
    }

    /// Bytes to be hashed: two seconds without loss, few enough with it.
    pub(super) fn hashed(&self) -> u64 {
        if self.loss_ppm == 0 { self.mbps() * 250_000 } else { 8_000_000 }
    }

    fn mbps(&self) -> u64 {
        self.links.iter().map(|hop| hop.mbps).sum()
    }

    /// Makes hosts and links. Behind the client, on link number k from 1, is 100.64.k.0/24.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn build(&self, seed: u64) -> Result<Topology, LabError> {
        let mut builder = Topology::builder().seed(seed).super_segments();
        for (n, hop) in self.links.iter().enumerate() {
            let link = LinkConfig::mbps(hop.mbps, Duration::from_millis(hop.rtt_ms) / 2);
            builder = builder
                .link(&format!("link{n}"), LinkConfig { loss: Loss::ppm(self.loss_ppm), ..link });
        }
        let topology = builder.build()?;
        topology.kernel_mptcp(Host::Server, EndpointKind::Signal, [])?;
        topology.kernel_mptcp(Host::Client, EndpointKind::Subflow, 1..self.links.len())?;
        for n in 0..self.links.len() {
            topology.route_to(&format!("100.64.{}.0/24", n + 1), n)?;
        }
        for host in [Host::Client, Host::Server] {
            // The kernel tunes its buffers itself, up to these: more than twice what is under way.
            topology.host(host).sysctl("net/ipv4/tcp_rmem", "4096 131072 67108864")?;
            topology.host(host).sysctl("net/ipv4/tcp_wmem", "4096 16384 67108864")?;
        }
        Ok(topology)
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let equal = self.links.iter().all(|hop| *hop == self.links[0]);
        let shown: &[Hop] = if equal { &self.links[..1] } else { self.links };
        if equal && self.links.len() > 1 {
            write!(f, "{} x ", self.links.len())?;
        }
        for (n, Hop { mbps, rtt_ms }) in shown.iter().enumerate() {
            write!(f, "{}{mbps} Mbit/s {rtt_ms} ms", if n > 0 { " + " } else { "" })?;
        }
        match self.loss_ppm {
            0 => Ok(()),
            ppm => write!(f, ", {} % lost", float(ppm.into()) / 1e4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_say_what_they_are() {
        let names: Vec<_> = Network::PATHS.iter().map(Network::to_string).collect();
        assert_eq!(names[0], "50 Mbit/s 20 ms");
        assert_eq!(names[3], "8 x 50 Mbit/s 20 ms");
        assert_eq!(names[5], "50 Mbit/s 20 ms + 50 Mbit/s 200 ms");
        assert_eq!(Network::LONG[1].0.to_string(), "1000 Mbit/s 100 ms, 0.1 % lost");
        assert!((Network::LONG[0].0.ceiling() - 952.0).abs() < 1e-9);
    }
}
