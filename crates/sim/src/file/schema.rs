//! What stands in an experiment file.
//!
//! **Owns** names and defaults of keys. **Leaves out** what follows from them: `build`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::units::{Chance, Room, Size, Sizes, Speed, Time};
use crate::{Meddling, Spread, Ways};

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) claim: String,
    #[serde(default)]
    pub(crate) source: String,
    pub(crate) duration: Time,
    pub(crate) warmup: Option<Time>,
    #[serde(default = "default_seeds")]
    pub(crate) seeds: Vec<u64>,
    pub(crate) sample: Option<Time>,
    #[serde(default)]
    pub(crate) phase: BTreeMap<String, Phase>,
    pub(crate) topology: Option<Topology>,
    /// How switches choose among equally short ways.
    #[serde(default)]
    pub(crate) spread: Spread,
    #[serde(default)]
    pub(crate) stack: Stack,
    #[serde(default)]
    pub(crate) host: BTreeMap<String, Host>,
    #[serde(default)]
    pub(crate) link: BTreeMap<String, Way>,
    #[serde(default)]
    pub(crate) flow: BTreeMap<String, Flow>,
    #[serde(default)]
    pub(crate) event: Vec<Event>,
    #[serde(default)]
    pub(crate) case: BTreeMap<String, toml::Table>,
    #[serde(default)]
    pub(crate) expect: Vec<Expect>,
}

fn default_seeds() -> Vec<u64> {
    (1..=5).collect()
}

/// A part of the run that is also measured by itself.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phase {
    pub(crate) from: Time,
    pub(crate) to: Time,
}

/// A network by its kind. Its links all have the properties that `link` says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Topology {
    /// Pairs of hosts `s0` to `d0` and so on, over the link `bottleneck`.
    Dumbbell { pairs: u32, link: Way },
    /// Links `l0`, `l1` and so on in a ring; `s0` reaches `d0` over the first and the second.
    Torus { links: u32, link: Way },
    /// Hosts `h0` and so on in `k` pods, with k/2 links up at each switch (Al-Fares 2008).
    FatTree {
        k: u32,
        link: Way,
        /// What the hosts themselves queue; as switches do where nothing is said.
        #[serde(rename = "host-queue")]
        host_queue: Option<Room>,
    },
    /// Hosts `h0` and so on, each with an interface at every level of switches (Guo 2009).
    Bcube {
        ports: u32,
        levels: u32,
        link: Way,
        /// What the hosts themselves queue; as switches do where nothing is said.
        #[serde(rename = "host-queue")]
        host_queue: Option<Room>,
    },
    /// A host `server` with the links `up0` and `up1` to a router, and clients `c0` and so on.
    DualHomed { clients: u32, link: Way },
}

/// Settings of endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Stack {
    pub(crate) receive_buffer: Option<Size>,
    pub(crate) send_buffer: Option<Size>,
    pub(crate) delayed_ack: Option<Time>,
    pub(crate) min_rto: Option<Time>,
    pub(crate) pacing: Option<bool>,
    pub(crate) nagle: Option<bool>,
    /// Ask peers for explicit congestion notification (RFC 3168).
    pub(crate) ecn: Option<bool>,
    /// Offer and use selective acknowledgments (RFC 2018).
    pub(crate) sack: Option<bool>,
    /// Offer and use timestamps (RFC 7323 §3).
    pub(crate) timestamps: Option<bool>,
    /// Offer and use window scaling (RFC 7323 §2); without, windows end at 64 KB.
    pub(crate) window_scale: Option<bool>,
    pub(crate) max_burst: Option<Size>,
    pub(crate) subflows_per_pair: Option<u32>,
    pub(crate) cc: Option<String>,
    pub(crate) scheduler: Option<String>,
    /// Tell peers of all addresses.
    pub(crate) announce: Option<bool>,
}

/// A host; what is not said is as in `stack`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Host {
    #[serde(default)]
    pub(crate) stack: Stack,
    /// Links whose subflows are backups.
    #[serde(default)]
    pub(crate) backup: Vec<String>,
    /// All its interfaces have one address, so that what falls back to TCP goes over all of them.
    #[serde(default)]
    pub(crate) one_address: bool,
    /// Its addresses are IPv6 addresses, as those of the hosts that it talks to have to be.
    #[serde(default)]
    pub(crate) ipv6: bool,
}

/// Links of common kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Preset {
    Wifi,
    #[serde(rename = "3g")]
    ThreeG,
    Lte,
    Satellite,
}

/// A link, or what is different on its way back.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Way {
    pub(crate) ends: Option<[String; 2]>,
    pub(crate) preset: Option<Preset>,
    pub(crate) rate: Option<Speed>,
    pub(crate) trace: Option<String>,
    pub(crate) delay: Option<Time>,
    pub(crate) queue: Option<Room>,
    pub(crate) aqm: Option<Aqm>,
    pub(crate) mark_from: Option<Room>,
    /// Packets that are marked whatever the queue.
    pub(crate) mark: Option<Chance>,
    pub(crate) loss: Option<Chance>,
    pub(crate) burst_loss: Option<BurstLoss>,
    pub(crate) reorder: Option<Chance>,
    pub(crate) reorder_delay: Option<Time>,
    pub(crate) duplicate: Option<Chance>,
    /// Packets arrive only every so often, those of the time between together.
    pub(crate) bunch: Option<Time>,
    pub(crate) middlebox: Option<Meddling>,
    pub(crate) back: Option<Box<Way>>,
}

/// What a queue drops before it is full.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Aqm {
    RandomTail {
        packets: u64,
    },
    Red {
        min: Size,
        max: Size,
        chance: Chance,
    },
    #[serde(rename = "codel")]
    CoDel {
        target: Option<Time>,
        interval: Option<Time>,
    },
}

/// Loss in bursts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BurstLoss {
    pub(crate) to_bad: Chance,
    pub(crate) to_good: Chance,
    pub(crate) loss_good: Option<Chance>,
    pub(crate) loss_bad: Chance,
}

/// Which hosts a group of flows joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pattern {
    /// `s0` to `d0` and so on.
    Pairs,
    /// Each host to another, and each is the goal of one; drawn anew for each seed.
    Permutation,
}

/// Traffic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Flow {
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) count: Option<u32>,
    pub(crate) cc: Option<String>,
    pub(crate) scheduler: Option<String>,
    #[serde(default)]
    pub(crate) tcp: bool,
    /// Plain TCP to the server, over all interfaces of the client that have one address.
    #[serde(default)]
    pub(crate) one_ended: bool,
    pub(crate) workload: Option<Workload>,
    pub(crate) start: Option<Time>,
    pub(crate) jitter: Option<Time>,
    #[serde(default)]
    pub(crate) checked: bool,
}

/// What a flow carries.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Workload {
    Bulk { bytes: Option<Size> },
    OnOff { on: Time, off: Time },
    Requests { request: Size, response: Size, gap: Time, count: Option<u64> },
    Cbr { rate: Speed, bytes: Option<Size> },
    Page { objects: u64, bytes: Sizes, connections: u64 },
    Arrivals { gap: Time, bytes: Size },
}

/// Something that happens to a link: exactly one thing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    pub(crate) at: Time,
    pub(crate) link: String,
    /// The way of the link that it happens on, both where nothing is said.
    #[serde(default)]
    pub(crate) ways: Ways,
    #[serde(default)]
    pub(crate) cut: bool,
    #[serde(default)]
    pub(crate) restore: bool,
    pub(crate) rate: Option<Speed>,
    pub(crate) delay: Option<Time>,
    pub(crate) loss: Option<Chance>,
}

/// What is expected of the mean over all seeds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) case: Option<String>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) equals: Option<f64>,
    pub(crate) tolerance: Option<f64>,
    #[serde(default)]
    pub(crate) source: String,
}
