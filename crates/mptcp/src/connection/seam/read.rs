//! What options that come mean.

use manypath_base::DataOffset;
use manypath_tcp::{Extension, Incoming, Verdict};
use manypath_wire::{
    CapableFlags, Dss, DssNumber, MpCapable, MpJoin, MpTcpRst, MptcpOptions, ResetReason,
};

use super::{Seam, VERSION};
use crate::FallbackReason;
use crate::connection::mapping::{Inserted, Mapping};
use crate::connection::shared::{Mode, Shared};
use crate::connection::subflow::{Kind, Said, Stage};
use crate::crypto::{Identity, add_addr_hmac, equal, join_hmac, leftmost};

impl Seam<'_> {
    /// The SYN/ACK of a subflow that this side opened.
    pub(super) fn read_syn_ack(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        match self.sub.kind {
            Kind::Initial => self.read_capable_syn_ack(segment, options),
            Kind::Join { nonce, .. } => self.read_join_syn_ack(nonce, options),
        }
    }

    fn read_capable_syn_ack(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        let Some(MpCapable::SynAck { version, flags, sender_key }) = options.capable else {
            // Where the first SYN without the option was answered, and only then, the option may
            // be why those before were not.
            self.shared.capable_answered = (self.sub.plain_syns == 1).then_some(false);
            self.shared.fall_back(match self.sub.plain_syns {
                0 => FallbackReason::NotSupported,
                1.. => FallbackReason::SynDropped,
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
        self.shared.capable_answered = Some(true);
        self.settle_data_of_syn(segment.ack);
        self.shared.send.edge = self.shared.send.una + u64::from(segment.window);
        self.sub.stage = Stage::Unconfirmed;
        Verdict::Continue
    }

    fn read_join_syn_ack(&mut self, nonce: u32, options: &MptcpOptions) -> Verdict {
        if !self.shared.may_join() {
            return reset(ResetReason::MiddleboxInterference);
        }
        let Some(MpJoin::SynAck { backup, addr_id, hmac, nonce: peer_nonce }) = options.join else {
            return reset(ResetReason::MptcpError);
        };
        if !equal(&hmac, &leftmost::<8>(&self.peer_hmac(nonce, peer_nonce))) {
            self.sub.hear(Said::BadHmac);
            return reset(ResetReason::MptcpError);
        }
        self.sub.kind = Kind::Join { opener: true, nonce, peer_nonce };
        self.sub.remote_id = addr_id;
        self.sub.backup_remote = backup;
        self.sub.stage = Stage::Unconfirmed;
        self.shared.joined = true;
        Verdict::Continue
    }

    /// What the peer's HMAC has to be.
    fn peer_hmac(&self, nonce: u32, peer_nonce: u32) -> [u8; 32] {
        let peer = self.shared.remote.map_or(self.shared.local.key, |remote| remote.key);
        join_hmac(peer, self.shared.local.key, peer_nonce, nonce)
    }

    /// What a segment after the SYNs says of the handshake.
    pub(super) fn read_handshake(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
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
                } else if options.is_empty() && (segment.len > 0 || self.acknowledges_data(segment))
                {
                    // RFC 8684 §3.7: the peer did not answer in kind.
                    return self.options_vanished();
                }
                Verdict::Continue
            }
            (Kind::Join { nonce, peer_nonce, .. }, Stage::Offered) => {
                self.read_join_ack(nonce, peer_nonce, options)
            }
            (Kind::Join { .. }, Stage::Unconfirmed) => {
                if options.is_empty() && segment.len > 0 {
                    return self.options_vanished();
                }
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
            self.sub.hear(Said::Repeated);
        }
    }

    fn confirm(&mut self) {
        self.sub.stage = Stage::Confirmed;
        self.sub.confirm_timer = None;
        self.sub.hear(Said::Confirmed);
    }

    /// The third ACK of the first subflow, or its first data, must repeat both keys.
    fn read_third_ack(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        match options.capable {
            Some(MpCapable::Ack { sender_key, receiver_key, .. })
                if receiver_key == self.shared.local.key && sender_key != receiver_key =>
            {
                let remote = self.sub.on_syn.peer(Identity::new(sender_key));
                self.shared.remote = Some(remote);
                self.shared.mode = Mode::Multipath;
                self.shared.send.edge = DataOffset(1) + u64::from(segment.window);
                self.confirm();
                for (segment, dss) in self.sub.take_early() {
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
        let overtook = segment.start > self.sub.on_syn.first_received() || segment.len == 0;
        overtook && self.sub.keep_early(segment, dss)
    }

    fn read_join_ack(&mut self, nonce: u32, peer_nonce: u32, options: &MptcpOptions) -> Verdict {
        if !self.shared.may_join() {
            return reset(ResetReason::MiddleboxInterference);
        }
        let Some(MpJoin::Ack { hmac }) = options.join else {
            // Data before the third ACK, or an ACK without its option: not authenticated.
            return reset(ResetReason::MptcpError);
        };
        if !equal(&hmac, &leftmost::<20>(&self.peer_hmac(nonce, peer_nonce))) {
            self.sub.hear(Said::BadHmac);
            return reset(ResetReason::MptcpError);
        }
        self.shared.joined = true;
        self.confirm();
        Verdict::Continue
    }

    pub(super) fn read_open(&mut self, segment: &Incoming, options: &MptcpOptions) -> Verdict {
        if self.shared.is_distrusted() {
            self.hear_of_failure(options);
        }
        if !self.shared.is_multipath() {
            return Verdict::Continue;
        }
        if !self.sub.heard_data_ack && self.acknowledges_data(segment) {
            self.sub.heard_data_ack = options.dss.is_some_and(|dss| dss.data_ack.is_some());
            if options.is_empty() {
                return self.options_vanished();
            }
        }
        self.sub.heard_dss |= options.dss.is_some();
        self.sub.hears_options = !options.is_empty();
        if !self.has_agreed_checksums(options) {
            return reset(ResetReason::MptcpError);
        }
        if let Some(MpCapable::Ack { data: Some((len, checksum)), .. }) = options.capable {
            let ssn = self.sub.on_syn.first_received();
            let (dsn, len) = (DataOffset(ssn.0), len.into());
            self.sub.heard_dss = true;
            self.map(Mapping { ssn, dsn, len, checksum, fin: false });
        }
        if let Some(dss) = &options.dss {
            self.read_dss(segment, dss);
            if self.ends_mapping(segment, dss) {
                return reset(ResetReason::MptcpError);
            }
            if self.shared.leaving.is_some() && !self.shared.may_fall_back() {
                // The peer, which was not told yet, sends again at another place of the subflow.
                return reset(ResetReason::MiddleboxInterference);
            }
        }
        self.read_signals(options);
        Verdict::Continue
    }

    /// Whether a segment acknowledges data that has a mapping.
    fn acknowledges_data(&self, segment: &Incoming) -> bool {
        segment.ack > self.sub.on_syn.first_sent()
    }

    /// Data was acknowledged by a segment without options before any DATA_ACK came: the path takes
    /// them away. The first subflow goes on as TCP, a joined one ends (RFC 8684 §3.7).
    ///
    /// **Choice:** where options of the peer do come, it may well go on with multipath, and is told
    /// of the end by the infinite mapping before DATA_ACKs stop. Where data waits for its mapping
    /// then, the subflow ends: the peer may have sent that again at the data level, and TCP would
    /// read it twice.
    fn options_vanished(&mut self) -> Verdict {
        let may = self.sub.kind == Kind::Initial && self.shared.may_fall_back();
        if !may || self.sub.lacks_mapping() {
            return reset(ResetReason::MiddleboxInterference);
        }
        self.shared.leaving.get_or_insert(FallbackReason::OptionsStripped);
        if !self.sub.heard_dss || self.shared.send.unsent() > 0 {
            self.shared.revert();
        }
        Verdict::Continue
    }

    /// Whether a peer that has not heard of the end of multipath sends data again at another place
    /// than TCP reads it from.
    pub(super) fn is_sent_again(&self, segment: &Incoming, options: &MptcpOptions) -> bool {
        let mapping = options.dss.as_ref().and_then(|dss| dss.mapping).filter(|m| m.len > 0);
        let (Some(mapping), Some(remote)) = (mapping, self.shared.remote) else { return false };
        let dsn = unwrap(mapping.dsn, remote, self.shared.recv.nxt());
        let ssn = self.sub.on_syn.received_at(mapping.ssn, segment.start);
        segment.len > 0 && dsn.zip(ssn).is_some_and(|(dsn, ssn)| dsn.0 != ssn.0)
    }

    /// Whether a mapping has a checksum if and only if that was agreed: a peer that does otherwise
    /// does not behave as negotiated (RFC 8684 §3.3). An infinite mapping may leave it out.
    fn has_agreed_checksums(&self, options: &MptcpOptions) -> bool {
        let agreed = self.shared.checksum;
        let mapping = options.dss.as_ref().and_then(|dss| dss.mapping);
        let capable = match options.capable {
            Some(MpCapable::Ack { data: Some((len, checksum)), .. }) => Some((len, checksum)),
            Some(_) | None => None,
        };
        let mapped = mapping.map(|m| (m.len, m.checksum));
        [mapped, capable].iter().flatten().all(|(len, sum)| *len == 0 || sum.is_some() == agreed)
    }

    /// The peer is told of a failed checksum until it shows that it knows: it says so itself, or
    /// its segments have no DATA_ACK any more, and then it has gone over to TCP (RFC 8684 §3.7).
    pub(super) fn hear_of_failure(&mut self, options: &MptcpOptions) {
        let reverted = options.dss.is_none_or(|dss| dss.data_ack.is_none());
        if options.fail.is_some() || reverted {
            self.shared.telling_failure = None;
        }
        if reverted {
            self.shared.revert();
        }
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
            self.sub.hear(Said::DataFin);
        }
        let ssn = self.sub.on_syn.received_at(mapping.ssn, segment.start);
        if let Some(ssn) = ssn.filter(|_| len > 0) {
            self.map(Mapping { ssn, dsn, len, checksum: mapping.checksum, fin: dss.data_fin });
        }
    }

    fn read_signals(&mut self, options: &MptcpOptions) {
        if let Some(add) = options.add_addr {
            self.sub.hear(match add.hmac {
                Some(hmac) if !equal(&hmac, &expected_hmac(self.shared, &add)) => Said::BadHmac,
                _ => Said::AddAddr(add),
            });
        }
        if let Some(remove) = &options.remove_addr {
            self.sub.hear(Said::RemoveAddr(remove.clone()));
        }
        if let Some(prio) = options.prio.filter(|p| p.addr_id.is_none()) {
            self.sub.hear(Said::Prio(prio.backup));
        }
        if let Some(fail) = options.fail {
            self.sub.hear(Said::Fail(fail.dsn));
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

pub(super) fn reset(reason: ResetReason) -> Verdict {
    Verdict::Reset(MpTcpRst { transient: false, reason })
}

/// Whether the peer takes what is TCP here for a subflow that it joins: the SYN came once with its
/// option and once without, and this side's answers had the same number. Its data would be that of
/// another connection.
pub(super) fn is_taken_for_a_join(options: &MptcpOptions) -> bool {
    matches!(options.join, Some(MpJoin::Ack { .. }))
}
