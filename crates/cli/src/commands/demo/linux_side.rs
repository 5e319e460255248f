//! The same transfer with Linux at both ends: what there is to compare with.

use manypath_lab::{
    Amount, Client, EndpointKind, Host, PeerConfig, Role, Server, Topology, Transport, now,
};

use super::plan::Plan;
use super::report::Run;
use super::{Args, Direction, schedule};
use crate::failure::Failure;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// Runs it over the same links, which must be whole.
pub(super) async fn run(topology: &Topology, args: &Args, plan: &Plan) -> Result<Run, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::failed("Linux at both ends", error);
    let others = 1..plan.links.len();
    topology.kernel_mptcp(Host::Client, EndpointKind::Subflow, others).map_err(|e| failed(&e))?;
    let config = PeerConfig::new(Transport::Mptcp);
    let addr = topology.socket_addr(Host::Server, 0, 0);
    let role = Role::Source { amount: Amount::Time(plan.length()), seed: args.seed };
    let server = Server::start(topology.server(), &config, addr, role).map_err(|e| failed(&e))?;
    let before = super::report::bytes_by_link(topology.links(), Direction::Down);
    let start = now();
    let client = Client::start(topology.client(), &config, server.addr(), Role::Sink)
        .map_err(|e| failed(&e))?;
    let moments = schedule::play(topology.links(), Direction::Down, plan, start).await;
    let reports = tokio::task::spawn_blocking(move || {
        (client.report(PATIENCE), server.next_report(PATIENCE))
    });
    let (received, sent) = reports.await.map_err(|e| failed(&e))?;
    let received = received.map_err(|e| failed(&e))?.received;
    let sent = sent.ok_or_else(|| Failure::Failed("Linux did not finish".to_owned()))?.sent;
    let run = Run::new(topology.links(), Direction::Down, moments, &sent, received);
    Ok(run.without(&before))
}
