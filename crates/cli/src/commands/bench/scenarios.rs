//! What can be measured.

use manypath_lab::Packets;

use super::compare::Case;
use super::network::Network;
use super::round::{Role, Setting};
use crate::runtime;

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Scenario {
    /// One connection with super-segments, over 1 and 2 subflows
    Bulk,
    /// The same with packets of 1,500 bytes: no segmentation offload anywhere
    Mtu,
    /// One byte there, one byte back
    Rr,
    /// Connect, one byte there and back, close
    Crr,
    /// 8, 64 and 1,000 connections at once
    Many,
    /// Memory of connections that do nothing, with 1 and 2 subflows
    Idle,
    /// One subflow over 1 Gbit/s and 100 ms, without loss and with 0.1 % of it
    Long,
    /// 1 to 8 paths of 50 Mbit/s, and two whose round trips differ by up to ten times
    Paths,
    /// Events a second of simulated networks
    Sim,
}

impl Scenario {
    /// All, in the order in which they are measured.
    pub(super) const ALL: &[Self] = &[
        Self::Bulk,
        Self::Mtu,
        Self::Rr,
        Self::Crr,
        Self::Many,
        Self::Idle,
        Self::Long,
        Self::Paths,
        Self::Sim,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Mtu => "mtu",
            Self::Rr => "rr",
            Self::Crr => "crr",
            Self::Many => "many",
            Self::Idle => "idle",
            Self::Long => "long",
            Self::Paths => "paths",
            Self::Sim => "sim",
        }
    }

    /// What is compared, one after the other.
    pub(super) fn cases(self) -> Vec<Case> {
        let case = |role, connections, subflows, both_ends| {
            let packets =
                if self == Self::Mtu { Packets::MtuSized } else { Packets::SuperSegments };
            let shards = if connections > 1 { processors() } else { 1 };
            let (network, controller) = (None, None);
            let setting =
                Setting { role, connections, subflows, shards, packets, network, controller };
            Case { scenario: self.name(), both_ends, setting }
        };
        match self {
            Self::Bulk => [1, 2]
                .into_iter()
                .flat_map(|subflows| {
                    [(Role::Sender, false), (Role::Receiver, false), (Role::Sender, true)]
                        .map(|(role, both_ends)| case(role, 1, subflows, both_ends))
                })
                .collect(),
            Self::Mtu => [1, 2]
                .into_iter()
                .flat_map(|subflows| {
                    [Role::Sender, Role::Receiver].map(|role| case(role, 1, subflows, false))
                })
                .collect(),
            Self::Rr => vec![case(Role::Asker, 1, 1, false), case(Role::Asker, 1, 2, false)],
            Self::Crr => vec![case(Role::Knocker, 1, 1, false)],
            Self::Many => [8, 64, 1_000]
                .into_iter()
                .flat_map(|n| [Role::Sender, Role::Receiver].map(|role| case(role, n, 1, false)))
                .collect(),
            Self::Long => Network::LONG
                .into_iter()
                .flat_map(|(network, controller)| {
                    self.emulated(network, controller, &[Role::Sender, Role::Receiver])
                })
                .collect(),
            Self::Paths => Network::PATHS
                .into_iter()
                .flat_map(|network| self.emulated(network, None, &[Role::Sender, Role::Receiver]))
                .collect(),
            // These compare no rates.
            Self::Idle | Self::Sim => Vec::new(),
        }
    }

    /// The cases of one network, with a subflow over each of its links.
    fn emulated(
        self,
        network: Network,
        controller: Option<&'static str>,
        roles: &[Role],
    ) -> Vec<Case> {
        let case = |role: &Role| {
            let setting = Setting {
                role: *role,
                connections: 1,
                shards: 1,
                subflows: network.links.len(),
                packets: Packets::SuperSegments,
                network: Some(network),
                controller,
            };
            Case { scenario: self.name(), both_ends: false, setting }
        };
        roles.iter().map(case).collect()
    }
}

/// How many this process may use.
fn processors() -> u32 {
    u32::try_from(runtime::processors()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_compares_something() {
        for scenario in Scenario::ALL {
            let cases = scenario.cases();
            let none = matches!(scenario, Scenario::Idle | Scenario::Sim);
            assert_eq!(cases.is_empty(), none);
            assert!(cases.iter().all(|case| case.scenario == scenario.name()));
        }
        assert!(Scenario::Bulk.cases().iter().any(|case| case.both_ends));
    }
}
