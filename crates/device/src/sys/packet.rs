//! Packet sockets: binding, options and filters, for which there are no safe wrappers.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// `PACKET_MR_UNICAST` of `linux/if_packet.h`.
const MR_UNICAST: libc::c_ushort = 3;

/// A packet socket that receives nothing before [`packet_bind`]; calls on it never wait.
pub(crate) fn packet_socket() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    Ok(socket(AddressFamily::Packet, SockType::Raw, flags, None)?)
}

/// Gives the socket the frames of one interface, of every protocol.
pub(crate) fn packet_bind(socket: impl AsFd, index: libc::c_int) -> io::Result<()> {
    let family = u16::try_from(libc::AF_PACKET).expect("17");
    let every = u16::try_from(libc::ETH_P_ALL).expect("3").to_be();
    let address = libc::sockaddr_ll {
        sll_family: family,
        sll_protocol: every,
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the address is a `sockaddr_ll` of the length given, and lives during the call.
    let done = unsafe { libc::bind(fd, (&raw const address).cast(), len_of(&address)) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets an option whose value is a number.
pub(crate) fn set_number(
    socket: impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    set_option(socket, level, name, &value)
}

/// Lets through what `program`, in classic BPF, returns more than 0 for.
pub(crate) fn attach_filter(
    socket: impl AsFd,
    program: &mut [libc::sock_filter],
) -> io::Result<()> {
    let len = libc::c_ushort::try_from(program.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "too many addresses"))?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Has the interface take frames to every multicast address while the socket lives.
pub(crate) fn take_multicast(socket: impl AsFd, index: libc::c_int) -> io::Result<()> {
    let kind = libc::c_ushort::try_from(libc::PACKET_MR_ALLMULTI).expect("2");
    let wish =
        libc::packet_mreq { mr_ifindex: index, mr_type: kind, mr_alen: 0, mr_address: [0; 8] };
    set_option(socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &wish)
}

/// Has the interface take frames to a further address while the socket lives.
pub(crate) fn take_address(socket: impl AsFd, index: libc::c_int, mac: [u8; 6]) -> io::Result<()> {
    let mut mr_address = [0; 8];
    mr_address[..6].copy_from_slice(&mac);
    let wish = libc::packet_mreq { mr_ifindex: index, mr_type: MR_UNICAST, mr_alen: 6, mr_address };
    set_option(socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &wish)
}

/// `value` must be of the type that the option asks for.
pub(super) fn set_option<T>(
    socket: impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let at: *const T = value;
    // SAFETY: the kernel reads `len_of(value)` bytes at `value`, which lives during the call, and
    // what a filter program points to, which its owner holds that long; it keeps copies.
    let done = unsafe { libc::setsockopt(fd, level, name, at.cast(), len_of(value)) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn len_of<T>(value: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(size_of_val(value)).expect("arguments of calls are short")
}
