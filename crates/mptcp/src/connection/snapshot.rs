//! Snapshots of a connection.

use super::{Connection, Mode};
use crate::{ConnectionInfo, Protocol, SubflowInfo};
use manypath_base::DataOffset;

impl Connection {
    pub(crate) fn info(&self) -> ConnectionInfo {
        let send = &self.shared.send;
        let first = DataOffset(1);
        ConnectionInfo {
            protocol: match self.shared.mode {
                Mode::Negotiating => Protocol::Negotiating,
                Mode::Multipath => Protocol::Multipath,
                Mode::Plain(Some(reason)) => Protocol::FellBack(reason),
                Mode::Plain(None) => Protocol::PlainTcp,
            },
            local: self.local,
            remote: self.remote,
            bytes_written: send.buffer.end().saturating_sub(first),
            bytes_acknowledged: send.una.min(send.buffer.end()).saturating_sub(first),
            bytes_received: self.shared.recv.received(),
            bytes_reinjected: send.reinjected,
            bytes_out_of_order: self.shared.recv.held(),
            scheduler: self.scheduler.name(),
            congestion_control: self.congestion_control.name(),
            subflows: self.subflows.iter().filter_map(subflow_info).collect(),
        }
    }
}

fn subflow_info(sub: &super::Subflow) -> Option<SubflowInfo> {
    let counters = sub.flow.counters();
    Some(SubflowInfo {
        id: sub.id,
        iface: sub.iface,
        local: sub.flow.local(),
        remote: sub.flow.remote(),
        established: sub.up,
        backup: sub.is_backup(),
        bytes_sent: counters.bytes_sent,
        bytes_received: counters.bytes_received,
        bytes_retransmitted: counters.bytes_retransmitted,
        path: sub.flow.paths().next()?,
    })
}
