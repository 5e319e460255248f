//! One round of a measurement: fresh hosts, two ends, a window of time.
//!
//! **Invariant**: both ends are sampled at the two edges of the same window, after a warm-up; what
//! moved is counted where it is received. **Leaves out** what is compared with what (`compare`).

use std::time::Duration;

use manypath_lab::Packets;

use super::child::{Child, sleep};
use super::end::{Job, Sample, Side, Spec, Stack};
use super::hosts::{Hosts, Link, Wanted};
use super::machine;
use super::network::Network;
use super::stats::jain;
use crate::failure::Failure;
use crate::watch::float;

/// How long connections have to close.
const CLOSING: Duration = Duration::from_millis(200);

/// How long BBR is measured at least. Linux's looks for the shortest round trip every ten seconds, and
/// sends next to nothing meanwhile: of shorter windows most have none of that, and some have all of it.
const PROBES: Duration = Duration::from_secs(10);

/// What the connecting end, which is the one that is measured, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It sends.
    Sender,
    /// It receives.
    Receiver,
    /// It asks with one byte and waits for the answer.
    Asker,
    /// It connects, asks once and closes.
    Knocker,
}

impl Role {
    /// As reports name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
            Self::Asker => "asker",
            Self::Knocker => "connector",
        }
    }

    /// What the connecting and the listening end do.
    fn jobs(self) -> [Job; 2] {
        match self {
            Self::Sender => [Job::Send, Job::Receive],
            Self::Receiver => [Job::Receive, Job::Send],
            Self::Asker => [Job::Ask, Job::Answer],
            Self::Knocker => [Job::Knock, Job::Answer],
        }
    }

    /// The same with a number of bytes that are hashed, where bytes are what is measured.
    fn hashed(self, bytes: u64) -> Option<[Job; 2]> {
        match self {
            Self::Sender => Some([Job::SendHashed(bytes), Job::ReceiveHashed]),
            Self::Receiver => Some([Job::ReceiveHashed, Job::SendHashed(bytes)]),
            Self::Asker | Self::Knocker => None,
        }
    }

    /// Whether bytes are counted, not answers.
    pub(super) fn is_bulk(self) -> bool {
        match self {
            Self::Sender | Self::Receiver => true,
            Self::Asker | Self::Knocker => false,
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) role: Role,
    pub(super) connections: usize,
    pub(super) subflows: usize,
    /// Of manypath.
    pub(super) shards: u32,
    pub(super) packets: Packets,
    /// Emulated links instead of the fastest there are.
    pub(super) network: Option<Network>,
    /// Congestion control of both ends, by its name.
    pub(super) controller: Option<&'static str>,
}

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) warm_up: Duration,
    pub(super) length: Duration,
}

/// What a round came to. "Each" is a gigabyte (10^9 bytes), or a million answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Round {
    /// Gbit/s, Mbit/s over emulated links, or answers a second.
    pub(super) rate: f64,
    /// Processor seconds of the connecting end's process for each.
    pub(super) cpu_this: f64,
    /// Of the listening end's process.
    pub(super) cpu_other: f64,
    /// Of the whole machine, in whatever context.
    pub(super) cpu_machine: Option<f64>,
    /// Cycles and instructions of the connecting end's process for each packet of its host.
    pub(super) per_packet: Option<[f64; 2]>,
    /// The most memory that the connecting end's process had resident, in bytes.
    pub(super) peak_memory: u64,
    /// Jain's fairness among the connections.
    pub(super) jain: Option<f64>,
    /// The most that an emulated link was late with a packet, in milliseconds.
    pub(super) late: Option<f64>,
}

/// The ends of a round: hosts last, so that children go before.
struct Ends {
    client: Child,
    server: Child,
    hosts: Hosts,
}

/// Starts both ends. Under load a kernel that connects leaves out a subflow now and then, for good: then
/// all is set up once more.
fn start(
    link: Link,
    stacks: [Stack; 2],
    setting: &Setting,
    jobs: [Job; 2],
    seed: u64,
) -> Result<Ends, Failure> {
    let set_up = || {
        let Setting { packets, subflows, network, .. } = *setting;
        let network = network.map(|network| (network, seed));
        let hosts = Hosts::build(link, stacks, Wanted { packets, subflows, network })?;
        let addr = hosts.server_addr(stacks[1]);
        let end = |side: Side, stack: Stack, job: Job| {
            let tun = (stack == Stack::Manypath).then(|| hosts.tun(side));
            let Setting { connections, subflows, shards, controller, .. } = *setting;
            let controller = controller.map(str::to_owned);
            let ports = 1;
            let spec = Spec {
                stack,
                side,
                job,
                addr,
                ports,
                connections,
                subflows,
                shards,
                controller,
                tun,
            };
            Child::start(hosts.host(side), &spec)
        };
        let server = end(Side::Listen, stacks[1], jobs[1])?;
        let client = end(Side::Connect, stacks[0], jobs[0])?;
        Ok(Ends { client, server, hosts })
    };
    set_up().or_else(|first| if stacks[0] == Stack::Linux { set_up() } else { Err(first) })
}

/// Plays a round between these stacks, connecting end first.
///
/// # Errors
/// When it cannot be set up, or a connection fails.
pub(super) fn play(
    link: Link,
    stacks: [Stack; 2],
    setting: &Setting,
    window: Window,
    seed: u64,
) -> Result<Round, Failure> {
    let mut ends = start(link, stacks, setting, setting.role.jobs(), seed)?;
    sleep(setting.network.map_or(window.warm_up, |_| window.warm_up.max(Network::WARM_UP)))?;
    let before = ends.look()?;
    let least = if setting.controller == Some("bbr") { PROBES } else { Duration::ZERO };
    sleep(window.length.max(least))?;
    let after = ends.look()?;
    let mut round = evaluate(setting.role, &before, &after);
    if setting.network.is_some() {
        round.rate *= 1e3;
    }
    round.late = ends.hosts.late().map(|late| late.as_secs_f64() * 1e3);
    ends.close()?;
    if round.rate > 0.0 { Ok(round) } else { Err(Failure::Failed("nothing moved".to_owned())) }
}

/// Moves bytes once and compares hashes; `None` where the setting moves none to speak of.
///
/// # Errors
/// When it cannot be set up, or a connection fails.
pub(super) fn verify(
    link: Link,
    stacks: [Stack; 2],
    setting: &Setting,
    bytes: u64,
) -> Result<Option<bool>, Failure> {
    let Some(jobs) = setting.role.hashed(bytes) else { return Ok(None) };
    let setting = Setting { connections: 1, ..*setting };
    let ends = start(link, stacks, &setting, jobs, 0)?;
    let hashed = [ends.client.hashed()?, ends.server.hashed()?];
    Ok(Some(hashed[0] == hashed[1] && hashed[0].0 == bytes))
}

/// Both ends and the machine at one moment.
struct Moment {
    client: Sample,
    server: Sample,
    busy: Option<Duration>,
}

impl Ends {
    /// Ends the listening end, which is the kernel's mostly, while the other still answers: sockets
    /// that nobody answers keep what they hold for a minute, of a thousand more than the memory that all
    /// may have (`tcp_mem`), and the next round would have less.
    fn close(self) -> Result<(), Failure> {
        let Self { client, server, hosts } = self;
        server.leave();
        sleep(CLOSING)?;
        drop((client, hosts));
        Ok(())
    }

    fn look(&mut self) -> Result<Moment, Failure> {
        self.client.ask();
        self.server.ask();
        let busy = machine::busy();
        Ok(Moment { client: self.client.sample()?, server: self.server.sample()?, busy })
    }
}

fn evaluate(role: Role, before: &Moment, after: &Moment) -> Round {
    let counted = |moment: &Moment| match role {
        Role::Sender => (moment.server.at, moment.server.counts.clone()),
        Role::Receiver | Role::Asker | Role::Knocker => {
            (moment.client.at, moment.client.counts.clone())
        }
    };
    let ((t0, c0), (t1, c1)) = (counted(before), counted(after));
    let shares: Vec<f64> = c0.iter().zip(&c1).map(|(c0, c1)| float(c1 - c0)).collect();
    let (count, seconds) = (shares.iter().sum::<f64>(), float(t1 - t0) / 1e9);
    let (rate, each) = if role.is_bulk() {
        (count * 8.0 / 1e9 / seconds, count / 1e9)
    } else {
        (count / seconds, count / 1e6)
    };
    let cpu = |before: &Sample, after: &Sample| float(after.cpu - before.cpu) / 1e6 / each;
    let busy = before.busy.zip(after.busy).map(|(b, a)| a.saturating_sub(b).as_secs_f64());
    Round {
        rate,
        cpu_this: cpu(&before.client, &after.client),
        cpu_other: cpu(&before.server, &after.server),
        cpu_machine: busy.map(|busy| busy / each),
        per_packet: per_packet(&before.client, &after.client),
        peak_memory: after.client.resident[1],
        jain: (shares.len() > 1).then(|| jain(&shares)).flatten(),
        late: None,
    }
}

fn per_packet(before: &Sample, after: &Sample) -> Option<[f64; 2]> {
    let ([c0, i0], [c1, i1]) = before.work.zip(after.work)?;
    let packets = Some(float(after.packets - before.packets)).filter(|&packets| packets > 0.0)?;
    Some([c1 - c0, i1 - i0].map(|count| float(count) / packets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: u64, counts: [u64; 2], cpu: u64) -> Moment {
        let sample = |counts: Vec<u64>, cpu| Sample {
            at: at * 1_000_000_000,
            cpu,
            work: Some([3_000 * at, 5_000 * at]),
            packets: 10 * at,
            counts,
            resident: [10, 20],
            error: None,
        };
        Moment {
            client: sample(vec![0, 0], cpu),
            server: sample(counts.to_vec(), 2 * cpu),
            busy: Some(Duration::from_micros(4 * cpu)),
        }
    }

    #[test]
    fn bytes_are_counted_where_they_are_received() {
        let (before, after) = (moment(1, [0, 0], 0), moment(3, [1 << 30, 1 << 30], 500_000));
        let round = evaluate(Role::Sender, &before, &after);
        let gigabytes = 2.147_483_648;
        assert!((round.rate - gigabytes * 4.0).abs() < 1e-9, "{round:?}");
        assert!((round.cpu_this - 0.5 / gigabytes).abs() < 1e-9, "{round:?}");
        assert!((round.cpu_other - 1.0 / gigabytes).abs() < 1e-9, "{round:?}");
        assert_eq!((round.jain, round.peak_memory), (Some(1.0), 20));
        assert_eq!(round.per_packet, Some([300.0, 500.0]));
        let other = evaluate(Role::Receiver, &before, &after);
        assert!(other.rate.abs() < f64::EPSILON, "the client received nothing: {other:?}");
    }

    #[test]
    fn answers_are_counted_by_who_asks() {
        let (mut before, mut after) = (moment(0, [0, 0], 0), moment(2, [0, 0], 1_000_000));
        (before.client.counts, after.client.counts) = (vec![100], vec![2_100]);
        let round = evaluate(Role::Asker, &before, &after);
        assert_eq!((round.rate, round.cpu_this, round.jain), (1_000.0, 500.0, None));
    }
}
