//! Snapshots for people and programs.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use manypath_base::{IfaceId, SubflowId};

use crate::FallbackReason;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The handshake has not said yet.
    Negotiating,
    /// MPTCP.
    Multipath,
    /// Multipath was asked for, and fell back.
    FellBack(FallbackReason),
    /// TCP that this side spreads over several paths, of which the peer knows nothing.
    OneEnded,
    /// Multipath was not asked for.
    PlainTcp,
}

/// One subflow at this moment, or one path of a connection that is one-ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubflowInfo {
    /// Which subflow.
    pub id: SubflowId,
    /// The interface that it uses.
    pub iface: IfaceId,
    /// This side.
    pub local: SocketAddr,
    /// The peer.
    pub remote: SocketAddr,
    /// Whether it may carry data.
    pub established: bool,
    /// Whether it carries data only where no regular one is alive.
    pub backup: bool,
    /// Payload bytes sent, retransmissions included.
    pub bytes_sent: u64,
    /// Payload bytes received in order.
    pub bytes_received: u64,
    /// Payload bytes sent again on this subflow.
    pub bytes_retransmitted: u64,
    /// Window, round-trip time, health and rate.
    pub path: manypath_tcp::PathInfo,
}

/// One connection at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// What it speaks.
    pub protocol: Protocol,
    /// Address and port of this side, of the initial subflow.
    pub local: SocketAddr,
    /// Address and port of the peer, of the initial subflow.
    pub remote: SocketAddr,
    /// Bytes written by the application.
    pub bytes_written: u64,
    /// Bytes acknowledged at the connection's level.
    pub bytes_acknowledged: u64,
    /// Bytes received in order at the connection's level.
    pub bytes_received: u64,
    /// Bytes sent again on another subflow.
    pub bytes_reinjected: u64,
    /// Bytes received that wait for a hole to be filled.
    pub bytes_out_of_order: u64,
    /// Name of the scheduler.
    pub scheduler: &'static str,
    /// Name of the congestion control.
    pub congestion_control: &'static str,
    /// Subflows that exist now.
    pub subflows: Vec<SubflowInfo>,
}

/// Packets that an endpoint dropped, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropCounters {
    /// Packets that were not understood.
    pub malformed: BTreeMap<manypath_wire::Error, u64>,
    /// Packets for no address of this host.
    pub not_local: u64,
    /// Segments for no connection, answered with RST where RFC 9293 §3.5.2 says so.
    pub stray: u64,
    /// SYNs dropped because a queue was full, and half-open connections dropped for new ones.
    pub overflow: u64,
    /// MP_JOIN with an unknown token.
    pub unknown_token: u64,
    /// MP_JOIN or ADD_ADDR whose HMAC did not match.
    pub bad_hmac: u64,
}

/// SYN cookies of an endpoint (RFC 4987 §3.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynCookieCounters {
    /// SYNs that were answered with a cookie.
    pub sent: u64,
    /// Connections that began with a cookie that came back.
    pub accepted: u64,
}
