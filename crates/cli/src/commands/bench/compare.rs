//! manypath beside the kernel: rounds by turns, medians, ratios.

use std::fmt::{self, Display, Formatter};

use manypath_lab::Packets;
use serde::Serialize;

use super::end::Stack;
use super::hosts::Link;
use super::round::{self, Round, Setting, Window};
use super::stats::{median, median_ratio};
use crate::failure::Failure;
use crate::watch::thousandths;

/// How everything is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// `None` for the best of each scenario.
    pub(super) link: Option<Link>,
    /// `None` for what each case has.
    pub(super) shards: Option<u32>,
    pub(super) rounds: u32,
    pub(super) window: Window,
    /// Whether the kernel plays manypath's part too.
    pub(super) against_linux: bool,
    /// Bytes that are hashed, once for each configuration.
    pub(super) hashed: u64,
}

impl Way {
    /// What is between manypath and its peer where packets are of this size: packets of the MTU's
    /// size are fastest by a packet socket, super-segments by a TUN.
    pub(super) fn link(&self, packets: Packets) -> Link {
        self.link.unwrap_or(match packets {
            Packets::MtuSized => Link::Packet,
            Packets::SuperSegments => Link::Tun,
        })
    }

    /// A case as it is measured: a packet socket has one queue.
    fn settle(&self, case: &Case) -> Case {
        let shards = match self.link(case.setting.packets) {
            Link::Packet => 1,
            Link::Tun | Link::Veth => self.shards.unwrap_or(case.setting.shards),
        };
        Case { setting: Setting { shards, ..case.setting }, ..*case }
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) scenario: &'static str,
    /// manypath at the other end too, instead of the kernel.
    pub(super) both_ends: bool,
    pub(super) setting: Setting,
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Setting { role, connections, subflows, network, controller, .. } = self.setting;
        let ends = if self.both_ends { ", both ends" } else { "" };
        write!(f, "{} {}{ends}, {connections} of {subflows}", self.scenario, role.name())?;
        network.iter().try_for_each(|network| write!(f, ", {network}"))?;
        controller.iter().try_for_each(|controller| write!(f, ", {controller}"))
    }
}

/// The rounds of one stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    /// The median of the rounds.
    median: Option<f64>,
    rounds: Vec<f64>,
    /// Medians, processor seconds.
    cpu: Cpu,
    /// Medians, of this end; `null` where the machine has no counters.
    cycles_per_packet: Option<f64>,
    instructions_per_packet: Option<f64>,
    /// The most of all rounds.
    peak_memory_bytes: u64,
    /// The median; `null` of a single connection.
    jain: Option<f64>,
    /// The most that an emulated link was late with a packet, in milliseconds; `null` of others.
    link_late_ms: Option<f64>,
}

/// Processor seconds for each gigabyte, or for each million answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Cpu {
    /// The process whose rate it is.
    this_end: Option<f64>,
    other_end: Option<f64>,
    /// Everything, softirqs among it; `null` where the system does not tell.
    machine: Option<f64>,
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Compared {
    pub(super) scenario: &'static str,
    pub(super) role: &'static str,
    /// What is between manypath and its peer.
    pub(super) link: &'static str,
    /// Whether manypath was at both ends.
    pub(super) both_ends: bool,
    pub(super) connections: usize,
    pub(super) subflows: usize,
    /// Of manypath: as many processors work on its connections.
    pub(super) shards: u32,
    /// The emulated links; `null` where there are none.
    pub(super) network: Option<String>,
    /// Congestion control at both ends; `null`: CUBIC of the kernel, manypath's default.
    pub(super) controller: Option<&'static str>,
    /// `Gbit/s`, `Mbit/s` over emulated links, or `per second`.
    pub(super) unit: &'static str,
    /// The most payload that emulated links carry.
    pub(super) ceiling: Option<f64>,
    /// The part of that which manypath's median is.
    pub(super) of_ceiling: Option<f64>,
    pub(super) manypath: Option<Figures>,
    /// The kernel at both ends.
    pub(super) linux: Option<Figures>,
    /// The median of manypath's rate over the kernel's in the same round.
    pub(super) ratio: Option<f64>,
    /// The same of this end's processor time, and of the machine's.
    pub(super) cpu_ratio: Option<f64>,
    pub(super) cpu_ratio_machine: Option<f64>,
    /// Whether what was received hashes to what was sent; `null` where it was not tried.
    pub(super) intact: Option<bool>,
    /// Why figures are missing.
    pub(super) error: Option<String>,
}

/// Measures a case. A failure is in the result, so that others are still measured.
pub(super) fn compare(way: &Way, case: &Case) -> Compared {
    let case = &way.settle(case);
    let setting = case.setting;
    let mut compared = Compared {
        scenario: case.scenario,
        role: setting.role.name(),
        link: way.link(setting.packets).name(),
        both_ends: case.both_ends,
        connections: setting.connections,
        subflows: setting.subflows,
        shards: setting.shards,
        network: setting.network.map(|network| network.to_string()),
        controller: setting.controller,
        unit: match setting.network {
            Some(_) => "Mbit/s",
            None if setting.role.is_bulk() => "Gbit/s",
            None => "per second",
        },
        ceiling: setting.network.map(|network| thousandths(network.ceiling())),
        of_ceiling: None,
        manypath: None,
        linux: None,
        ratio: None,
        cpu_ratio: None,
        cpu_ratio_machine: None,
        intact: None,
        error: None,
    };
    let mut rounds = (Vec::new(), Vec::new());
    let result = measure(way, case, &mut rounds, &mut compared.intact);
    compared.error = result.err().map(|failure| failure.to_string());
    let (ours, theirs) = rounds;
    let ratio = |of: fn(&Round) -> Option<f64>| {
        let all = |rounds: &[Round]| rounds.iter().filter_map(of).collect::<Vec<_>>();
        median_ratio(&all(&ours), &all(&theirs)).map(thousandths)
    };
    compared.ratio = ratio(|round| Some(round.rate));
    compared.cpu_ratio = ratio(|round| Some(round.cpu_this));
    compared.cpu_ratio_machine = ratio(|round| round.cpu_machine);
    compared.manypath = figures(&ours);
    compared.linux = figures(&theirs);
    let median = compared.manypath.as_ref().and_then(|figures| figures.median);
    compared.of_ceiling =
        median.zip(compared.ceiling).map(|(median, all)| thousandths(median / all));
    compared
}

fn measure(
    way: &Way,
    case: &Case,
    (ours, theirs): &mut (Vec<Round>, Vec<Round>),
    intact: &mut Option<bool>,
) -> Result<(), Failure> {
    let stacks = [Stack::Manypath, if case.both_ends { Stack::Manypath } else { Stack::Linux }];
    let link = way.link(case.setting.packets);
    let hashed = case.setting.network.map_or(way.hashed, |network| network.hashed());
    *intact = round::verify(link, stacks, &case.setting, hashed)?;
    for seed in 1..=u64::from(way.rounds) {
        ours.push(round::play(link, stacks, &case.setting, way.window, seed)?);
        if way.against_linux {
            let linux = [Stack::Linux; 2];
            theirs.push(round::play(link, linux, &case.setting, way.window, seed)?);
        }
    }
    Ok(())
}

fn figures(rounds: &[Round]) -> Option<Figures> {
    let middle = |of: fn(&Round) -> Option<f64>| {
        median(&rounds.iter().filter_map(of).collect::<Vec<_>>()).map(thousandths)
    };
    (!rounds.is_empty()).then(|| Figures {
        median: middle(|round| Some(round.rate)),
        rounds: rounds.iter().map(|round| thousandths(round.rate)).collect(),
        cpu: Cpu {
            this_end: middle(|round| Some(round.cpu_this)),
            other_end: middle(|round| Some(round.cpu_other)),
            machine: middle(|round| round.cpu_machine),
        },
        cycles_per_packet: middle(|round| round.per_packet.map(|[cycles, _]| cycles)),
        instructions_per_packet: middle(|round| round.per_packet.map(|[_, count]| count)),
        peak_memory_bytes: rounds.iter().map(|round| round.peak_memory).max().unwrap_or(0),
        jain: middle(|round| round.jain),
        link_late_ms: rounds
            .iter()
            .filter_map(|round| round.late)
            .max_by(f64::total_cmp)
            .map(thousandths),
    })
}

impl Compared {
    /// Whether it is as it should be: measured, and nothing was damaged.
    pub(super) fn is_sound(&self) -> bool {
        self.error.is_none() && self.intact != Some(false)
    }
}

/// A number, or a dash.
struct Shown(Option<f64>);

impl Display for Shown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => f.pad(&format!("{number:.2}")),
            None => f.pad("-"),
        }
    }
}

/// The names of the columns of [`Compared`] as text.
pub(super) const COLUMNS: &str = "scenario  role             conns sub    manypath       linux  \
                                  ratio  cpu ratio (machine)  jain  intact";

impl Display for Compared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let median = |figures: &Option<Figures>| Shown(figures.as_ref().and_then(|f| f.median));
        let jain = Shown(self.manypath.as_ref().and_then(|f| f.jain));
        let role = format!("{}{}", self.role, if self.both_ends { ", both ends" } else { "" });
        write!(
            f,
            "{:9} {role:21}{:5} {:3} {:>11} {:>11} {:>6} {:>10} {:>9} {:>5}  {}",
            self.scenario,
            self.connections,
            self.subflows,
            median(&self.manypath),
            median(&self.linux),
            Shown(self.ratio),
            Shown(self.cpu_ratio),
            Shown(self.cpu_ratio_machine),
            jain,
            self.intact.map_or("-", |intact| if intact { "yes" } else { "NO" }),
        )?;
        if let (Some(network), Some(ceiling)) = (&self.network, self.ceiling) {
            let controller = self.controller.unwrap_or("default");
            let share = Shown(self.of_ceiling);
            write!(f, "\n  {network}, {controller}: {share} of {ceiling} Mbit/s")?;
        }
        self.error.iter().try_for_each(|error| write!(f, "\n  failed: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(rate: f64) -> Round {
        let (cpu_this, cpu_other, cpu_machine) = (0.2, 0.3, None);
        Round {
            rate,
            cpu_this,
            cpu_other,
            cpu_machine,
            per_packet: None,
            peak_memory: 7,
            jain: None,
            late: None,
        }
    }

    #[test]
    fn what_was_not_measured_is_null() {
        assert_eq!(figures(&[]), None);
        let figures = figures(&[round(1.0), round(3.0), round(2.0)]).expect("three rounds");
        assert_eq!((figures.median, figures.cpu.machine, figures.jain), (Some(2.0), None, None));
        assert_eq!(Shown(None).to_string(), "-");
    }
}
