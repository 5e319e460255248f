//! Remembers what a connection was like, because a closed one is forgotten by its endpoint.

use std::collections::BTreeMap;
use std::time::Duration;

use manypath::{ConnId, ConnectionInfo, Endpoint, SubflowInfo};
use serde::Serialize;

/// How often a connection is looked at, so that subflows that end early are not missed.
const EVERY: Duration = Duration::from_millis(100);

/// The latest that is known of a connection.
#[derive(Debug)]
pub(crate) struct Watch {
    endpoint: Endpoint,
    id: ConnId,
    latest: Option<ConnectionInfo>,
    subflows: BTreeMap<u32, SubflowInfo>,
}

/// What a connection was like, for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Seen {
    /// `multipath`, `fell-back` or `plain-tcp`; `unknown` if it was never looked at.
    pub(crate) protocol: String,
    /// Why it fell back, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fallback_reason: Option<String>,
    /// Bytes sent again on another subflow.
    pub(crate) bytes_reinjected: u64,
    /// Every subflow that was seen, as it was last.
    pub(crate) subflows: Vec<SubflowInfo>,
}

impl Watch {
    /// Watches a connection of `endpoint`.
    pub(crate) fn new(endpoint: &Endpoint, id: ConnId) -> Self {
        let endpoint = endpoint.clone();
        Self { endpoint, id, latest: None, subflows: BTreeMap::new() }
    }

    /// Looks at the connection; what is forgotten stays as it was last seen.
    pub(crate) fn look(&mut self) -> Option<&ConnectionInfo> {
        if let Ok(Some(info)) = self.endpoint.connection_info(self.id) {
            self.subflows.extend(info.subflows.iter().map(|s| (s.id, s.clone())));
            self.latest = Some(info);
        }
        self.latest.as_ref()
    }

    /// Looks again and again, until dropped.
    pub(crate) async fn keep_looking(&mut self) -> ! {
        loop {
            self.look();
            tokio::time::sleep(EVERY).await;
        }
    }

    /// What was seen.
    pub(crate) fn seen(&self) -> Seen {
        let latest = self.latest.as_ref();
        Seen {
            protocol: latest.map_or("unknown".to_owned(), |info| info.protocol.clone()),
            fallback_reason: latest.and_then(|info| info.fallback_reason.clone()),
            bytes_reinjected: latest.map_or(0, |info| info.bytes_reinjected),
            subflows: self.subflows.values().cloned().collect(),
        }
    }
}

/// Megabits per second.
pub(crate) fn mbps(bytes: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { thousandths(float(bytes) * 8.0 / 1e6 / seconds) } else { 0.0 }
}

/// Seconds with three digits, as results have them.
pub(crate) fn seconds(time: Duration) -> f64 {
    thousandths(time.as_secs_f64())
}

/// A number with three digits behind the point.
pub(crate) fn thousandths(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// A count as a number to divide: exact to 2^53, which is eight petabytes.
#[expect(clippy::cast_precision_loss, reason = "only shown")]
pub(crate) fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_over_no_time_is_none() {
        assert!(mbps(1_000_000, 0.0).abs() < f64::EPSILON);
        assert!((mbps(1_250_000, 2.0) - 5.0).abs() < f64::EPSILON);
    }
}
