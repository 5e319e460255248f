//! Snapshots and events in a form for people, programs and JSON.
//!
//! Times are in milliseconds, sizes in bytes, and what has a name is that name in lower case.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use manypath_mptcp::{self as mptcp, ConnId, Event, PathDownReason, Protocol};
use serde::{Deserialize, Serialize};

use crate::shared::State;

/// One connection at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionInfo {
    /// `negotiating`, `multipath`, `fell-back` or `plain-tcp`.
    pub protocol: String,
    /// Why it fell back, where it did.
    pub fallback_reason: Option<String>,
    /// This side, on the first path.
    pub local: SocketAddr,
    /// The peer, on the first path.
    pub remote: SocketAddr,
    /// Bytes that the application wrote.
    pub bytes_written: u64,
    /// Bytes that the peer acknowledged at the connection's level (DATA_ACK).
    pub bytes_acknowledged: u64,
    /// Bytes received in order at the connection's level.
    pub bytes_received: u64,
    /// Bytes sent again on another subflow.
    pub bytes_reinjected: u64,
    /// Bytes received that wait for a hole to be filled.
    pub bytes_out_of_order: u64,
    /// The scheduler's name.
    pub scheduler: String,
    /// The congestion control's name.
    pub congestion_control: String,
    /// Subflows that exist now, in the order of their numbers.
    pub subflows: Vec<SubflowInfo>,
}

/// One subflow at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubflowInfo {
    /// Its number: from 0 in the order of creation.
    pub id: u32,
    /// The name of its path.
    pub path: String,
    /// This side.
    pub local: SocketAddr,
    /// The peer.
    pub remote: SocketAddr,
    /// Whether it may carry data.
    pub established: bool,
    /// Whether it carries data only where no regular one is alive.
    pub backup: bool,
    /// Whether it fell silent, so that data goes elsewhere.
    pub suspect: bool,
    /// Whether its retransmission timer expired and nothing has come since.
    pub failed: bool,
    /// Smoothed round-trip time; 0 before the first sample.
    pub srtt_ms: f64,
    /// Mean deviation of the round-trip time.
    pub rtt_var_ms: f64,
    /// Smallest round-trip time seen.
    pub min_rtt_ms: f64,
    /// Retransmission timeout, backed off.
    pub rto_ms: f64,
    /// Congestion window.
    pub cwnd: u32,
    /// Slow-start threshold; `None` before the first loss.
    pub ssthresh: Option<u32>,
    /// Bytes in flight.
    pub in_flight: u32,
    /// Payload of one packet.
    pub mss: u16,
    /// Rate of delivery as last measured, in bits per second.
    pub rate_bps: u64,
    /// Bytes delivered.
    pub bytes_delivered: u64,
    /// Bytes found lost.
    pub bytes_lost: u64,
    /// Payload sent, retransmissions included.
    pub bytes_sent: u64,
    /// Payload received in order.
    pub bytes_received: u64,
    /// Payload sent again on this subflow.
    pub bytes_retransmitted: u64,
}

/// The host at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointInfo {
    /// Connections that are not forgotten, TIME-WAIT included.
    pub connections: u64,
    /// Connections that began with a SYN cookie of this host (RFC 4987 §3.6).
    pub syn_cookies: u64,
    /// Packets that a device refused.
    pub send_errors: u64,
    /// Packets that were dropped on arrival, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// An event, flat; what it does not have is `None` and left out of JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventInfo {
    /// What happened: `path-up`, `fell-back` and so on.
    pub event: String,
    /// Which connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn: Option<u64>,
    /// Which listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<u32>,
    /// Which subflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subflow: Option<u32>,
    /// This side of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<SocketAddr>,
    /// The peer's side of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<SocketAddr>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr: Option<IpAddr>,
    /// That address' identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr_id: Option<u8>,
    /// Whether it is a backup now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<bool>,
}

impl ConnectionInfo {
    pub(crate) fn of(state: &State, id: ConnId) -> Option<Self> {
        let info = state.endpoint.info(id)?;
        let mptcp::ConnectionInfo {
            protocol,
            local,
            remote,
            bytes_written,
            bytes_acknowledged,
            bytes_received,
            bytes_reinjected,
            bytes_out_of_order,
            scheduler,
            congestion_control,
            subflows,
        } = info;
        let (protocol, fallback_reason) = match protocol {
            Protocol::Negotiating => ("negotiating", None),
            Protocol::Multipath => ("multipath", None),
            Protocol::FellBack(reason) => ("fell-back", Some(kebab(&format!("{reason:?}")))),
            Protocol::OneEnded => ("one-ended", None),
            Protocol::PlainTcp => ("plain-tcp", None),
        };
        let mut subflows: Vec<_> = subflows.iter().map(|s| SubflowInfo::of(s, state)).collect();
        subflows.sort_by_key(|subflow| subflow.id);
        Some(Self {
            protocol: protocol.to_owned(),
            fallback_reason,
            local,
            remote,
            bytes_written,
            bytes_acknowledged,
            bytes_received,
            bytes_reinjected,
            bytes_out_of_order,
            scheduler: scheduler.to_owned(),
            congestion_control: congestion_control.to_owned(),
            subflows,
        })
    }
}

impl SubflowInfo {
    fn of(info: &mptcp::SubflowInfo, state: &State) -> Self {
        let path = &info.path;
        Self {
            id: info.id.0,
            path: state.devices.name(info.iface).to_owned(),
            local: info.local,
            remote: info.remote,
            established: info.established,
            backup: info.backup,
            suspect: path.suspect,
            failed: path.failed,
            srtt_ms: ms(path.srtt),
            rtt_var_ms: ms(path.rtt_var),
            min_rtt_ms: ms(path.min_rtt),
            rto_ms: ms(path.rto),
            cwnd: path.cwnd,
            ssthresh: Some(path.ssthresh).filter(|&n| n < u32::MAX),
            in_flight: path.in_flight,
            mss: path.mss.0,
            rate_bps: path.rate.bits_per_sec(),
            bytes_delivered: path.delivered,
            bytes_lost: path.lost,
            bytes_sent: info.bytes_sent,
            bytes_received: info.bytes_received,
            bytes_retransmitted: info.bytes_retransmitted,
        }
    }
}

impl EndpointInfo {
    /// What the shards of a host say together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        let Self { connections, syn_cookies, send_errors, dropped } = other;
        self.connections += connections;
        self.syn_cookies += syn_cookies;
        self.send_errors += send_errors;
        for (why, n) in dropped {
            *self.dropped.entry(why).or_default() += n;
        }
        self
    }

    pub(crate) fn of(state: &State) -> Self {
        let drops = state.endpoint.drops();
        let mptcp::DropCounters { malformed, not_local, stray, overflow, unknown_token, bad_hmac } =
            drops;
        let ours = [
            ("not for this host", *not_local),
            ("no connection", *stray),
            ("queue full", *overflow),
            ("unknown token", *unknown_token),
            ("wrong HMAC", *bad_hmac),
            ("no room in its shard", state.lost()),
        ];
        let ours = ours.into_iter().map(|(why, n)| (why.to_owned(), n));
        let malformed = malformed.iter().map(|(error, &n)| (error.to_string(), n));
        Self {
            connections: manypath_base::len64(state.endpoint.len()),
            syn_cookies: state.endpoint.syn_cookies().accepted,
            send_errors: state.devices.send_errors(),
            dropped: ours.chain(malformed).filter(|&(_, n)| n > 0).collect(),
        }
    }
}

impl From<Event> for EventInfo {
    fn from(event: Event) -> Self {
        let named = |name: &str, conn: ConnId| Self {
            event: name.to_owned(),
            conn: Some(conn.0),
            ..Self::default()
        };
        match event {
            Event::Incoming(listener) => {
                Self { event: "incoming".to_owned(), listener: Some(listener.0), ..Self::default() }
            }
            Event::Established(conn) => named("established", conn),
            Event::Readable(conn) => named("readable", conn),
            Event::Writable(conn) => named("writable", conn),
            Event::Closed(conn, error) => {
                Self { reason: error.map(|e| e.to_string()), ..named("closed", conn) }
            }
            Event::FellBack(conn, reason) => {
                Self { reason: Some(kebab(&format!("{reason:?}"))), ..named("fell-back", conn) }
            }
            Event::PathUp { conn, subflow, local, remote } => Self {
                subflow: Some(subflow.0),
                local: Some(local),
                remote: Some(remote),
                ..named("path-up", conn)
            },
            Event::PathSuspect(conn, subflow) => {
                Self { subflow: Some(subflow.0), ..named("path-suspect", conn) }
            }
            Event::PathRestored(conn, subflow) => {
                Self { subflow: Some(subflow.0), ..named("path-restored", conn) }
            }
            Event::PathDown(conn, subflow, reason) => Self {
                subflow: Some(subflow.0),
                reason: Some(down_reason(reason)),
                ..named("path-down", conn)
            },
            Event::JoinFailed { conn, local, remote, reason } => Self {
                local: Some(local),
                remote: Some(remote),
                reason: reason.map(|code| down_reason(PathDownReason::Reset(Some(code)))),
                ..named("join-failed", conn)
            },
            Event::AddrAnnounced(conn, id, addr) => {
                Self { addr: Some(addr), addr_id: Some(id.0), ..named("addr-announced", conn) }
            }
            Event::AddrRemoved(conn, id) => {
                Self { addr_id: Some(id.0), ..named("addr-removed", conn) }
            }
            Event::PrioChanged { conn, subflow, backup } => Self {
                subflow: Some(subflow.0),
                backup: Some(backup),
                ..named("prio-changed", conn)
            },
            other => Self { event: kebab(&format!("{other:?}")), ..Self::default() },
        }
    }
}

fn down_reason(reason: PathDownReason) -> String {
    match reason {
        PathDownReason::Reset(Some(code)) => format!("reset with reason {code}"),
        PathDownReason::Reset(None) => "reset".to_owned(),
        other => kebab(&format!("{other:?}")),
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// `NotSupported` as `not-supported`.
fn kebab(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use manypath_base::SubflowId;

    #[test]
    fn an_event_is_one_short_line_of_json() {
        let event = Event::PathDown(ConnId(3), SubflowId(1), PathDownReason::AddressRemoved);
        let line = serde_json::to_string(&EventInfo::from(event)).expect("plain data");
        let text = r#"{"event":"path-down","conn":3,"subflow":1,"reason":"address-removed"}"#;
        assert_eq!(line, text);
        let back: EventInfo = serde_json::from_str(&line).expect("what was written");
        assert_eq!(back, EventInfo::from(event));
    }

    #[test]
    fn a_reset_says_its_reason() {
        assert_eq!(down_reason(PathDownReason::Reset(Some(4))), "reset with reason 4");
        assert_eq!(down_reason(PathDownReason::TimedOut), "timed-out");
    }
}
