//! Packet sockets at both ends of a veth pair, beside the kernel and against it.

mod common;

use std::io::ErrorKind;
use std::net::{SocketAddrV4, SocketAddrV6, TcpStream};
use std::os::fd::{AsFd, AsRawFd};

use common::{Namespace, address, sh, super_segment, tcp};
use manypath_base::Mss;
use manypath_device::{Device, Mac, PacketConfig, PacketError, PacketSocket};
use manypath_wire::{Checksum, Datagram, Flags};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, connect, socket,
};

/// Two hosts and a veth pair, `near0` and `far0`, with the kernels' addresses ending in 1 and 2.
struct Pair {
    near: Namespace,
    far: Namespace,
}

impl Pair {
    fn new(test: &str) -> Option<Self> {
        let (near, far) = (Namespace::new(test)?, Namespace::new(test)?);
        let pair = Self { near, far };
        let peer = format!("peer name far0 netns {}", pair.far.name());
        pair.near.run(|| sh(&format!("ip link add near0 type veth {peer}")));
        for (namespace, name, host) in [(&pair.near, "near0", 1), (&pair.far, "far0", 2)] {
            namespace.run(|| {
                sh(&format!("ip link set {name} up"));
                sh(&format!("ip address add 10.1.0.{host}/24 dev {name}"));
                sh(&format!("ip address add fd00:1::{host}/64 dev {name} nodad"));
            });
        }
        Some(pair)
    }

    /// A socket with addresses that end in `host`.
    fn open(&self, near: bool, host: u8, offload: bool) -> Result<PacketSocket, PacketError> {
        self.open_with(near, host, offload, false)
    }

    /// The same, maybe with a link address of its own.
    fn open_with(
        &self,
        near: bool,
        host: u8,
        offload: bool,
        own_mac: bool,
    ) -> Result<PacketSocket, PacketError> {
        let (namespace, name) = if near { (&self.near, "near0") } else { (&self.far, "far0") };
        let addresses = ["10.1.0.", "fd00:1::"].map(|net| address(&format!("{net}{host}")));
        let (interface, addresses) = (name.to_owned(), addresses.to_vec());
        let mac = own_mac.then_some(Mac([2, 0, 0, 0, 7, host]));
        namespace.run(|| PacketSocket::open(&PacketConfig { interface, addresses, offload, mac }))
    }
}

/// Receives at `to` until `enough` says so, and lets `from` hear questions meanwhile; fails after
/// 10 s of silence.
fn receive(
    from: Option<&mut PacketSocket>,
    to: &mut PacketSocket,
    enough: impl Fn(&[Datagram]) -> bool,
) -> Vec<Datagram> {
    let mut batch = Vec::new();
    let mut sockets: Vec<_> = std::iter::once(to).chain(from).collect();
    while !enough(&batch) {
        let polled = |socket: &&mut PacketSocket| socket.as_fd().try_clone_to_owned();
        let fds: Vec<_> =
            sockets.iter().map(polled).collect::<Result<_, _>>().expect("few are open");
        let mut fds: Vec<_> =
            fds.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
        let ready = poll(&mut fds, PollTimeout::from(10_000_u16)).expect("poll works");
        assert!(ready > 0, "only {} packets came", batch.len());
        sockets[0].recv(&mut batch, 64).expect("the interface is up");
        for socket in &mut sockets[1..] {
            let mut own = Vec::new();
            socket.recv(&mut own, 64).expect("the interface is up");
            assert!(own.is_empty(), "nobody sends to it");
        }
    }
    batch
}

fn payload(batch: &[Datagram]) -> Vec<u8> {
    batch.iter().filter_map(tcp).flat_map(|(_, segment)| segment.payload.to_vec()).collect()
}

#[test]
fn the_kernel_finds_our_address_and_its_syn_arrives() {
    for v6 in [false, true] {
        let Some(pair) = Pair::new("the_kernel_finds_our_address") else { return };
        let mut ours = pair.open(true, 7, true).expect("root may open a packet socket");
        let (family, peer) = if v6 {
            (AddressFamily::Inet6, "fd00:1::7")
        } else {
            (AddressFamily::Inet, "10.1.0.7")
        };
        let _client = pair.far.run(|| {
            let client = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK, None);
            let client = client.expect("a socket");
            let began = if v6 {
                let to = SocketAddrV6::new(peer.parse().expect("an address"), 80, 0, 0);
                connect(client.as_raw_fd(), &SockaddrIn6::from(to))
            } else {
                let to = SocketAddrV4::new(peer.parse().expect("an address"), 80);
                connect(client.as_raw_fd(), &SockaddrIn::from(to))
            };
            assert_eq!(began, Err(Errno::EINPROGRESS));
            client
        });
        let batch = receive(None, &mut ours, |batch| !batch.is_empty());
        let (ip, syn) = tcp(&batch[0]).expect("a TCP packet with right checksums");
        assert_eq!((ip.dst, syn.flags, syn.dst_port), (address(peer), Flags::SYN, 80));
    }
}

#[test]
fn super_segments_pass_whole_or_are_cut_and_joined_again() {
    for (v6, offload) in [(false, true), (true, true), (false, false), (true, false)] {
        let Some(pair) = Pair::new("super_segments_pass_whole") else { return };
        // With their own link addresses where they offload, with the interfaces' where not.
        let open = |near, host| pair.open_with(near, host, offload, offload);
        let mut from = open(true, 7).expect("root may open a packet socket");
        let mut to = open(false, 8).expect("root may open a packet socket");
        let (src, dst) = if v6 { ("fd00:1::7", "fd00:1::8") } else { ("10.1.0.7", "10.1.0.8") };
        // The first packet waits for the neighbour's address; cut apart, only its last part does.
        let known = super_segment(src, dst, 100, 1400);
        from.send(&known).expect("the interface is up");
        assert_eq!(payload(&receive(Some(&mut from), &mut to, |b| !b.is_empty())).len(), 100);
        from.send(&super_segment(src, dst, 60_000, 1400)).expect("the interface is up");
        let batch = receive(Some(&mut from), &mut to, |batch| payload(batch).len() >= 60_000);
        let sent: Vec<u8> = (0..=u8::MAX).cycle().take(60_000).collect();
        assert!(payload(&batch) == sent, "the payload changed on the way");
        // Cut apart on the way, they were joined again.
        assert_eq!((batch.len(), batch[0].gso_mss), (1, Some(Mss(1400))), "IPv6: {v6}");
        assert_eq!(batch[0].checksum, Checksum::Offloaded);
        assert_eq!(from.dropped(), 0);
    }
}

/// An interface that goes down wakes whoever waits; asked once, the socket is silent again.
#[test]
fn an_interface_that_went_down_is_told_once() {
    let Some(pair) = Pair::new("an_interface_that_went_down_is_told_once") else { return };
    let mut ours = pair.open(true, 7, true).expect("root may open a packet socket");
    pair.near.run(|| sh("ip link set near0 down"));
    let readable = |ours: &PacketSocket| {
        let mut fds = [PollFd::new(ours.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).expect("poll works")
    };
    assert_eq!(readable(&ours), 1);
    assert_eq!(ours.recv(&mut Vec::new(), 64).expect("it may come back"), 0);
    assert_eq!(readable(&ours), 0);
}

#[test]
fn what_is_for_the_kernel_stays_with_it() {
    let Some(pair) = Pair::new("what_is_for_the_kernel_stays_with_it") else { return };
    let mut ours = pair.open(true, 7, true).expect("root may open a packet socket");
    let refused = pair.far.run(|| TcpStream::connect("10.1.0.1:9")).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "the kernel answers");
    let mut batch = Vec::new();
    assert_eq!(ours.recv(&mut batch, 64).expect("the interface is up"), 0, "{batch:?}");
}

#[test]
fn an_address_of_the_kernel_and_an_interface_that_is_none_are_refused() {
    let Some(pair) = Pair::new("an_address_of_the_kernel_is_refused") else { return };
    let error = pair.open(true, 1, true).expect_err("the kernel has it");
    assert!(matches!(error, PacketError::AddressTaken { .. }), "{error}");
    let config = |interface: &str| PacketConfig {
        interface: interface.to_owned(),
        addresses: vec![address("10.1.0.7")],
        offload: true,
        mac: None,
    };
    let error = pair.near.run(|| PacketSocket::open(&config("nosuch0"))).expect_err("none");
    assert!(matches!(error, PacketError::NoInterface { .. }), "{error}");
}
