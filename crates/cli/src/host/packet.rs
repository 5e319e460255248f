//! A host whose paths are packet sockets: it stands beside the kernel on its interfaces, with
//! addresses of their subnets, and changes nothing in the system.

use manypath::ConnectionMode;
use manypath::device::{Device as _, PacketConfig, PacketError, PacketSocket};

use super::{Host, HostOptions, Plan, Purpose, builder, command_failure, path, plan};
use crate::failure::Failure;

/// Makes the host.
///
/// # Errors
/// What is missing, and what to do about it.
pub(super) fn open(options: &HostOptions, purpose: Purpose) -> Result<Host, Failure> {
    if options.shards > 1 {
        let what = "--shards needs --device tun: a packet socket has one queue";
        return Err(Failure::Usage(what.to_owned()));
    }
    let mut builder = builder(options)?;
    let plans = addressed(options)?;
    for plan in &plans {
        let socket = socket(plan)?;
        let mtu = options.mtu.unwrap_or(u16::MAX).min(socket.mtu());
        let path = path(plan, mtu);
        builder = builder.path(
            socket,
            match purpose {
                Purpose::Server => path.announced(),
                Purpose::Client => path,
            },
        );
    }
    let endpoint = builder.build().map_err(|error| Failure::failed("the endpoint", &error))?;
    let addresses = plans.into_iter().flat_map(|plan| plan.addresses).collect();
    Ok(Host { endpoint, setup: None, addresses, mode: ConnectionMode::Automatic })
}

/// The paths, each with an interface and addresses that the user chose: nothing tells which
/// addresses of a subnet are free.
fn addressed(options: &HostOptions) -> Result<Vec<Plan>, Failure> {
    let HostOptions { paths, backups, addresses, .. } = options;
    let has = |name: &&String| addresses.iter().any(|a| a.interface.as_ref() == Some(*name));
    let without = paths.iter().chain(backups).find(|name| !has(name));
    let anywhere = addresses.iter().find(|address| address.interface.is_none());
    let missing = match (without, anywhere) {
        (Some(name), _) => format!("ADDR@{name}"),
        (None, Some(address)) => format!("{}@IFACE", address.addr),
        (None, None) if addresses.is_empty() => "ADDR@IFACE".to_owned(),
        (None, None) => return plan(options),
    };
    Err(Failure::Usage(format!(
        "--device packet needs --address {missing}, ADDR being one of the interface's subnet that \
         nobody has"
    )))
}

fn socket(plan: &Plan) -> Result<PacketSocket, Failure> {
    let config = PacketConfig {
        interface: plan.interface.clone().unwrap_or_default(),
        addresses: plan.addresses.clone(),
        offload: true,
        mac: None,
    };
    PacketSocket::open(&config).map_err(|error| match &error {
        PacketError::Ask(command) => command_failure("--device packet", command),
        PacketError::Io { .. } => Failure::failed("--device packet", &error),
        PacketError::NotPermitted { .. }
        | PacketError::NoInterface { .. }
        | PacketError::AddressTaken { .. } => Failure::usage("--device packet", &error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        host: HostOptions,
    }

    fn options(line: &str) -> HostOptions {
        Line::parse_from(["test"].into_iter().chain(line.split_whitespace())).host
    }

    #[test]
    fn a_packet_socket_is_for_one_shard() {
        let options = options("--device packet --address 10.0.0.7@eth0 --shards 2");
        let failure = open(&options, Purpose::Client).err().expect("it has one queue");
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains("--device tun"), "{failure}");
    }

    #[test]
    fn every_path_needs_an_address_of_its_interface() {
        let complain =
            |line: &str| addressed(&options(line)).err().map(|failure| failure.to_string());
        let good = "--address 10.0.0.7@eth0 --address 10.1.0.7@lte0 --backup lte0";
        assert_eq!(complain(good), None);
        for (line, named) in [
            ("", "ADDR@IFACE"),
            ("--path eth0", "ADDR@eth0"),
            ("--address 10.0.0.7", "10.0.0.7@IFACE"),
        ] {
            let line = format!("{line} --device packet");
            assert!(complain(&line).is_some_and(|said| said.contains(named)), "{line}");
        }
    }
}
