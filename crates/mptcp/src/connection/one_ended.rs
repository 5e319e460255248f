//! One-ended multipath: a connection that is TCP, and whose local address is on several interfaces,
//! goes over all of them. The peer knows nothing of it (draft-van-beijnum-1e-mp-tcp-00).
//!
//! **Owns** which interface a path of the flow belongs to. **Leaves out** the paths themselves:
//! `manypath-tcp` proves them, spreads over them and leaves them.

use alloc::vec::Vec;

use manypath_base::{IfaceId, Instant, PathId, Rng, SubflowId};
use manypath_cc::Config as CcConfig;
use manypath_sched::Algorithm;
use manypath_tcp::{Barred, PathConfig, SinglePath};

use super::{Connection, LocalEntry, Mode};
use crate::address;
use crate::event::PathDownReason;
use crate::{Event, Protocol};

/// What it takes to spread a connection.
#[derive(Debug)]
pub(crate) struct Spreading {
    /// The interface that it would have begun on, had another not been the better one before: there
    /// the handshake goes if the path that it began on does not answer.
    pub(crate) usual: Option<IfaceId>,
    /// Which path takes what.
    pub(crate) scheduler: Algorithm,
    /// Of the numbers that only the paths' ends may know.
    pub(crate) seed: [u8; 32],
}

/// The paths of a connection beside the first.
#[derive(Debug, Default)]
pub(crate) struct OneEnded {
    /// Until it is used.
    spreading: Option<Spreading>,
    /// The flow takes further paths.
    ready: bool,
    /// Interfaces changed, or the flow was not ready when they were looked at.
    stale: bool,
    paths: Vec<(PathId, IfaceId)>,
    /// The destination bears one path only.
    harmed: bool,
}

impl OneEnded {
    pub(crate) fn new(spreading: Option<Spreading>) -> Self {
        Self { spreading, stale: true, ..Self::default() }
    }

    /// The interface of a further path.
    pub(crate) fn iface(&self, path: PathId) -> Option<IfaceId> {
        self.paths.iter().find(|(id, _)| *id == path).map(|(_, iface)| *iface)
    }

    /// The further path over an interface.
    pub(crate) fn path_on(&self, iface: IfaceId) -> Option<PathId> {
        self.paths.iter().find(|(_, on)| *on == iface).map(|(id, _)| *id)
    }

    pub(crate) fn is_used(&self) -> bool {
        !self.paths.is_empty()
    }

    pub(super) fn interfaces_changed(&mut self) {
        self.stale = true;
    }
}

impl Connection {
    /// Whether the destination is to be remembered as one that bears a single path only.
    pub(crate) fn take_harmed(&mut self) -> bool {
        core::mem::take(&mut self.one_ended.harmed)
    }

    /// The interface that the next connections to this destination had best begin on, as far as is known.
    pub(crate) fn best_to_begin(&self) -> Option<IfaceId> {
        if !self.one_ended.is_used() {
            return None;
        }
        let first = self.subflows.first()?;
        let path = first.flow.best_to_begin()?;
        Some(self.one_ended.iface(path).unwrap_or(first.iface))
    }

    /// The handshake got no answer on a path that was chosen for its merits: it goes on where it would
    /// have begun without them, by the interface that this gives.
    pub(crate) fn begin_as_usual(&mut self) -> Option<IfaceId> {
        let first = self.subflows.first_mut().filter(|first| first.flow.repeats_handshake())?;
        first.iface = self.one_ended.spreading.as_mut()?.usual.take()?;
        Some(first.iface)
    }

    /// The interface that a packet of a path leaves by, where that is not the subflow's.
    pub(crate) fn iface_of(&self, path: PathId) -> Option<IfaceId> {
        self.one_ended.iface(path)
    }

    /// Gives the flow the paths that the interfaces offer, once the connection is TCP for good.
    pub(super) fn spread(&mut self, now: Instant) {
        let plain = matches!(self.shared.mode, Mode::Plain(_)) && self.established;
        if !self.one_ended.stale || !plain || self.subflows.len() != 1 {
            return;
        }
        if self.prepare(now) {
            self.one_ended.stale = false;
            self.follow_interfaces(now);
        }
    }

    /// Returns whether the flow takes further paths.
    fn prepare(&mut self, now: Instant) -> bool {
        let Self { one_ended, subflows, .. } = self;
        if let Some(Spreading { scheduler, seed, .. }) = one_ended.spreading.take() {
            let (scheduler, rng) = (scheduler.build(), Rng::from_seed(seed));
            match subflows[0].flow.use_several_paths(now, scheduler, rng) {
                Ok(()) => one_ended.ready = true,
                Err(SinglePath::NoSack | SinglePath::NotOpen | SinglePath::NoRoom) => {}
            }
        }
        if !one_ended.ready {
            one_ended.stale = false;
        }
        one_ended.ready
    }

    /// A path for each interface that has the local address; none for those that have it no more.
    fn follow_interfaces(&mut self, now: Instant) {
        let (local, first) = (self.ends.local().ip(), self.subflows[0].iface);
        let here = |l: &&LocalEntry| l.addr == local && l.iface != first;
        let there: Vec<LocalEntry> = self.paths.locals().iter().filter(here).copied().collect();
        let gone = |iface: IfaceId| !there.iter().any(|l| l.iface == iface);
        for (path, _) in self.one_ended.paths.extract_if(.., |(_, iface)| gone(*iface)) {
            self.subflows[0].flow.remove_path(now, path);
            let subflow = SubflowId::from(path);
            let why = PathDownReason::AddressRemoved;
            self.events.push_back(Event::PathDown(self.id, subflow, why));
        }
        for entry in there {
            if self.one_ended.path_on(entry.iface).is_none() {
                self.add_path(now, &entry);
            }
        }
    }

    fn add_path(&mut self, now: Instant, entry: &LocalEntry) {
        let mss = address::mss(entry.mtu, entry.addr);
        let id = PathId(self.next_subflow);
        let controller = self.congestion_control.build(CcConfig::new(mss));
        let config = PathConfig { id, mss, controller };
        match self.subflows[0].flow.add_path(now, config) {
            Ok(()) => {
                self.next_subflow += 1;
                self.one_ended.paths.push((id, entry.iface));
            }
            // It keeps the paths that it has.
            Err(SinglePath::NoSack | SinglePath::NotOpen | SinglePath::NoRoom) => {}
        }
    }

    /// A further path carries data from now on.
    pub(super) fn on_path_proven(&mut self, path: PathId) {
        let subflow = SubflowId::from(path);
        let (local, remote) = (self.ends.local(), self.ends.remote());
        self.events.push_back(Event::PathUp { conn: self.id, subflow, local, remote });
    }

    /// A path is used no longer.
    pub(super) fn on_path_barred(&mut self, path: PathId, why: Barred) {
        self.one_ended.harmed = true;
        let why = match why {
            Barred::Reset => PathDownReason::Reset(None),
            Barred::Swallows => PathDownReason::Silent,
            Barred::Harm => PathDownReason::Harmful,
        };
        self.events.push_back(Event::PathDown(self.id, SubflowId::from(path), why));
    }

    /// What the connection speaks.
    pub(crate) fn protocol(&self) -> Protocol {
        match self.shared.mode {
            Mode::Negotiating => Protocol::Negotiating,
            Mode::Multipath => Protocol::Multipath,
            Mode::Plain(_) if self.one_ended.is_used() => Protocol::OneEnded,
            Mode::Plain(Some(reason)) => Protocol::FellBack(reason),
            Mode::Plain(None) => Protocol::PlainTcp,
        }
    }
}
