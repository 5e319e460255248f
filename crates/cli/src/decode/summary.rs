//! What a capture held, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::connection::{Connection, Protocol};
use super::flow::{Flow, State};
use super::packet::seconds;
use super::{Both, Way};

/// A whole capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// IP packets read.
    pub(crate) packets: u64,
    /// TCP segments among them.
    pub(crate) segments: u64,
    /// Packets that are not TCP.
    pub(crate) not_tcp: u64,
    /// Packets that are not IP, or of a link type that is not known.
    pub(crate) not_ip: u64,
    /// Packets that were not understood, by reason.
    pub(crate) malformed: BTreeMap<String, u64>,
    /// Connections in the order of their appearance.
    pub(crate) connections: Vec<ConnectionSummary>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ConnectionSummary {
    /// Its number: `conn=N`.
    pub(crate) id: usize,
    /// What it speaks.
    pub(crate) protocol: Protocol,
    /// Why it fell back.
    pub(crate) fallback: Option<&'static str>,
    /// Whether its keys are in the capture, so that numbers count from the handshake.
    pub(crate) handshake: bool,
    /// Address and port of the opener.
    pub(crate) opener: String,
    /// Address and port of the other side.
    pub(crate) peer: String,
    /// Tokens in hexadecimal.
    pub(crate) tokens: Both<Option<String>>,
    /// Payload bytes of the connection, each counted once.
    pub(crate) bytes: Both<u64>,
    /// Payload bytes sent again on the same subflow.
    pub(crate) retransmitted: Both<u64>,
    /// Payload bytes sent again on another subflow.
    pub(crate) reinjected: Both<u64>,
    /// Payload bytes in no mapping.
    pub(crate) unmapped: Both<u64>,
    /// Whether DATA_FIN was seen.
    pub(crate) data_fin: Both<bool>,
    /// Whether MP_FASTCLOSE was seen.
    pub(crate) fast_close: bool,
    /// Addresses announced and withdrawn.
    pub(crate) announcements: Both<Vec<String>>,
    /// Subflows in the order of their appearance.
    pub(crate) subflows: Vec<SubflowSummary>,
}

/// One subflow, or the flow of a TCP connection. `up` is from the opener of the connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SubflowSummary {
    /// Its number in the connection.
    pub(crate) id: usize,
    /// Address and port of the side that opened the connection.
    pub(crate) opener: String,
    /// Address and port of the other side.
    pub(crate) peer: String,
    /// Whether the other side opened this subflow.
    pub(crate) reversed: bool,
    /// The interface on which it was seen first.
    pub(crate) interface: String,
    /// How far it got.
    pub(crate) state: State,
    /// Seconds between its first and last segment.
    pub(crate) seconds: String,
    /// Segments.
    pub(crate) segments: Both<u64>,
    /// Payload bytes, each counted once.
    pub(crate) bytes: Both<u64>,
    /// Payload bytes sent again on it.
    pub(crate) retransmitted: Both<u64>,
}

impl ConnectionSummary {
    pub(super) fn of(id: usize, connection: &Connection, flows: &[Flow]) -> Self {
        let subflows: Vec<_> =
            connection.flows.iter().map(|&flow| SubflowSummary::of(&flows[flow])).collect();
        let first = &subflows[0];
        let each = |f: &dyn Fn(Way) -> u64| Both { up: f(Way::Up), down: f(Way::Down) };
        let data = |way| connection.data.at(way);
        let multipath = connection.protocol == Protocol::Multipath;
        let sent = |way| subflows.iter().map(|subflow| *subflow.bytes.at(way)).sum();
        let mapped = |way| data(way).bytes + data(way).unmapped;
        Self {
            id,
            protocol: connection.protocol,
            fallback: connection.fallback,
            handshake: connection.keys.up.is_some() && connection.keys.down.is_some(),
            opener: first.opener.clone(),
            peer: first.peer.clone(),
            tokens: Both {
                up: connection.tokens.up.map(|token| format!("{:08x}", token.0)),
                down: connection.tokens.down.map(|token| format!("{:08x}", token.0)),
            },
            bytes: each(&|way| if multipath { mapped(way) } else { sent(way) }),
            retransmitted: each(&|way| subflows.iter().map(|s| s.retransmitted.at(way)).sum()),
            reinjected: each(&|way| data(way).reinjected),
            unmapped: each(&|way| data(way).unmapped),
            data_fin: Both { up: data(Way::Up).fin.is_some(), down: data(Way::Down).fin.is_some() },
            fast_close: connection.fast_close,
            announcements: connection.announcements.clone(),
            subflows,
        }
    }
}

impl SubflowSummary {
    fn of(flow: &Flow) -> Self {
        let reversed = flow.place.reversed;
        let (opener, peer) =
            if reversed { (flow.peer, flow.opener) } else { (flow.opener, flow.peer) };
        let halves = &flow.halves;
        let both = |up: u64, down: u64| Both { up, down }.swapped(reversed);
        Self {
            id: flow.place.subflow,
            opener: opener.to_string(),
            peer: peer.to_string(),
            reversed,
            interface: flow.interface.to_string(),
            state: flow.state,
            seconds: seconds(flow.times.start, flow.times.end),
            segments: both(halves.up.segments, halves.down.segments),
            bytes: both(halves.up.bytes, halves.down.bytes),
            retransmitted: both(halves.up.retransmitted, halves.down.retransmitted),
        }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { packets, segments, not_tcp, not_ip, malformed, connections } = self;
        write!(f, "{packets} packets, {segments} TCP segments")?;
        let others = [(not_tcp, "not TCP"), (not_ip, "not IP")];
        for (n, what) in others.into_iter().filter(|(n, _)| **n > 0) {
            write!(f, ", {n} {what}")?;
        }
        for (reason, n) in malformed {
            write!(f, ", {n} dropped: {reason}")?;
        }
        writeln!(f)?;
        connections.iter().try_for_each(|connection| connection.fmt(f))
    }
}

impl Display for ConnectionSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { id, opener, peer, .. } = self;
        write!(f, "connection {id}: {opener} > {peer}, {}", self.protocol)?;
        if let Some(why) = self.fallback {
            write!(f, " ({why})")?;
        }
        if self.protocol == Protocol::Multipath && !self.handshake {
            write!(f, ", handshake not in the capture")?;
        }
        let fins = [(self.data_fin.up, "up"), (self.data_fin.down, "down")];
        for (_, way) in fins.into_iter().filter(|(seen, _)| *seen) {
            write!(f, ", DATA_FIN {way}")?;
        }
        writeln!(f, "{}", if self.fast_close { ", MP_FASTCLOSE" } else { "" })?;
        for (name, both) in [
            ("bytes", self.bytes),
            ("retransmitted", self.retransmitted),
            ("reinjected", self.reinjected),
            ("without mapping", self.unmapped),
        ] {
            if both != Both::default() || name == "bytes" {
                writeln!(f, "  {name}: {} up, {} down", both.up, both.down)?;
            }
        }
        for (side, list) in [("opener", &self.announcements.up), ("peer", &self.announcements.down)]
        {
            list.iter().try_for_each(|text| writeln!(f, "  announced by the {side}: {text}"))?;
        }
        self.subflows.iter().try_for_each(|subflow| subflow.write(f, *id))
    }
}

impl SubflowSummary {
    fn write(&self, f: &mut Formatter<'_>, connection: usize) -> fmt::Result {
        let Self { id, opener, peer, interface, state, bytes, retransmitted, .. } = self;
        let arrow = if self.reversed { "<" } else { ">" };
        write!(f, "  subflow {connection}.{id}: {opener} {arrow} {peer} {interface}, {state}")?;
        write!(f, ", bytes {} up, {} down", bytes.up, bytes.down)?;
        writeln!(f, ", retransmitted {} up, {} down", retransmitted.up, retransmitted.down)
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negotiating => "handshake incomplete",
            Self::Multipath => "MPTCP",
            Self::FellBack => "fell back to TCP",
            Self::Tcp => "TCP",
        })
    }
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "not answered",
            Self::Answered => "handshake incomplete",
            Self::Established => "established",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Closed => "closed",
        })
    }
}
