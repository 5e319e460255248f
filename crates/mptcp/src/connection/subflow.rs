//! One subflow: a TCP flow, what it negotiated, and the mappings that it carries.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use manypath_base::{AddrId, DataOffset, DataSeq, IfaceId, Instant, Key, SubflowId};
use manypath_tcp::{Flow, Incoming};
use manypath_wire::{AddAddr, Dss, MpPrio, MpTcpRst, RemoveAddr, ResetReason};

use super::checksum::Unverified;
use super::fast_open::OnSyn;
use super::mapping::Mappings;
use super::removal::Doubt;
use super::unmapped::Unmapped;
use super::views::Views;
use super::watch::Silence;
use crate::event::PathDownReason;

/// How a subflow belongs to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It began the connection (MP_CAPABLE).
    Initial,
    /// It joined (MP_JOIN).
    Join {
        /// Whether this side opened it.
        opener: bool,
        /// This side's nonce.
        nonce: u32,
        /// The peer's nonce; 0 until its SYN or SYN/ACK has come.
        peer_nonce: u32,
    },
}

/// How far its handshake has come (RFC 8684 §3.1, §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Options were offered in SYN or SYN/ACK; the peer has not answered.
    Offered,
    /// This side opened it and sent the third ACK; the peer has not shown that it came.
    Unconfirmed,
    /// Both sides know.
    Confirmed,
}

/// Something to say once on this subflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    AddAddr(AddAddr),
    RemoveAddr(RemoveAddr),
    Prio(MpPrio),
    /// MP_FASTCLOSE with the peer's key.
    FastClose(Key),
}

/// Something that the peer said on this subflow, to be acted on by the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    AddAddr(AddAddr),
    RemoveAddr(RemoveAddr),
    Prio(bool),
    Fail(DataSeq),
    FastClose,
    /// The handshake is complete on both sides.
    Confirmed,
    /// DATA_FIN: it is to be acknowledged at once.
    DataFin,
    /// The third ACK came again: it is to be answered.
    Repeated,
    /// An HMAC did not match.
    BadHmac,
}

/// What is yet to be said, or acted on: nothing, most of the time.
#[derive(Debug, Default)]
struct Words {
    to_say: VecDeque<Signal>,
    said: Vec<Said>,
    /// Segments that came before the one with the peer's key, with their DSS.
    early: Vec<(Incoming, Dss)>,
}

impl Words {
    fn is_empty(&self) -> bool {
        let Self { to_say, said, early } = self;
        to_say.is_empty() && said.is_empty() && early.is_empty()
    }
}

/// What the seam needs of a subflow beside its flow.
#[derive(Debug)]
pub(crate) struct SubflowState {
    pub(crate) kind: Kind,
    pub(crate) stage: Stage,
    pub(crate) local_id: AddrId,
    /// The peer's identifier of its address; 0 for the initial subflow.
    pub(crate) remote_id: AddrId,
    /// The peer is asked to use it as a backup.
    pub(crate) backup_local: bool,
    /// The peer asks for it to be used as a backup.
    pub(crate) backup_remote: bool,
    /// End of the data that it was given.
    pub(crate) carried: DataOffset,
    pub(crate) tx: Mappings,
    pub(crate) rx: Mappings,
    pub(crate) on_syn: OnSyn,
    words: Option<Box<Words>>,
    /// Acknowledgments in a row that were sent for signals alone.
    pub(crate) alone: u8,
    /// When a signal may go out alone again, where nothing came or went meanwhile.
    pub(crate) alone_again: Option<Instant>,
    /// When the third ACK of a join is to be repeated, and how often it was (RFC 8684 §3.2), or the
    /// peer's keys are no longer waited for.
    pub(crate) confirm_timer: Option<Instant>,
    pub(crate) confirm_attempts: u32,
    /// Data whose mapping's checksum was not verified yet.
    pub(crate) unverified: Option<Box<Unverified>>,
    /// Data whose mapping has not come yet.
    pub(crate) unmapped: Unmapped,
    /// SYNs without MP_CAPABLE that were sent.
    pub(crate) plain_syns: u8,
    /// The last segment of this side repeated the keys.
    pub(crate) keys_told: bool,
    /// A DATA_ACK has come beside the acknowledgment of its data: options get through both ways
    /// (RFC 8684 §3.7).
    pub(crate) heard_data_ack: bool,
    /// A DSS has come on it, or the mapping of MP_CAPABLE.
    pub(crate) heard_dss: bool,
    /// The last segment that came had options of MPTCP.
    pub(crate) hears_options: bool,
    /// What the peer's RST said.
    pub(crate) reset_reason: Option<MpTcpRst>,
    /// MP_FAIL for this goes out with the RST.
    pub(crate) failed_at: Option<DataSeq>,
}

impl SubflowState {
    pub(crate) fn new(kind: Kind, local_id: AddrId, remote_id: AddrId) -> Self {
        Self {
            kind,
            stage: Stage::Offered,
            local_id,
            remote_id,
            backup_local: false,
            backup_remote: false,
            carried: DataOffset::default(),
            tx: Mappings::default(),
            rx: Mappings::default(),
            on_syn: OnSyn::default(),
            words: None,
            alone: 0,
            alone_again: None,
            confirm_timer: None,
            confirm_attempts: 0,
            unverified: None,
            unmapped: Unmapped::default(),
            plain_syns: 0,
            keys_told: false,
            heard_data_ack: false,
            heard_dss: false,
            hears_options: false,
            reset_reason: None,
            failed_at: None,
        }
    }
}

/// "SHOULD NOT send more than two duplicate ACKs in a row for the purposes of sending MPTCP options
/// alone" (RFC 8684 §3).
const MAX_ALONE: u8 = 2;
/// After this time without any segment a row is over: nobody takes it for congestion.
const ALONE_PAUSE: Duration = Duration::from_millis(100);

/// Segments with a mapping that are remembered until the third ACK, which they overtook, brings
/// the peer's key: about a first window.
const MAX_EARLY: usize = 64;
/// Signals that wait on one subflow, at most: a peer decides how many echoes it asks for.
const MAX_SIGNALS: usize = 32;

impl SubflowState {
    /// Whether data waits for its mapping where others had theirs: what TCP would take it for, the peer may
    /// have sent before.
    pub(crate) fn lacks_mapping(&self) -> bool {
        self.heard_dss && self.unmapped.first().is_some()
    }

    /// Whether a signal may have an acknowledgment of its own (RFC 8684 §3, §4).
    pub(crate) fn may_signal_alone(&self) -> bool {
        self.alone < MAX_ALONE
    }

    /// A signal went out without data.
    pub(crate) fn on_signal_alone(&mut self, now: Instant) {
        self.alone += 1;
        self.alone_again = Some(now + ALONE_PAUSE);
    }

    /// Something came, or data went out: the row is broken.
    pub(crate) fn end_row(&mut self) {
        (self.alone, self.alone_again) = (0, None);
    }

    pub(crate) fn release_spare(&mut self) {
        let Self { tx, rx, words, unverified, .. } = self;
        tx.release_spare();
        rx.release_spare();
        words.take_if(|words| words.is_empty());
        unverified.take_if(|unverified| unverified.is_empty());
    }

    /// Says something once, as soon as there is room for it.
    pub(crate) fn say(&mut self, signal: Signal) {
        let to_say = &mut self.words.get_or_insert_default().to_say;
        if to_say.len() < MAX_SIGNALS && !to_say.contains(&signal) {
            to_say.push_back(signal);
        }
    }

    /// The next thing to say.
    pub(crate) fn to_say(&self) -> Option<&Signal> {
        self.words.as_deref()?.to_say.front()
    }

    /// It is being said.
    pub(crate) fn take_to_say(&mut self) -> Option<Signal> {
        self.words.as_deref_mut()?.to_say.pop_front()
    }

    /// What is to be said of the subflow's priority is said no more.
    pub(crate) fn unsay_priority(&mut self) {
        if let Some(words) = &mut self.words {
            words.to_say.retain(|signal| !matches!(signal, Signal::Prio(_)));
        }
    }

    /// The peer said something.
    pub(crate) fn hear(&mut self, said: Said) {
        self.words.get_or_insert_default().said.push(said);
    }

    /// What the peer has said since this was asked last.
    pub(crate) fn take_said(&mut self) -> Vec<Said> {
        self.words.as_deref_mut().map(|words| core::mem::take(&mut words.said)).unwrap_or_default()
    }

    /// A segment came before the one with the peer's key: it is kept, unless there are too many.
    pub(crate) fn keep_early(&mut self, segment: &Incoming, dss: Dss) -> bool {
        let early = &mut self.words.get_or_insert_default().early;
        let fits = early.len() < MAX_EARLY;
        if fits {
            early.push((segment.clone(), dss));
        }
        fits
    }

    /// Whether such segments are kept.
    pub(crate) fn has_early(&self) -> bool {
        self.words.as_deref().is_some_and(|words| !words.early.is_empty())
    }

    /// The segments that came before the one with the peer's key.
    pub(crate) fn take_early(&mut self) -> Vec<(Incoming, Dss)> {
        self.words.as_deref_mut().map(|words| core::mem::take(&mut words.early)).unwrap_or_default()
    }
}

/// One subflow of a connection.
#[derive(Debug)]
pub(crate) struct Subflow {
    pub(crate) id: SubflowId,
    pub(crate) iface: IfaceId,
    pub(crate) flow: Flow,
    pub(crate) state: SubflowState,
    /// It was reported as up.
    pub(crate) up: bool,
    /// When anything last came on it.
    pub(crate) heard_at: Instant,
    /// What the watch has seen of it since.
    pub(crate) silence: Silence,
    /// Behind the data that came on it last.
    pub(crate) last_data: DataOffset,
    /// The peer withdrew its address; whether it lives shows soon.
    pub(crate) doubt: Option<Doubt>,
    /// When its window was last halved because it held the others up.
    pub(crate) penalised_at: Instant,
    /// Why this side ends it, where it does.
    pub(crate) down: Option<PathDownReason>,
    pub(super) views: Views,
}

impl Subflow {
    /// Whether new data may be sent on it: established, and in a join after the fourth ACK
    /// (RFC 8684 §3.2).
    pub(crate) fn may_carry(&self) -> bool {
        let opened = match self.state.kind {
            Kind::Initial => self.state.stage != Stage::Offered,
            Kind::Join { .. } => self.state.stage == Stage::Confirmed,
        };
        opened && self.flow.state().may_write()
    }

    /// Ends it where a middlebox took options away or changed data (RFC 8684 §3.7); the connection may
    /// go on with others.
    pub(crate) fn end_disturbed(&mut self) {
        self.down = Some(PathDownReason::Reset(None));
        let reason = ResetReason::MiddleboxInterference;
        self.flow.abort(Some(MpTcpRst { transient: false, reason }));
    }

    /// Whether signals of the connection get through on it: both sides know of each other.
    pub(crate) fn may_signal(&self) -> bool {
        let known = match self.state.kind {
            Kind::Initial => self.state.stage != Stage::Offered,
            Kind::Join { .. } => self.state.stage == Stage::Confirmed,
        };
        known && self.flow.state().is_synchronized()
    }

    /// Whether either side wants it used only as a backup.
    pub(crate) fn is_backup(&self) -> bool {
        self.state.backup_local || self.state.backup_remote
    }
}
