//! Linux's end of a measurement: takes one connection over the kernel's MPTCP and reads to its
//! end (`sink`), or sends for some seconds (`source`), as fast as the kernel can.
//!
//! Says `listening` on standard output, and at the end one JSON object.
//! `linux_peer sink PORT` or `linux_peer source PORT SECONDS`

use std::env;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr};
use std::time::Duration;

use manypath_lab::now;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use socket2::{Domain, Protocol, Socket, Type};

const BUFFER: usize = 1 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let (port, time) = match args[..] {
        ["sink", port] => (port, None),
        ["source", port, seconds] => (port, Some(Duration::from_secs_f64(seconds.parse()?))),
        _ => return Err("usage: linux_peer sink PORT | source PORT SECONDS".into()),
    };
    let listener = listen(port.parse()?)?;
    println!("listening");
    // The listener stays: further subflows come to it.
    let (socket, _) = listener.accept()?;
    let (begun, cpu_before) = (now(), cpu()?);
    let bytes = match time {
        None => drain(&socket)?,
        Some(time) => pour(&socket, time)?,
    };
    let (seconds, cpu) = (now().since(begun).as_secs_f64(), (cpu()? - cpu_before).as_secs_f64());
    println!(r#"{{"bytes": {bytes}, "seconds": {seconds:.3}, "cpu_seconds": {cpu:.3}}}"#);
    Ok(())
}

fn listen(port: u16) -> io::Result<Socket> {
    let listener = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::MPTCP))?;
    listener.set_only_v6(false)?;
    listener.set_reuse_address(true)?;
    listener.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    listener.listen(1)?;
    Ok(listener)
}

/// Bytes until the peer closes.
fn drain(mut socket: &Socket) -> io::Result<usize> {
    let (mut buffer, mut bytes) = (vec![0; BUFFER], 0);
    loop {
        match socket.read(&mut buffer)? {
            0 => return Ok(bytes),
            n => bytes += n,
        }
    }
}

/// Bytes sent in `time`; the end is when the peer has them and has closed.
fn pour(mut socket: &Socket, time: Duration) -> io::Result<usize> {
    let (buffer, end, mut bytes) = (vec![0x5a; BUFFER], now() + time, 0);
    while now() < end {
        bytes += socket.write(&buffer)?;
    }
    socket.shutdown(Shutdown::Write)?;
    drain(socket)?;
    Ok(bytes)
}

/// Processor time of this process so far, user and system.
fn cpu() -> Result<Duration, Box<dyn std::error::Error>> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}
