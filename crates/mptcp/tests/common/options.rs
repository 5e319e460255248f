//! Options of the peer: those of a connection, with its keys and numbers, and those of none.

use std::net::Ipv4Addr;

use hmac::{Hmac, KeyInit, Mac};
use manypath_base::{AddrId, DataSeq, Key, Token};
use manypath_wire::{
    AddAddr, CapableFlags, Dss, DssMapping, DssNumber, FastClose, MpCapable, MpJoin, MpPrio,
    MptcpOptions, RemoveAddr,
};
use sha2::{Digest, Sha256};

use super::raw::{KEY, Raw};

/// The peer's nonce in joins.
pub(super) const NONCE: u32 = 77;
/// Token and initial data sequence number of a key.
pub(super) fn identity(key: Key) -> (Token, u64) {
    let hash: [u8; 32] = Sha256::digest(key.0).into();
    let token = u32::from_be_bytes(hash[..4].try_into().unwrap());
    (Token(token), u64::from_be_bytes(hash[24..].try_into().unwrap()))
}

pub(super) fn hmac(first: Key, second: Key, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(&[first.0, second.0].concat()).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

impl Raw {
    pub(crate) fn third_ack(&self, data: Option<u16>) -> MptcpOptions {
        MptcpOptions {
            capable: Some(MpCapable::Ack {
                version: 1,
                flags: CapableFlags::HMAC_SHA256,
                sender_key: KEY,
                receiver_key: self.key,
                data: data.map(|len| (len, None)),
            }),
            ..MptcpOptions::default()
        }
    }

    /// A SYN that joins the connection.
    pub(crate) fn join_syn(&self, id: u8) -> MptcpOptions {
        let token = identity(self.key).0;
        let addr_id = AddrId(id);
        join(MpJoin::Syn { backup: false, addr_id, token, nonce: NONCE })
    }

    /// The answer to a SYN of the endpoint that joins.
    pub(crate) fn join_syn_ack(&self, syn_nonce: u32, id: u8) -> MptcpOptions {
        let both = [NONCE.to_be_bytes(), syn_nonce.to_be_bytes()].concat();
        let hmac = hmac(KEY, self.key, &both)[..8].try_into().unwrap();
        let addr_id = AddrId(id);
        join(MpJoin::SynAck { backup: false, addr_id, hmac, nonce: NONCE })
    }

    /// The HMAC of an address that the peer announces.
    pub(crate) fn add_addr_hmac(&self, id: u8, addr: Ipv4Addr) -> [u8; 8] {
        self.add_addr_port_hmac(id, addr, 0)
    }

    /// The same with a port.
    pub(crate) fn add_addr_port_hmac(&self, id: u8, addr: Ipv4Addr, port: u16) -> [u8; 8] {
        let message = [&[id][..], &addr.octets(), &port.to_be_bytes()].concat();
        hmac(KEY, self.key, &message)[24..].try_into().unwrap()
    }

    /// The HMAC of an address that the endpoint announces.
    pub(crate) fn their_add_addr_hmac(&self, id: u8, addr: Ipv4Addr, port: u16) -> [u8; 8] {
        let message = [&[id][..], &addr.octets(), &port.to_be_bytes()].concat();
        hmac(self.key, KEY, &message)[24..].try_into().unwrap()
    }

    /// DSS with relative numbers: DATA_ACK, and mapping (data, subflow, length).
    pub(crate) fn dss(
        &self,
        ack: Option<u64>,
        map: Option<(u64, u32, u16)>,
        data_fin: bool,
    ) -> MptcpOptions {
        let wide = self.wide;
        let number = move |seq: u64| match wide {
            true => DssNumber::Eight(seq),
            false => DssNumber::Four(seq as u32),
        };
        let mapping = map.map(|(dsn, ssn, len)| DssMapping {
            dsn: number(identity(KEY).1.wrapping_add(dsn)),
            ssn,
            len,
            checksum: None,
        });
        let data_ack = ack.map(|ack| number(identity(self.key).1.wrapping_add(ack)));
        MptcpOptions { dss: Some(Dss { data_fin, data_ack, mapping }), ..MptcpOptions::default() }
    }

    /// The data sequence number of a byte of the peer's stream.
    pub(crate) fn dsn(&self, at: u64) -> DataSeq {
        DataSeq(identity(KEY).1.wrapping_add(at))
    }

    /// The data sequence number of a byte of the endpoint's stream.
    pub(crate) fn their_dsn(&self, at: u64) -> u64 {
        identity(self.key).1.wrapping_add(at)
    }
}

pub(crate) fn capable_syn() -> MptcpOptions {
    let flags = CapableFlags::HMAC_SHA256;
    let capable = Some(MpCapable::Syn { version: 1, flags });
    MptcpOptions { capable, ..MptcpOptions::default() }
}

pub(crate) fn capable_syn_ack() -> MptcpOptions {
    let flags = CapableFlags::HMAC_SHA256;
    let capable = Some(MpCapable::SynAck { version: 1, flags, sender_key: KEY });
    MptcpOptions { capable, ..MptcpOptions::default() }
}

pub(crate) fn join(join: MpJoin) -> MptcpOptions {
    MptcpOptions { join: Some(join), ..MptcpOptions::default() }
}

/// An address that the peer announces, beside DATA_ACK.
pub(crate) fn add(raw: &Raw, id: u8, addr: Ipv4Addr) -> MptcpOptions {
    let hmac = Some(raw.add_addr_hmac(id, addr));
    let add_addr = Some(AddAddr { id: AddrId(id), addr: addr.into(), port: None, hmac });
    MptcpOptions { add_addr, ..raw.dss(Some(1), None, false) }
}

pub(crate) fn echo(id: u8, addr: Ipv4Addr) -> MptcpOptions {
    let add_addr = Some(AddAddr { id: AddrId(id), addr: addr.into(), port: None, hmac: None });
    MptcpOptions { add_addr, ..MptcpOptions::default() }
}

pub(crate) fn remove(ids: &[u8]) -> MptcpOptions {
    let ids = ids.iter().copied().map(AddrId).collect();
    MptcpOptions { remove_addr: Some(RemoveAddr { ids }), ..MptcpOptions::default() }
}

pub(crate) fn prio(backup: bool) -> MptcpOptions {
    MptcpOptions { prio: Some(MpPrio { backup, addr_id: None }), ..MptcpOptions::default() }
}

pub(crate) fn fastclose(key: Key) -> MptcpOptions {
    MptcpOptions { fastclose: Some(FastClose { receiver_key: key }), ..MptcpOptions::default() }
}
