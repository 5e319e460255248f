//! How a TUN interface is made and configured.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;
use thiserror::Error;

use crate::command::{CommandError, run};
use crate::{sys, vnet};

/// How a TUN interface shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunConfig {
    /// Name of the interface, at most 15 bytes; `mp%d` lets the kernel choose a number.
    pub name: String,
    /// Longest packet in bytes; IPv6 wants 1280 or more.
    pub mtu: u16,
    /// Super-segments and checksums left to the kernel.
    pub offload: bool,
    /// Queues, each for a thread of its own: those beyond the first are taken with
    /// [`Device::take_queues`](crate::Device::take_queues). The kernel puts packets into the one to
    /// which the other direction was written last, once it was; of 4,096 flows it knows that, those
    /// of others it spreads.
    pub queues: u32,
    /// The kernel's own addresses on the interface, with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Whether to set it up.
    pub up: bool,
    /// Packets that may wait for us in the kernel. The default of Linux, 500, drops bursts.
    pub txqueuelen: u32,
}

impl Default for TunConfig {
    fn default() -> Self {
        Self {
            name: "mp%d".to_owned(),
            mtu: 1500,
            offload: true,
            queues: 1,
            addresses: Vec::new(),
            up: true,
            txqueuelen: 10_000,
        }
    }
}

/// Why there is no TUN interface.
#[derive(Debug, Error)]
pub enum TunError {
    /// No TUN driver.
    #[error("/dev/net/tun does not exist; try `modprobe tun`, or give it to the container")]
    NoDriver,
    /// Not privileged.
    #[error("opening TUN interface `{name}` needs root or CAP_NET_ADMIN")]
    NotPermitted {
        /// The interface.
        name: String,
    },
    /// The name is not one.
    #[error("`{name}` is no interface name: 1 to 15 bytes, no spaces or slashes")]
    Name {
        /// The interface.
        name: String,
    },
    /// Someone else has it open, or it is no TUN interface of this kind.
    #[error(
        "interface `{name}` is in use, or is no TUN interface of this kind; choose another name"
    )]
    Busy {
        /// The interface.
        name: String,
    },
    /// Another failure.
    #[error("TUN interface `{name}`: {doing}")]
    Io {
        /// The interface.
        name: String,
        /// What failed.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The interface could not be configured.
    #[error(transparent)]
    Configure(#[from] CommandError),
}

pub(super) fn check_name(name: &str) -> Result<(), TunError> {
    let good = (1..libc::IFNAMSIZ).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    if good { Ok(()) } else { Err(TunError::Name { name: name.to_owned() }) }
}

pub(super) fn open_driver(name: &str) -> Result<File, TunError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
    options.open("/dev/net/tun").map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => TunError::NoDriver,
        _ => describe(source, name, "open /dev/net/tun"),
    })
}

pub(super) fn attach(file: &File, name: &str, config: &TunConfig) -> Result<String, TunError> {
    let mut flags = libc::IFF_TUN | libc::IFF_NO_PI;
    let mut offload = 0;
    if config.offload {
        flags |= libc::IFF_VNET_HDR;
        offload = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    }
    if config.queues > 1 {
        flags |= libc::IFF_MULTI_QUEUE;
    }
    let flags = libc::c_short::try_from(flags).expect("the flags of TUNSETIFF have 15 bits");
    let offload = libc::c_int::try_from(offload).expect("the flags of TUNSETOFFLOAD have 7 bits");
    let fail = |doing| move |source| describe(source, name, doing);
    let name = sys::tun_attach(file, name, flags).map_err(fail("attach"))?;
    if config.offload {
        let len = libc::c_int::try_from(vnet::LEN).expect("10 bytes");
        sys::tun_set_vnet_header_size(file, len).map_err(fail("set the header's length"))?;
    }
    // Also without offload: a persistent interface may have it on from an earlier user.
    sys::tun_set_offload(file, offload).map_err(fail("set the offloads"))?;
    Ok(name)
}

pub(super) fn configure(name: &str, config: &TunConfig) -> Result<(), TunError> {
    let (mtu, queue) = (config.mtu.to_string(), config.txqueuelen.to_string());
    run("ip", &["link", "set", "dev", name, "mtu", &mtu, "txqueuelen", &queue])?;
    // No link-local address, so no router solicitations; fails harmlessly where IPv6 is off.
    let _no_ipv6 = run("ip", &["link", "set", "dev", name, "addrgenmode", "none"]);
    for (address, prefix) in &config.addresses {
        run("ip", &["address", "replace", &format!("{address}/{prefix}"), "dev", name])?;
    }
    if config.up {
        run("ip", &["link", "set", "dev", name, "up"])?;
    }
    Ok(())
}

fn describe(source: io::Error, name: &str, doing: &'static str) -> TunError {
    let name = name.to_owned();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => TunError::NotPermitted { name },
        Some(libc::EBUSY | libc::EINVAL | libc::EEXIST) => TunError::Busy { name },
        _ => TunError::Io { name, doing, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_would_refuse_are_refused() {
        for name in ["", "a b", "a/b", "sixteen-bytes-xx"] {
            assert!(matches!(check_name(name), Err(TunError::Name { .. })), "{name}");
        }
        assert!(check_name("fifteen-bytes-x").is_ok());
    }
}
