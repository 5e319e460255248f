//! Snapshots of a connection.

use alloc::vec::Vec;

use manypath_base::{DataOffset, SubflowId};
use manypath_tcp::PathInfo;

use super::{Connection, Subflow};
use crate::{ConnectionInfo, SubflowInfo};

impl Connection {
    pub(crate) fn info(&self) -> ConnectionInfo {
        let send = &self.shared.send;
        let first = DataOffset(1);
        ConnectionInfo {
            protocol: self.protocol(),
            local: self.ends.local(),
            remote: self.ends.remote(),
            bytes_written: send.buffer.end().saturating_sub(first),
            bytes_acknowledged: send.una.min(send.buffer.end()).saturating_sub(first),
            bytes_received: self.shared.recv.received(),
            bytes_reinjected: send.reinjected,
            bytes_out_of_order: self.shared.recv.held(),
            scheduler: self.scheduler.name(),
            congestion_control: self.congestion_control.name(),
            subflows: self.path_infos(),
        }
    }

    /// Each subflow, or each path of the only one.
    fn path_infos(&self) -> Vec<SubflowInfo> {
        let mut infos: Vec<SubflowInfo> = self.subflows.iter().filter_map(subflow_info).collect();
        if let (Some(first), true) = (infos.first_mut(), self.one_ended.is_used()) {
            first.bytes_sent = first.path.sent;
            first.bytes_retransmitted = first.path.retransmitted;
            let first = first.clone();
            let further = self.subflows[0].flow.paths().skip(1);
            infos.extend(further.map(|path| self.path_info(&first, path)));
        }
        infos
    }

    /// A further path of a one-ended connection.
    fn path_info(&self, first: &SubflowInfo, path: PathInfo) -> SubflowInfo {
        SubflowInfo {
            id: SubflowId::from(path.id),
            iface: self.one_ended.iface(path.id).unwrap_or(first.iface),
            local: first.local,
            remote: first.remote,
            established: path.usable,
            backup: false,
            bytes_sent: path.sent,
            bytes_received: 0,
            bytes_retransmitted: path.retransmitted,
            path,
        }
    }
}

fn subflow_info(sub: &Subflow) -> Option<SubflowInfo> {
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
