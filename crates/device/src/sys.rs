//! The calls that have no safe wrapper: three ioctls of the TUN driver, reading into memory that is
//! not initialised yet, packet sockets and their rings, several writes at once. All unsafe code of the
//! crate is here.

mod packet;
mod ring;
mod writes;

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use bytes::{BufMut, BytesMut};
use nix::libc;

pub(crate) use packet::{
    attach_filter, packet_bind, packet_socket, set_number, take_address, take_multicast,
};
pub(crate) use ring::{RxRing, Slot};
pub(crate) use writes::Writes;

mod raw {
    use nix::libc;

    nix::ioctl_readwrite_bad!(tun_set_iff, libc::TUNSETIFF, libc::ifreq);
    nix::ioctl_write_int_bad!(tun_set_offload, libc::TUNSETOFFLOAD);
    nix::ioctl_write_ptr_bad!(tun_set_vnet_header_size, libc::TUNSETVNETHDRSZ, libc::c_int);
}

/// Attaches `file`, an open `/dev/net/tun`, to the interface `name`, which is made if it does not
/// exist; an empty name or one with `%d` lets the kernel choose. Returns the name.
pub(crate) fn tun_attach(file: impl AsFd, name: &str, flags: libc::c_short) -> io::Result<String> {
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let ifr_ifru = libc::__c_anonymous_ifr_ifru { ifru_flags: flags };
    let mut request = libc::ifreq { ifr_name, ifr_ifru };
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, which `request` is, during the call only.
    unsafe { raw::tun_set_iff(file.as_fd().as_raw_fd(), &raw mut request) }?;
    let name = request.ifr_name.iter().map(|c| c.to_ne_bytes()[0]).take_while(|&b| b != 0);
    Ok(String::from_utf8_lossy(&name.collect::<Vec<_>>()).into_owned())
}

/// Says what the reader of the TUN interface takes: `TUN_F_*`.
pub(crate) fn tun_set_offload(file: impl AsFd, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value and touches no memory of ours.
    unsafe { raw::tun_set_offload(file.as_fd().as_raw_fd(), flags) }?;
    Ok(())
}

/// Sets the length of the virtio-net header that stands before every packet.
pub(crate) fn tun_set_vnet_header_size(file: impl AsFd, bytes: libc::c_int) -> io::Result<()> {
    // SAFETY: TUNSETVNETHDRSZ reads one `int`, which lives until the call returns.
    unsafe { raw::tun_set_vnet_header_size(file.as_fd().as_raw_fd(), &raw const bytes) }?;
    Ok(())
}

/// One `read` behind the end of `buffer`, into the capacity that is there. Returns what was read;
/// it saves clearing 64 KiB before every packet.
pub(crate) fn read_spare(file: impl AsFd, buffer: &mut BytesMut) -> io::Result<usize> {
    let spare = buffer.spare_capacity_mut();
    // SAFETY: `read` writes at most `spare.len()` bytes to `spare`, which is ours for the call,
    // and never reads them, so they need not be initialised.
    let n = unsafe { libc::read(file.as_fd().as_raw_fd(), spare.as_mut_ptr().cast(), spare.len()) };
    let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel initialised the first `n` bytes, and `n` is at most the spare capacity.
    unsafe { buffer.advance_mut(n) };
    Ok(n)
}
