//! Options that leave.

use manypath_base::{DataOffset, Token, len16, usize32};
use manypath_tcp::{Outgoing, Phase};
use manypath_wire::{
    CapableFlags, Dss, DssMapping, FastClose, MpCapable, MpFail, MpJoin, MptcpOptions,
};

use super::{Seam, VERSION};
use crate::FallbackReason;
use crate::connection::shared::{Infinite, Role};
use crate::connection::subflow::{Kind, Signal, Stage};
use crate::crypto::{join_hmac, leftmost};

/// SYNs with MP_CAPABLE before one without: a middlebox may drop what it does not know
/// (RFC 8684 §3.7).
const SYN_ATTEMPTS: u8 = 3;
/// Option bytes of an infinite mapping, padded, and of MP_FAIL.
const INFINITE_LEN: usize = 16;
const FAIL_LEN: usize = 12;
/// Option bytes of MP_CAPABLE on the first data, padded.
pub(crate) const CAPABLE_DATA_LEN: usize = 24;

impl Seam<'_> {
    fn flags(&self) -> CapableFlags {
        let mut flags = CapableFlags::HMAC_SHA256;
        if self.shared.checksum {
            flags = flags.with(CapableFlags::CHECKSUM);
        }
        if self.shared.denies_join_id0 {
            flags = flags.with(CapableFlags::DENY_JOIN_ID0);
        }
        flags
    }

    pub(super) fn write_syn(&mut self, segment: &Outgoing, options: &mut MptcpOptions) {
        match self.sub.kind {
            Kind::Initial if segment.attempt < SYN_ATTEMPTS => {
                options.capable = Some(MpCapable::Syn { version: VERSION, flags: self.flags() });
            }
            Kind::Initial => self.sub.plain_syns = self.sub.plain_syns.saturating_add(1),
            Kind::Join { nonce, .. } => {
                let token = self.shared.remote.map_or(Token(0), |remote| remote.token);
                let (backup, addr_id) = (self.sub.backup_local, self.sub.local_id);
                options.join = Some(MpJoin::Syn { backup, addr_id, token, nonce });
            }
        }
    }

    pub(super) fn write_syn_ack(&mut self, options: &mut MptcpOptions) {
        match self.sub.kind {
            // SYNs that crossed: the option has no form for that (RFC 8684 §3.1 knows three).
            Kind::Initial if self.shared.role == Role::Initiator => {
                self.shared.fall_back(FallbackReason::SimultaneousOpen);
            }
            Kind::Join { opener: true, .. } => {}
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

    pub(super) fn write_open(&mut self, segment: &Outgoing, options: &mut MptcpOptions) {
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
            Some(mapping) if mapping.ssn > self.sub.on_syn.first_sent() => {
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
        if segment.len > 0 {
            self.sub.end_row();
        }
        let alone = segment.len == 0;
        // Said once: what the device cuts would say it with every packet.
        let may_signal = if alone { self.sub.may_signal_alone() } else { segment.whole };
        let signal = self.sub.to_say().filter(|_| may_signal);
        if let Some(len) = signal.map(signal_len) {
            if alone {
                self.sub.on_signal_alone(segment.now);
            }
            if len <= space {
                space -= len;
                put_signal(self.sub.take_to_say().expect("it was at the front"), options);
            } else if alone {
                // It never fits: an IPv6 address with a port beside timestamps.
                self.sub.take_to_say();
            }
        }
        if segment.len > 0 {
            options.dss = Some(self.dss(segment));
        } else if self.shared.send.fin_is_next() && space >= self.shared.dss_len() {
            space -= self.shared.dss_len();
            self.shared.send.fin_sent = true;
            options.dss = Some(self.data_fin());
        } else if space >= self.shared.dss_ack_len() {
            space -= self.shared.dss_ack_len();
            options.dss = Some(Dss { data_ack: self.shared.data_ack(), ..Dss::default() });
        }
        self.write_failure(space, options);
    }

    /// MP_FAIL, where there is room, until the peer shows that it has heard of it.
    fn write_failure(&self, space: usize, options: &mut MptcpOptions) {
        if space >= FAIL_LEN {
            options.fail = self.shared.telling_failure.map(|dsn| MpFail { dsn });
        }
    }

    fn dss(&self, segment: &Outgoing) -> Dss {
        let mapping = self.sub.tx.find(segment.start).map(|m| DssMapping {
            dsn: self.shared.local_number(m.dsn),
            ssn: self.sub.on_syn.ssn_sent(m.ssn),
            len: len16(usize32(m.len)),
            checksum: m.checksum,
        });
        debug_assert!(mapping.is_some(), "data at {:?} has no mapping", segment.start);
        Dss { data_fin: false, data_ack: self.shared.data_ack(), mapping }
    }

    /// After falling back the peer is told once that everything from here on is mapped one to one
    /// (RFC 8684 §3.7).
    pub(super) fn write_infinite(&mut self, segment: &Outgoing, options: &mut MptcpOptions) {
        if segment.phase != Phase::Open {
            return;
        }
        let mapping_len = if segment.len > 0 { INFINITE_LEN } else { 0 };
        self.write_failure(segment.space.saturating_sub(mapping_len), options);
        if segment.len == 0 {
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
                    dsn: self.shared.local_number(DataOffset(segment.start.0)),
                    ssn: self.sub.on_syn.ssn_sent(segment.start),
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
        let mapping = DssMapping { dsn: self.shared.local_number(fin), ssn: 0, len: 1, checksum };
        Dss { data_fin: true, data_ack: self.shared.data_ack(), mapping: Some(mapping) }
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
        Signal::FastClose(_) => 12,
    }
}

fn put_signal(signal: Signal, options: &mut MptcpOptions) {
    match signal {
        Signal::AddAddr(add) => options.add_addr = Some(add),
        Signal::RemoveAddr(remove) => options.remove_addr = Some(remove),
        Signal::Prio(prio) => options.prio = Some(prio),
        Signal::FastClose(receiver_key) => options.fastclose = Some(FastClose { receiver_key }),
    }
}
