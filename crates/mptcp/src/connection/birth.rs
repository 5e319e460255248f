//! How connections and subflows begin: active and passive opens, joins both ways.

use bytes::Bytes;
use manypath_base::{AddrId, DataOffset, IfaceId, Instant, PathId, SubflowId};
use manypath_tcp::{FastOpen, Flow, Opening, Received, SynOffer};
use manypath_wire::{CapableFlags, MpCapable, MpJoin, MptcpOptions, Segment};

use super::seam::Seam;
use super::subflow::{Kind, Subflow, SubflowState};
use super::views::Views;
use super::watch::Silence;
use super::{Birth, Connection, Joining};

impl Connection {
    /// Active open of a stream that begins with `early`. The initial subflow has [`SubflowId`] 0.
    pub(crate) fn connect(now: Instant, birth: Birth, early: Bytes) -> Self {
        let has_cookie = matches!(birth.opening.fast_open, FastOpen::Use { .. });
        let packet = birth.opening.path.mss;
        let mut conn = Self::begin(now, birth, |opening| Flow::connect(now, opening));
        conn.write_early(early, has_cookie, packet);
        conn
    }

    /// Passive open: `syn` came to a listener.
    pub(crate) fn accept(now: Instant, birth: Birth, syn: &Segment) -> Self {
        let mut conn = Self::begin(now, birth, |opening| Flow::accept(now, opening, syn));
        conn.read_syn_options(&syn.options.mptcp);
        conn
    }

    /// A connection with its first subflow.
    pub(super) fn begin(
        now: Instant,
        mut birth: Birth,
        flow: impl FnOnce(Opening) -> Flow,
    ) -> Self {
        let mut conn = Self::new(&mut birth);
        let state = SubflowState::new(Kind::Initial, AddrId(0), AddrId(0));
        conn.add_subflow(now, birth.iface, state, flow, birth.opening);
        conn
    }

    /// Passive open of which nothing was kept but a cookie, which `ack` brings back with the keys
    /// and flags that were agreed (RFC 8684 §3.1). `None` if `ack` does not complete the handshake.
    pub(crate) fn resume(
        now: Instant,
        mut birth: Birth,
        offer: &SynOffer,
        ack: Received,
    ) -> Option<Self> {
        let mut conn = Self::new(&mut birth);
        if let Some(MpCapable::Ack { flags, .. }) = ack.segment.options.mptcp.capable {
            conn.read_flags(flags);
        }
        let mut state = SubflowState::new(Kind::Initial, AddrId(0), AddrId(0));
        let opening = conn.opening(birth.opening);
        let mut seam = Seam { shared: &mut conn.shared, sub: &mut state };
        let flow = Flow::resume(now, opening, offer, ack, &mut seam)?;
        conn.push_subflow(now, birth.iface, state, flow);
        conn.settle(now, 0);
        Some(conn)
    }

    /// Opens a further subflow.
    pub(crate) fn join_out(&mut self, now: Instant, join: Joining) -> SubflowId {
        let kind = Kind::Join { opener: true, nonce: join.nonce, peer_nonce: 0 };
        let mut state = SubflowState::new(kind, join.local_id, join.remote_id);
        state.backup_local = join.backup;
        self.add_subflow(now, join.iface, state, |o| Flow::connect(now, o), join.opening)
    }

    /// Takes in a further subflow that the peer opens with `syn`.
    pub(crate) fn join_in(&mut self, now: Instant, join: Joining, syn: &Segment) -> SubflowId {
        let (peer_nonce, remote_id, backup) = match syn.options.mptcp.join {
            Some(MpJoin::Syn { backup, addr_id, nonce, .. }) => (nonce, addr_id, backup),
            Some(MpJoin::SynAck { .. } | MpJoin::Ack { .. }) | None => (0, AddrId(0), false),
        };
        let kind = Kind::Join { opener: false, nonce: join.nonce, peer_nonce };
        let mut state = SubflowState::new(kind, join.local_id, remote_id);
        state.backup_remote = backup;
        state.backup_local = join.backup;
        self.add_subflow(now, join.iface, state, |o| Flow::accept(now, o, syn), join.opening)
    }

    fn add_subflow(
        &mut self,
        now: Instant,
        iface: IfaceId,
        state: SubflowState,
        flow: impl FnOnce(Opening) -> Flow,
        opening: Opening,
    ) -> SubflowId {
        let flow = flow(self.opening(opening));
        self.push_subflow(now, iface, state, flow)
    }

    /// What the next subflow's flow is made from.
    fn opening(&self, mut opening: Opening) -> Opening {
        opening.path.id = PathId::from(SubflowId(self.next_subflow));
        self.switches.apply(&mut opening.config);
        opening
    }

    fn push_subflow(
        &mut self,
        now: Instant,
        iface: IfaceId,
        state: SubflowState,
        flow: Flow,
    ) -> SubflowId {
        let id = SubflowId(self.next_subflow);
        self.next_subflow += 1;
        self.subflows.push(Subflow {
            id,
            iface,
            flow,
            state,
            up: false,
            heard_at: now,
            silence: Silence::default(),
            last_data: DataOffset::ZERO,
            doubt: None,
            penalised_at: now,
            down: None,
            views: Views::default(),
        });
        self.paths.is_stale = true;
        self.refresh_plan();
        id
    }

    /// Puts options of the SYN that opened the connection to use.
    pub(super) fn read_syn_options(&mut self, options: &MptcpOptions) {
        if let Some(MpCapable::Syn { flags, .. }) = options.capable {
            self.read_flags(flags);
        }
    }

    fn read_flags(&mut self, flags: CapableFlags) {
        self.shared.checksum |= flags.has(CapableFlags::CHECKSUM);
        self.shared.deny_join_id0 = flags.has(CapableFlags::DENY_JOIN_ID0);
    }
}
