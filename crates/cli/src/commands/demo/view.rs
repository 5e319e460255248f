//! The live view on standard error: every path twice a second, and what happens to them.

use std::time::Duration;

use manypath::{ConnId, ConnectionInfo, Endpoint, EventInfo, Events, Notice, SubflowInfo};
use manypath_base::Instant;
use manypath_lab::{LinkHandle, now};

use super::Direction;
use super::schedule::delivered;

const EVERY: Duration = Duration::from_millis(500);

/// Prints until it is stopped.
pub(super) struct View([tokio::task::JoinHandle<()>; 2]);

impl View {
    pub(super) fn start(
        endpoint: Endpoint,
        conn: ConnId,
        links: &[LinkHandle],
        direction: Direction,
    ) -> Self {
        let (links, start) = (links.to_vec(), now());
        let events = endpoint.events().ok();
        let rates = tokio::spawn(async move {
            let mut before: Vec<u64> = links.iter().map(|l| delivered(l, direction)).collect();
            let mut ticks = tokio::time::interval(EVERY);
            ticks.tick().await;
            for n in 1u32.. {
                ticks.tick().await;
                let now: Vec<u64> = links.iter().map(|l| delivered(l, direction)).collect();
                let info = endpoint.connection_info(conn).ok().flatten();
                let paths = links.iter().zip(now.iter().zip(&before));
                let shown: Vec<String> = paths
                    .map(|(link, (now, before))| show(link, now - before, info.as_ref()))
                    .collect();
                eprintln!("{:5.1} s  {}", f64::from(n) * EVERY.as_secs_f64(), shown.join("  |  "));
                before = now;
            }
        });
        Self([rates, tokio::spawn(tell(events, start))])
    }

    pub(super) fn stop(self) {
        for task in self.0 {
            task.abort();
        }
    }
}

/// Prints events as they come.
async fn tell(events: Option<Events>, start: Instant) {
    let Some(mut events) = events else { return };
    while let Some(notice) = events.next().await {
        let Notice::Event(event) = notice else { continue };
        let EventInfo { event, subflow, local, reason, .. } = event.into();
        let parts = [
            subflow.map(|n| format!("subflow {n}")),
            local.map(|addr| format!("from {addr}")),
            reason,
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        eprintln!("{:7.3} s  -- {event} {}", now().since(start).as_secs_f64(), parts.join(" "));
    }
}

/// One path: its rate on the link, round-trip time, window and health.
fn show(link: &LinkHandle, bytes: u64, info: Option<&ConnectionInfo>) -> String {
    let mbps = bytes as f64 * 8.0 / EVERY.as_secs_f64() / 1e6;
    let subflow = info.and_then(|i| i.subflows.iter().rev().find(|s| s.path == link.name()));
    let state = subflow.map_or_else(|| "no subflow".to_owned(), describe);
    format!("{} {mbps:5.1} Mb/s {state}", link.name())
}

fn describe(s: &SubflowInfo) -> String {
    let health = match (s.established, s.failed, s.suspect) {
        (false, ..) => "joining",
        (_, true, _) => "failed",
        (_, _, true) => "suspect",
        (true, false, false) => "ok",
    };
    format!("rtt {:3.0} ms cwnd {:3} kB {health}", s.srtt_ms, s.cwnd / 1000)
}
