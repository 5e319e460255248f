//! One ICMP echo (RFC 792), so that a lab needs no foreign program to see its delay.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use manypath_base::{Instant, Rng};
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock;

const ECHO_REPLY: u8 = 0;
const ECHO: u8 = 8;
const IP_HEADER: usize = 20;

/// Sends an echo from an address of this host and waits for its reply. Gives the round-trip time.
pub(crate) fn ping(from: Ipv4Addr, to: Ipv4Addr, timeout: Duration) -> io::Result<Duration> {
    let mut socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.bind(&SocketAddr::new(from.into(), 0).into())?;
    let sent = clock::now();
    let id = Rng::seeded(sent.as_nanos()).bytes();
    socket.send_to(&echo(id), &SocketAddr::new(to.into(), 0).into())?;
    loop {
        let left = (sent + timeout).since(clock::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let mut buffer = [0; 1_500];
        match socket.read(&mut buffer) {
            Ok(len) if is_reply(&buffer[..len], to, id) => return Ok(since(sent)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn since(sent: Instant) -> Duration {
    clock::now().since(sent)
}

/// Type, code, checksum, identifier, sequence number.
fn echo(id: [u8; 4]) -> [u8; 8] {
    let word = |a, b| u32::from(u16::from_be_bytes([a, b]));
    let sum = word(ECHO, 0) + word(id[0], id[1]) + word(id[2], id[3]);
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    let [.., high, low] = (!folded).to_be_bytes();
    [ECHO, 0, high, low, id[0], id[1], id[2], id[3]]
}

/// A raw socket sees every ICMP packet of the host, with its IP header.
fn is_reply(packet: &[u8], to: Ipv4Addr, id: [u8; 4]) -> bool {
    packet.get(12..16) == Some(&to.octets())
        && packet.get(IP_HEADER) == Some(&ECHO_REPLY)
        && packet.get(IP_HEADER + 4..IP_HEADER + 8) == Some(&id)
}
