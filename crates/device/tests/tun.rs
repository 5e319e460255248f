//! TUN interfaces against the kernel, each test in a network namespace of its own.

mod common;

use std::net::{SocketAddrV4, UdpSocket};

use common::{Namespace, address, sh, super_segment, tcp};
use manypath_base::Mss;
use manypath_device::{Device, TOGETHER, Tun, TunConfig, TunError};
use manypath_wire::{Checksum, Datagram, Flags};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, socket};
use std::os::fd::{AsFd, AsRawFd};

/// Names are used once in a namespace: while another test starts a process, that holds every open
/// interface for a moment, and a name given up is still in use.
fn open(name: &str, offload: bool, addresses: &[&str]) -> Tun {
    let addresses = addresses.iter().map(|text| match text.split_once('/') {
        Some((ip, prefix)) => (address(ip), prefix.parse().expect("a prefix length")),
        None => panic!("{text} has no prefix length"),
    });
    let config = TunConfig {
        name: name.to_owned(),
        offload,
        addresses: addresses.collect(),
        ..TunConfig::default()
    };
    Tun::open(&config).expect("root may open a TUN interface")
}

/// Receives until `enough` says so; fails after 10 s of silence.
fn receive(tun: &mut dyn Device, enough: impl Fn(&[Datagram]) -> bool) -> Vec<Datagram> {
    let mut batch = Vec::new();
    while !enough(&batch) {
        let mut fds = [PollFd::new(tun.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::from(10_000_u16)).expect("poll works");
        assert_eq!(ready, 1, "only {} packets came", batch.len());
        tun.recv(&mut batch, 16).expect("the interface is up");
    }
    batch
}

fn payload_len(batch: &[Datagram]) -> usize {
    batch.iter().map(|d| tcp(d).map_or(0, |(_, segment)| segment.payload.len())).sum()
}

#[test]
fn a_syn_of_the_kernel_arrives() {
    for offload in [true, false] {
        let Some(namespace) = Namespace::new("a_syn_of_the_kernel_arrives") else { return };
        namespace.run(|| {
            let mut tun = open("mp0", offload, &["10.1.0.1/24"]);
            let (tcp4, stream) = (AddressFamily::Inet, SockType::Stream);
            let client = socket(tcp4, stream, SockFlag::SOCK_NONBLOCK, None).expect("a socket");
            let peer = SockaddrIn::from(SocketAddrV4::new([10, 1, 0, 2].into(), 80));
            assert_eq!(connect(client.as_raw_fd(), &peer), Err(Errno::EINPROGRESS));
            let batch = receive(&mut tun, |batch| !batch.is_empty());
            let (ip, syn) = tcp(&batch[0]).expect("a TCP packet with right checksums");
            assert_eq!((ip.src, ip.dst), (address("10.1.0.1"), address("10.1.0.2")));
            assert_eq!((syn.flags, syn.dst_port), (Flags::SYN, 80));
            // Without offload it was summed here.
            assert_eq!(batch[0].checksum, Checksum::Offloaded);
        });
    }
}

#[test]
fn a_receiver_takes_from_the_same_queue() {
    let Some(namespace) = Namespace::new("a_receiver_takes_from_the_same_queue") else { return };
    namespace.run(|| {
        let mut tun = open("mpr", true, &["10.1.0.1/24"]);
        let mut receiver = tun.receiver().expect("a TUN interface has one");
        let socket = UdpSocket::bind("10.1.0.1:0").expect("the kernel's address");
        socket.send_to(b"any packet", "10.1.0.2:9").expect("there is a route");
        let (mut batch, mut rest) = (Vec::new(), Vec::new());
        assert_eq!(receiver.recv(&mut batch, 16).expect("the interface is up"), 1);
        assert_eq!(tun.recv(&mut rest, 16).expect("the interface is up"), 0);
    });
}

/// Sends one super-segment of 60,000 bytes into `from` and returns what the kernel forwards to
/// `to`.
fn forward(v6: bool, from_offload: bool, to_offload: bool) -> Vec<Datagram> {
    let mut from = open("mpa", from_offload, &["10.1.0.1/24", "fd00:1::1/64"]);
    let mut to = open("mpb", to_offload, &["10.2.0.1/24", "fd00:2::1/64"]);
    sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    let (src, dst) = if v6 { ("fd00:1::2", "fd00:2::2") } else { ("10.1.0.2", "10.2.0.2") };
    from.send(&super_segment(src, dst, 60_000, 1400)).expect("the interface is up");
    let mut batch = receive(&mut to, |batch| payload_len(batch) >= 60_000);
    batch.retain(|d| tcp(d).is_some());
    batch
}

/// The payloads joined must be what was sent: 0, 1, 2, ...
fn assert_intact(batch: &[Datagram]) {
    let mut next = 1;
    let mut joined = Vec::new();
    for datagram in batch {
        let (_, segment) = tcp(datagram).expect("only TCP was kept");
        assert_eq!(segment.seq.0, next, "packets in order");
        next += u32::try_from(segment.payload.len()).expect("a packet is short");
        joined.extend(segment.payload.to_vec());
    }
    let sent = (0..=u8::MAX).cycle().take(60_000);
    assert!(joined.into_iter().eq(sent), "the payload changed on the way");
}

#[test]
fn a_super_segment_is_forwarded_whole_where_both_sides_offload() {
    for v6 in [false, true] {
        let Some(namespace) = Namespace::new("a_super_segment_is_forwarded_whole") else { return };
        let batch = namespace.run(|| forward(v6, true, true));
        assert_intact(&batch);
        assert_eq!(batch.len(), 1, "IPv6: {v6}");
        assert_eq!(batch[0].gso_mss, Some(Mss(1400)));
        assert_eq!(batch[0].checksum, Checksum::Offloaded);
    }
}

#[test]
fn packets_that_wait_keep_their_bytes_while_others_are_received() {
    let Some(namespace) = Namespace::new("packets_that_wait_keep_their_bytes") else { return };
    namespace.run(|| {
        let mut from = open("mpa", true, &["10.1.0.1/24"]);
        let mut to = open("mpb", true, &["10.2.0.1/24"]);
        sh("sysctl -qw net.ipv4.ip_forward=1");
        let lengths = [60_000, 100, 20_000, 5_000, 60_000];
        for len in lengths {
            from.send(&super_segment("10.1.0.2", "10.2.0.2", len, 1400)).expect("it is up");
        }
        let batch = receive(&mut to, |batch| payload_len(batch) >= lengths.iter().sum());
        let payloads = batch.iter().filter_map(tcp).map(|(_, segment)| segment.payload.to_vec());
        let sent = lengths.map(|len| (0..=u8::MAX).cycle().take(len).collect::<Vec<_>>());
        assert!(payloads.eq(sent));
    });
}

#[test]
fn what_is_sent_together_arrives_in_order() {
    let Some(namespace) = Namespace::new("what_is_sent_together_arrives_in_order") else { return };
    namespace.run(|| {
        let mut from = open("mpa", true, &["10.1.0.1/24"]);
        let mut to = open("mpb", true, &["10.2.0.1/24"]);
        sh("sysctl -qw net.ipv4.ip_forward=1");
        // More than one call takes.
        let lengths: Vec<usize> = (1..=2 * TOGETHER + 1).map(|n| n * 100).collect();
        let packet = |&len: &usize| super_segment("10.1.0.2", "10.2.0.2", len, 1400);
        let packets: Vec<Datagram> = lengths.iter().map(packet).collect();
        assert_eq!(from.send_all(&packets), 0);
        let batch = receive(&mut to, |batch| payload_len(batch) >= lengths.iter().sum());
        let arrived = batch.iter().filter_map(tcp).map(|(_, segment)| segment.payload.to_vec());
        let sent = lengths.iter().map(|&len| (0..=u8::MAX).cycle().take(len).collect::<Vec<_>>());
        assert!(arrived.eq(sent));
    });
}

#[test]
fn what_the_kernel_cut_for_a_plain_interface_is_joined_again() {
    for v6 in [false, true] {
        let Some(namespace) = Namespace::new("the_kernel_cuts_a_super_segment") else { return };
        let batch = namespace.run(|| forward(v6, true, false));
        assert_intact(&batch);
        assert!(batch.len() < 60_000_usize.div_ceil(1400), "IPv6: {v6}");
        assert!(batch.iter().any(|d| d.gso_mss == Some(Mss(1400))), "IPv6: {v6}");
        assert!(batch.iter().all(|d| d.checksum == Checksum::Offloaded), "IPv6: {v6}");
    }
}

#[test]
fn a_plain_interface_cuts_in_software() {
    for v6 in [false, true] {
        let Some(namespace) = Namespace::new("a_plain_interface_cuts_in_software") else { return };
        let batch = namespace.run(|| forward(v6, false, true));
        assert_intact(&batch);
        assert!(batch.iter().all(|d| d.len() <= 1500), "IPv6: {v6}");
    }
}

#[test]
fn an_interface_in_use_is_an_error_that_names_it() {
    let Some(namespace) = Namespace::new("an_interface_in_use_is_an_error") else { return };
    namespace.run(|| {
        let tun = open("mp%d", true, &[]);
        assert_eq!(tun.name(), "mp0");
        let config = TunConfig { name: "mp0".to_owned(), ..TunConfig::default() };
        let error = Tun::open(&config).expect_err("it has one queue");
        assert!(matches!(&error, TunError::Busy { name } if name == "mp0"), "{error}");
    });
}

#[test]
fn what_answers_comes_to_the_queue_that_was_written_to() {
    let Some(namespace) = Namespace::new("what_answers_comes_to_the_queue") else { return };
    namespace.run(|| {
        let name = "mpq".to_owned();
        let config = TunConfig { name, queues: 3, ..TunConfig::default() };
        let addresses = vec![(address("10.1.0.1"), 24)];
        let mut first = Tun::open(&TunConfig { addresses, ..config }).expect("root may open it");
        let mut queues = first.take_queues();
        assert_eq!((queues.len(), first.take_queues().len()), (2, 0));
        queues.push(Box::new(first));
        for n in 0..12 {
            let from = format!("10.1.0.{}", 10 + n);
            let packet = super_segment(&from, "10.1.0.1", 10, 1400);
            // The kernel answers the first before it has learned the queue.
            queues[n % 3].send(&packet).expect("the interface is up");
            queues.iter_mut().for_each(|queue| {
                queue.recv(&mut Vec::new(), 16).expect("the interface is up");
            });
            queues[n % 3].send(&packet).expect("the interface is up");
            let batch = receive(&mut *queues[n % 3], |batch| !batch.is_empty());
            let (ip, answer) = tcp(&batch[0]).expect("a TCP packet");
            assert_eq!((ip.dst, answer.flags.has(Flags::RST)), (address(&from), true));
        }
    });
}

#[test]
fn sending_while_the_interface_is_down_is_an_error() {
    let Some(namespace) = Namespace::new("sending_while_the_interface_is_down") else { return };
    namespace.run(|| {
        let name = "mpd".to_owned();
        let config = TunConfig { name, up: false, ..TunConfig::default() };
        let mut tun = Tun::open(&config).expect("root may open a TUN interface");
        let packet = super_segment("10.1.0.2", "10.2.0.2", 10, 1400);
        assert!(tun.send(&packet).is_err());
        assert_eq!(tun.send_all(&[packet.clone(), packet.clone(), packet]), 3);
    });
}
