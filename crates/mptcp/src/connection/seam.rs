//! The seam to TCP: which MPTCP options leave with a segment, and what those that come mean.
//!
//! **Invariant**: options are read into fresh values segment by segment; nothing here sends.

use manypath_base::{DataOffset, SubflowOffset, Token, len16, usize32};
use manypath_cc::FlowView;
use manypath_tcp::{Extension, Incoming, Outgoing, Phase, Verdict};
use manypath_wire::{
    CapableFlags, Dss, DssMapping, DssNumber, FastClose, MpCapable, MpFail, MpJoin, MpTcpRst,
    MptcpOptions, ResetReason,
};

use super::mapping::{Inserted, Mapping};
use super::shared::{Infinite, Mode, Shared, low32};
use super::subflow::{Kind, Said, Signal, Stage, SubflowState};
use crate::FallbackReason;
use crate::crypto::{Identity, add_addr_hmac, equal, join_hmac, leftmost};

/// The protocol version of RFC 8684 §3.1.
const VERSION: u8 = 1;
/// SYNs with MP_CAPABLE before one without: a middlebox may drop what it does not know
/// (RFC 8684 §3.7).
const SYN_ATTEMPTS: u8 = 3;
/// Option bytes of MP_CAPABLE on the first data, padded.
pub(crate) const CAPABLE_DATA_LEN: usize = 24;
/// Segments with a mapping that are remembered until the third ACK, which they overtook, brings
/// the peer's key: about a first window.
const MAX_EARLY: usize = 64;

/// One subflow with what it shares, for the time of one call into its flow.
pub(crate) struct Seam<'a> {
    pub(crate) shared: &'a mut Shared,
    pub(crate) sub: &'a mut SubflowState,
}

impl Extension for Seam<'_> {
    fn write_options(&mut self, segment: &Outgoing, options: &mut MptcpOptions) {
        if let Mode::Plain(_) = self.shared.mode {
            return self.write_infinite(segment, options);
        }
        match segment.phase {
            Phase::Syn => self.write_syn(segment, options),
            Phase::SynAck => self.write_syn_ack(options),
            Phase::Open => self.write_open(segment, options),
            Phase::Reset => {
                if let Some(remote) = self.shared.remote.filter(|_| self.shared.fastclosing) {
                    options.fastclose = Some(FastClose { receiver_key: remote.key });
                }
                options.fail = self.sub.failed_at.map(|dsn| MpFail { dsn });
            }
        }
    }

    fn read_options(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        if let Mode::Plain(_) = self.shared.mode {
            return Verdict::Continue;
        }
        match segment.phase {
            Phase::SynAck => self.read_syn_ack(segment, options),
            Phase::Syn | Phase::Reset => Verdict::Continue,
            Phase::Open => match self.read_handshake(segment, options) {
                Verdict::Continue => self.read_open(segment, options),
                reset @ Verdict::Reset(_) => reset,
            },
        }
    }

    fn read_reset(&mut self, options: &MptcpOptions) {
        let own_key = self.shared.local.key;
        if options.fastclose.is_some_and(|close| close.receiver_key == own_key) {
            self.sub.said.push(Said::FastClose);
        }
    }

    fn cut(&self, start: SubflowOffset, len: u32) -> u32 {
        match self.sub.tx.find(start) {
            Some(mapping) => len.min(u32::try_from(mapping.end() - start).unwrap_or(len)),
            None => len,
        }
    }

    fn wants_ack(&self) -> bool {
        !self.sub.to_say.is_empty()
            && self.sub.stage == Stage::Confirmed
            && self.shared.is_multipath()
    }

    fn shared_window(&self) -> Option<u32> {
        self.shared.is_multipath().then(|| self.shared.recv.window())
    }

    fn flow_views(&self) -> Option<&[FlowView]> {
        self.shared.is_multipath().then_some(&self.shared.views)
    }
}

// Writing.
impl Seam<'_> {
    fn flags(&self) -> CapableFlags {
        let flags = CapableFlags::HMAC_SHA256;
        if self.shared.checksum { flags.with(CapableFlags::CHECKSUM) } else { flags }
    }

    fn write_syn(&mut self, segment: &Outgoing, options: &mut MptcpOptions) {
        match self.sub.kind {
            Kind::Initial if segment.attempt < SYN_ATTEMPTS => {
                options.capable = Some(MpCapable::Syn { version: VERSION, flags: self.flags() });
            }
            Kind::Initial => self.sub.plain_syn = true,
            Kind::Join { nonce, .. } => {
                let token = self.shared.remote.map_or(Token(0), |remote| remote.token);
                let (backup, addr_id) = (self.sub.backup_local, self.sub.local_id);
                options.join = Some(MpJoin::Syn { backup, addr_id, token, nonce });
            }
        }
    }

    fn write_syn_ack(&self, options: &mut MptcpOptions) {
        match self.sub.kind {
            Kind::Initial => {
                options.capable = Some(MpCapable::SynAck {
                    version: VERSION,
                    flags: self.flags(),
                    sender_key: self.shared.local.key,
                });
            }
            Kind::Join { nonce, peer_nonce, .. } => {
                let hmac = leftmost(&self.own_hmac(nonce, peer_nonce));
                let (backup, addr_id) = (self.sub.backup_local, self.sub.local_id);
                options.join = Some(MpJoin::SynAck { backup, addr_id, hmac, nonce });
            }
        }
    }

    fn own_hmac(&self, nonce: u32, peer_nonce: u32) -> [u8; 32] {
        let peer = self.shared.remote.map_or(self.shared.local.key, |remote| remote.key);
        join_hmac(self.shared.local.key, peer, nonce, peer_nonce)
    }

    fn write_open(&mut self, segment: &Outgoing, options: &mut MptcpOptions) {
        match (self.sub.kind, self.sub.stage) {
            (_, Stage::Offered) => {}
            (Kind::Initial, Stage::Unconfirmed) => self.write_third_ack(segment, options),
            (Kind::Join { nonce, peer_nonce, .. }, Stage::Unconfirmed) => {
                let hmac = leftmost(&self.own_hmac(nonce, peer_nonce));
                options.join = Some(MpJoin::Ack { hmac });
            }
            (_, Stage::Confirmed) => self.write_confirmed(segment, options),
        }
    }

    /// The third ACK, or the first data, carries both keys until the peer shows that it has them
    /// (RFC 8684 §3.1). Where nothing but DATA_FIN is left to say, the two take turns: they do not
    /// fit one segment, and a peer need not answer the third ACK.
    fn write_third_ack(&mut self, segment: &Outgoing, options: &mut MptcpOptions) {
        let Some(remote) = self.shared.remote else { return };
        let first = self.sub.tx.find(segment.start).filter(|_| segment.len > 0);
        if segment.len == 0 && self.shared.send.fin_is_next() {
            self.sub.keys_told = !self.sub.keys_told;
            if !self.sub.keys_told {
                self.shared.send.fin_sent = true;
                options.dss = Some(self.data_fin());
                return;
            }
        }
        self.sub.keys_told = true;
        let data = match first {
            Some(mapping) if mapping.ssn > SubflowOffset(1) => {
                options.dss = Some(self.dss(segment));
                return;
            }
            Some(mapping) => Some((len16(usize32(mapping.len)), mapping.checksum)),
            None => None,
        };
        options.capable = Some(MpCapable::Ack {
            version: VERSION,
            flags: self.flags(),
            sender_key: self.shared.local.key,
            receiver_key: remote.key,
            data,
        });
    }

    fn write_confirmed(&mut self, segment: &Outgoing, options: &mut MptcpOptions) {
        let mut space = segment.space;
        if segment.len > 0 {
            space = space.saturating_sub(self.shared.dss_len());
        }
        if let Some(len) = self.sub.to_say.front().map(signal_len).filter(|&len| len <= space) {
            space -= len;
            let signal = self.sub.to_say.pop_front().expect("it was at the front");
            put_signal(signal, options);
        }
        if segment.len > 0 {
            options.dss = Some(self.dss(segment));
        } else if self.shared.send.fin_is_next() && space >= self.shared.dss_len() {
            self.shared.send.fin_sent = true;
            options.dss = Some(self.data_fin());
        } else if space >= self.shared.dss_ack_len() {
            options.dss = Some(Dss { data_ack: self.data_ack(), ..Dss::default() });
        }
    }

    fn data_ack(&self) -> Option<DssNumber> {
        let remote = self.shared.remote?;
        let ack = self.shared.recv.nxt().seq(remote.idsn).0;
        Some(if self.shared.wide { DssNumber::Eight(ack) } else { DssNumber::Four(low32(ack)) })
    }

    fn dss(&self, segment: &Outgoing) -> Dss {
        let mapping = self.sub.tx.find(segment.start).map(|m| DssMapping {
            dsn: DssNumber::Four(self.shared.local_low(m.dsn)),
            ssn: m.ssn.low(),
            len: len16(usize32(m.len)),
            checksum: m.checksum,
        });
        debug_assert!(mapping.is_some(), "data at {:?} has no mapping", segment.start);
        Dss { data_fin: false, data_ack: self.data_ack(), mapping }
    }

    /// After falling back the peer is told once that everything from here on is mapped one to one
    /// (RFC 8684 §3.7).
    fn write_infinite(&mut self, segment: &Outgoing, options: &mut MptcpOptions) {
        if segment.len == 0 || segment.phase != Phase::Open {
            return;
        }
        if self.shared.infinite == Infinite::Due && segment.attempt == 0 {
            self.shared.infinite = Infinite::At(segment.start);
        }
        if self.shared.infinite == Infinite::At(segment.start) {
            options.dss = Some(Dss {
                data_fin: false,
                data_ack: None,
                mapping: Some(DssMapping {
                    dsn: DssNumber::Four(self.shared.local_low(DataOffset(segment.start.0))),
                    ssn: segment.start.low(),
                    len: 0,
                    checksum: self.shared.checksum.then_some(0),
                }),
            });
        }
    }

    /// A DATA_FIN without data: subflow sequence number 0, length 1 (RFC 8684 §3.3.3).
    fn data_fin(&self) -> Dss {
        let fin = self.shared.send.buffer.end();
        let dsn = fin.seq(self.shared.local.idsn).0;
        let empty = manypath_base::Payload::new();
        let checksum = self.shared.checksum.then(|| manypath_wire::dss_checksum(dsn, 0, 1, &empty));
        let mapping = DssMapping { dsn: DssNumber::Four(low32(dsn)), ssn: 0, len: 1, checksum };
        Dss { data_fin: true, data_ack: self.data_ack(), mapping: Some(mapping) }
    }
}

/// Option bytes that a signal needs, padded.
fn signal_len(signal: &Signal) -> usize {
    match signal {
        Signal::AddAddr(add) => {
            let addr: usize = if add.addr.is_ipv6() { 16 } else { 4 };
            let rest = 4 + add.port.map_or(0, |_| 2) + add.hmac.map_or(0, |_| 8);
            (addr + rest).next_multiple_of(4)
        }
        Signal::RemoveAddr(remove) => (3 + remove.ids.len()).next_multiple_of(4),
        Signal::Prio(_) => 4,
        Signal::Fail(_) => 12,
    }
}

fn put_signal(signal: Signal, options: &mut MptcpOptions) {
    match signal {
        Signal::AddAddr(add) => options.add_addr = Some(add),
        Signal::RemoveAddr(remove) => options.remove_addr = Some(remove),
        Signal::Prio(prio) => options.prio = Some(prio),
        Signal::Fail(dsn) => options.fail = Some(MpFail { dsn }),
    }
}

// Reading.
impl Seam<'_> {
    /// The SYN/ACK of a subflow that this side opened.
    fn read_syn_ack(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        match self.sub.kind {
            Kind::Initial => self.read_capable_syn_ack(segment, options),
            Kind::Join { nonce, .. } => self.read_join_syn_ack(nonce, options),
        }
    }

    fn read_capable_syn_ack(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        let Some(MpCapable::SynAck { version, flags, sender_key }) = options.capable else {
            self.shared.fall_back(if self.sub.plain_syn {
                FallbackReason::SynDropped
            } else {
                FallbackReason::NotSupported
            });
            return Verdict::Continue;
        };
        let usable = version == VERSION
            && flags.has(CapableFlags::HMAC_SHA256)
            && !flags.has(CapableFlags::EXTENSIBILITY)
            && sender_key != self.shared.local.key;
        if !usable {
            self.shared.fall_back(FallbackReason::Incompatible);
            return Verdict::Continue;
        }
        self.shared.checksum |= flags.has(CapableFlags::CHECKSUM);
        self.shared.deny_join_id0 = flags.has(CapableFlags::DENY_JOIN_ID0);
        self.shared.remote = Some(Identity::new(sender_key));
        self.shared.mode = Mode::Multipath;
        self.shared.send.edge = DataOffset(1) + u64::from(segment.window);
        self.sub.stage = Stage::Unconfirmed;
        Verdict::Continue
    }

    fn read_join_syn_ack(&mut self, nonce: u32, options: &MptcpOptions) -> Verdict {
        let Some(MpJoin::SynAck { backup, addr_id, hmac, nonce: peer_nonce }) = options.join else {
            return reset(ResetReason::MptcpError);
        };
        if !equal(&hmac, &leftmost::<8>(&self.peer_hmac(nonce, peer_nonce))) {
            self.sub.said.push(Said::BadHmac);
            return reset(ResetReason::MptcpError);
        }
        self.sub.kind = Kind::Join { opener: true, nonce, peer_nonce };
        self.sub.remote_id = addr_id;
        self.sub.backup_remote = backup;
        self.sub.stage = Stage::Unconfirmed;
        Verdict::Continue
    }

    /// What the peer's HMAC has to be.
    fn peer_hmac(&self, nonce: u32, peer_nonce: u32) -> [u8; 32] {
        let peer = self.shared.remote.map_or(self.shared.local.key, |remote| remote.key);
        join_hmac(peer, self.shared.local.key, peer_nonce, nonce)
    }

    /// What a segment after the SYNs says of the handshake.
    fn read_handshake(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        match (self.sub.kind, self.sub.stage) {
            (_, Stage::Confirmed) => {
                self.answer_repetition(segment, options);
                Verdict::Continue
            }
            (Kind::Initial, Stage::Offered) => self.read_third_ack(segment, options),
            (Kind::Initial, Stage::Unconfirmed) => {
                let announces = options.add_addr.is_some_and(|add| add.hmac.is_some());
                if options.dss.is_some() || announces {
                    self.confirm();
                } else if options.is_empty() && (segment.len > 0 || segment.ack > SubflowOffset(1))
                {
                    // RFC 8684 §3.7: the peer did not answer in kind.
                    self.shared.fall_back(FallbackReason::OptionsStripped);
                }
                Verdict::Continue
            }
            (Kind::Join { nonce, peer_nonce, .. }, Stage::Offered) => {
                self.read_join_ack(nonce, peer_nonce, options)
            }
            (Kind::Join { .. }, Stage::Unconfirmed) => {
                self.confirm(); // The fourth ACK, whatever else it carries.
                Verdict::Continue
            }
        }
    }

    /// A third ACK that comes again: what answered it was lost.
    fn answer_repetition(&mut self, segment: &Incoming, options: &MptcpOptions) {
        let third = matches!(options.join, Some(MpJoin::Ack { .. }))
            || matches!(options.capable, Some(MpCapable::Ack { .. }));
        if third && segment.len == 0 {
            self.sub.said.push(Said::Repeated);
        }
    }

    fn confirm(&mut self) {
        self.sub.stage = Stage::Confirmed;
        self.sub.confirm_timer = None;
        self.sub.said.push(Said::Confirmed);
    }

    /// The third ACK of the first subflow, or its first data, must repeat both keys.
    fn read_third_ack(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        match options.capable {
            Some(MpCapable::Ack { sender_key, receiver_key, .. })
                if receiver_key == self.shared.local.key && sender_key != receiver_key =>
            {
                let remote = Identity::new(sender_key);
                self.shared.remote = Some(remote);
                self.shared.mode = Mode::Multipath;
                self.shared.send.edge = DataOffset(1) + u64::from(segment.window);
                self.confirm();
                for (segment, dss) in core::mem::take(&mut self.sub.early) {
                    self.read_dss(&segment, &dss);
                }
                Verdict::Continue
            }
            Some(_) => reset(ResetReason::MptcpError),
            None if self.is_early(segment, options) => Verdict::Continue,
            None => {
                self.shared.fall_back(FallbackReason::OptionsStripped);
                Verdict::Continue
            }
        }
    }

    /// A segment with DSS that has overtaken the one with the keys.
    fn is_early(&mut self, segment: &Incoming, options: &MptcpOptions) -> bool {
        let Some(dss) = options.dss else { return false };
        let overtook = segment.start > SubflowOffset(1) || segment.len == 0;
        if overtook && self.sub.early.len() < MAX_EARLY {
            self.sub.early.push((segment.clone(), dss));
            return true;
        }
        false
    }

    fn read_join_ack(&mut self, nonce: u32, peer_nonce: u32, options: &MptcpOptions) -> Verdict {
        let Some(MpJoin::Ack { hmac }) = options.join else {
            // Data before the third ACK, or an ACK without its option: not authenticated.
            return reset(ResetReason::MptcpError);
        };
        if !equal(&hmac, &leftmost::<20>(&self.peer_hmac(nonce, peer_nonce))) {
            self.sub.said.push(Said::BadHmac);
            return reset(ResetReason::MptcpError);
        }
        self.confirm();
        Verdict::Continue
    }

    fn read_open(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        if !self.shared.is_multipath() {
            return Verdict::Continue;
        }
        if let Some(MpCapable::Ack { data: Some((len, checksum)), .. }) = options.capable {
            let first = DataOffset(1);
            let (ssn, len) = (SubflowOffset(1), len.into());
            self.map(Mapping { ssn, dsn: first, len, checksum, fin: false });
        }
        if let Some(dss) = &options.dss {
            self.read_dss(segment, dss);
            if self.ends_mapping(segment, dss) {
                return reset(ResetReason::MptcpError);
            }
        }
        self.read_signals(options);
        Verdict::Continue
    }

    /// An infinite mapping (length 0) says that the peer has fallen back: from here on both levels
    /// count alike, if they ever did (RFC 8684 §3.7). Returns whether the subflow is broken.
    fn ends_mapping(&mut self, segment: &Incoming, dss: &Dss) -> bool {
        let infinite = dss.mapping.is_some_and(|m| m.len == 0) && !dss.data_fin;
        if !infinite || segment.len == 0 {
            return false;
        }
        if self.shared.may_fall_back() {
            self.shared.fall_back(FallbackReason::PeerFellBack);
            return false;
        }
        true
    }

    fn map(&mut self, mapping: Mapping) {
        match self.sub.rx.insert(mapping) {
            Inserted::New => self.shared.skewed |= mapping.ssn.0 != mapping.dsn.0,
            Inserted::Known | Inserted::Refused => {}
        }
    }

    fn read_dss(&mut self, segment: &Incoming, dss: &Dss) {
        let shared = &mut *self.shared;
        let near = shared.send.una;
        let ack = dss.data_ack.and_then(|n| unwrap(n, shared.local, near));
        if let Some(ack) = ack {
            shared.send.acknowledge(ack, segment.window);
        }
        let (Some(mapping), Some(remote)) = (&dss.mapping, shared.remote) else { return };
        shared.wide |= matches!(mapping.dsn, DssNumber::Eight(_));
        let Some(dsn) = unwrap(mapping.dsn, remote, shared.recv.nxt()) else { return };
        let len = u32::from(mapping.len) - u32::from(dss.data_fin && mapping.len > 0);
        if dss.data_fin {
            shared.recv.finish_at(dsn + u64::from(len));
            self.sub.said.push(Said::DataFin);
        }
        let ssn = SubflowOffset::from_low(mapping.ssn, segment.start);
        if let Some(ssn) = ssn.filter(|_| len > 0) {
            self.map(Mapping { ssn, dsn, len, checksum: mapping.checksum, fin: dss.data_fin });
        }
    }

    fn read_signals(&mut self, options: &MptcpOptions) {
        let said = &mut self.sub.said;
        if let Some(add) = options.add_addr {
            said.push(match add.hmac {
                Some(hmac) if !equal(&hmac, &expected_hmac(self.shared, &add)) => Said::BadHmac,
                _ => Said::AddAddr(add),
            });
        }
        if let Some(remove) = &options.remove_addr {
            said.push(Said::RemoveAddr(remove.clone()));
        }
        if let Some(prio) = options.prio.filter(|p| p.addr_id.is_none()) {
            said.push(Said::Prio(prio.backup));
        }
        if let Some(fail) = options.fail {
            said.push(Said::Fail(fail.dsn));
        }
        self.read_reset(options);
    }
}

fn expected_hmac(shared: &Shared, add: &manypath_wire::AddAddr) -> [u8; 8] {
    let peer = shared.remote.map_or(shared.local.key, |remote| remote.key);
    add_addr_hmac(peer, shared.local.key, add.id, add.addr, add.port)
}

/// A number on the wire as an offset of the stream that `side` numbers.
fn unwrap(number: DssNumber, side: Identity, near: DataOffset) -> Option<DataOffset> {
    match number {
        DssNumber::Four(low) => DataOffset::from_seq32(low, side.idsn, near),
        DssNumber::Eight(seq) => DataOffset::from_seq(manypath_base::DataSeq(seq), side.idsn, near),
    }
}

fn reset(reason: ResetReason) -> Verdict {
    Verdict::Reset(MpTcpRst { transient: false, reason })
}
