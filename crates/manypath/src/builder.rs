//! How an endpoint comes to be: its devices, its paths, its settings.

use std::io::{self, Write};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use manypath_base::{IfaceId, Instant};
use manypath_device::Device;
use manypath_mptcp::{self as mptcp, AddressFlags, EndpointConfig, LocalAddress, PathLimits};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::alarm::Alarm;
use crate::capture::Capture;
use crate::clock::{Clock, system_rng};
use crate::devices::Devices;
use crate::hold::Hold;
use crate::post::Post;
use crate::shared::{Core, State};
use crate::{
    CongestionControl, Endpoint, Keepalive, Scheduler, SynCookies, TcpConfig, caches, driver,
};

/// A way into the network: a name for people, and the addresses that packets on it come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    name: String,
    addresses: Vec<LocalAddress>,
    mtu: Option<u16>,
}

impl Path {
    /// A path with one address that subflows are opened from.
    #[must_use]
    pub fn new(name: impl Into<String>, addr: IpAddr) -> Self {
        let address = LocalAddress { addr, flags: AddressFlags::default(), port: None };
        Self { name: name.into(), addresses: vec![address], mtu: None }
    }

    /// A further address, mostly of the other family.
    #[must_use]
    pub fn address(mut self, addr: IpAddr) -> Self {
        let flags = self.addresses.first().map_or(AddressFlags::default(), |a| a.flags);
        self.addresses.push(LocalAddress { addr, flags, port: None });
        self
    }

    /// What its addresses are used for.
    #[must_use]
    pub fn flags(mut self, flags: AddressFlags) -> Self {
        self.addresses.iter_mut().for_each(|address| address.flags = flags);
        self
    }

    /// Its subflows carry data only where no regular one is alive (RFC 8684 §3.2, B flag).
    #[must_use]
    pub fn backup(mut self) -> Self {
        self.addresses.iter_mut().for_each(|address| address.flags.backup = true);
        self
    }

    /// Its addresses are announced to the peer with ADD_ADDR, so that the peer opens subflows to
    /// them (RFC 8684 §3.4.1).
    #[must_use]
    pub fn announced(mut self) -> Self {
        self.addresses.iter_mut().for_each(|address| address.flags.signal = true);
        self
    }

    /// The port that is announced with its addresses, where it is not that of the connection
    /// (RFC 8684 §3.4.1).
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.addresses.iter_mut().for_each(|address| address.port = Some(port));
        self
    }

    /// The longest IP packet that this path takes, in bytes, where that is less than the device's.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = Some(mtu);
        self
    }
}

/// Settings of an [`Endpoint`] to be.
#[must_use]
pub struct EndpointBuilder {
    config: EndpointConfig,
    devices: Vec<(Box<dyn Device>, Vec<Path>)>,
    capture: Option<Box<dyn Write + Send>>,
    busy_poll: Duration,
    shards: u32,
}

impl EndpointBuilder {
    pub(crate) fn new() -> Self {
        let mut config = EndpointConfig::default();
        config.tcp.near_flight = config.tcp.near_flight.max(caches::near_flight());
        Self { config, devices: Vec::new(), capture: None, busy_poll: Duration::ZERO, shards: 1 }
    }

    /// A device with one path.
    pub fn path(self, device: impl Device + 'static, path: Path) -> Self {
        self.paths(device, [path])
    }

    /// A device that several paths share: packets that arrive are told apart by their destination
    /// address.
    pub fn paths(
        mut self,
        device: impl Device + 'static,
        paths: impl IntoIterator<Item = Path>,
    ) -> Self {
        self.devices.push((Box::new(device), paths.into_iter().collect()));
        self
    }

    /// Congestion control of every subflow; LIA (RFC 6356) if not said.
    pub fn congestion_control(mut self, algorithm: CongestionControl) -> Self {
        self.config.congestion_control = algorithm;
        self
    }

    /// Which subflow carries what; the one with the lowest round-trip time if not said.
    pub fn scheduler(mut self, algorithm: Scheduler) -> Self {
        self.config.scheduler = algorithm;
        self
    }

    /// How many paths a connection may have.
    pub fn limits(mut self, limits: PathLimits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Bytes written and not acknowledged that a connection keeps at most.
    pub fn send_buffer(mut self, bytes: u32) -> Self {
        self.config.send_buffer_max = bytes;
        self
    }

    /// Bytes received and not read that a connection keeps at most; it starts with less.
    pub fn recv_buffer(mut self, bytes: u32) -> Self {
        self.config.tcp.recv_buffer_max = bytes;
        self.config.tcp.recv_buffer = self.config.tcp.recv_buffer.min(bytes);
        self
    }

    /// Ask for checksums over mapped data (RFC 8684 §3.3.1).
    pub fn checksum(mut self, on: bool) -> Self {
        self.config.checksum = on;
        self
    }

    /// Send small segments at once (RFC 9293 §3.7.4, TCP_NODELAY).
    pub fn nodelay(mut self, on: bool) -> Self {
        self.config.tcp.nagle = !on;
        self
    }

    /// Probe every subflow while it is idle (RFC 9293 §3.8.4); not if not said.
    pub fn keepalive(mut self, keepalive: Keepalive) -> Self {
        self.config.tcp.keepalive = Some(keepalive);
        self
    }

    /// How long data may stay unacknowledged before a connection is given up (RFC 9293 §3.8.3);
    /// five minutes if not said.
    pub fn user_timeout(mut self, timeout: Duration) -> Self {
        self.config.tcp.user_timeout = timeout;
        self
    }

    /// Connections at once, the half-open ones included.
    pub fn max_connections(mut self, n: usize) -> Self {
        self.config.max_connections = n;
        self
    }

    /// When SYNs are answered without keeping anything of them (RFC 4987 §3.6); when there is no
    /// room if not said.
    pub fn syn_cookies(mut self, when: SynCookies) -> Self {
        self.config.syn_cookies = when;
        self
    }

    /// Tell peers not to join to the address and port that a connection begins with, and refuse it
    /// (RFC 8684 §3.1, flag C): behind a load balancer such a join would reach another host.
    pub fn deny_join_initial(mut self, on: bool) -> Self {
        self.config.deny_join_initial = on;
        self
    }

    /// An abort says MP_FASTCLOSE in an acknowledgment, repeated until the peer answers, rather
    /// than in RSTs, of which none may arrive (RFC 8684 §3.5, option A rather than R).
    pub fn fastclose_by_ack(mut self, on: bool) -> Self {
        self.config.fastclose_by_ack = on;
        self
    }

    /// How long connections begin as TCP to a destination that swallowed SYNs with MP_CAPABLE
    /// (RFC 8684 §3.9.3); it doubles each time that it happens again. An hour if not said; zero:
    /// not at all.
    pub fn blackhole_time(mut self, time: Duration) -> Self {
        self.config.blackhole_time = time;
        self
    }

    /// All settings of TCP; those of buffers and `nodelay` are among them, and what else is chosen
    /// by this host's caches ([`TcpConfig::near_flight`]).
    pub fn tcp(mut self, config: TcpConfig) -> Self {
        self.config.tcp = config;
        self
    }

    /// Writes every packet of every path to a capture file (pcapng). Give a buffered writer; it is
    /// flushed by [`Endpoint::flush_capture`] and when the endpoint is dropped.
    pub fn capture(mut self, out: impl Write + Send + 'static) -> Self {
        self.capture = Some(Box::new(out));
        self
    }

    /// After something happened, goes on asking the devices this long, rather than sleep at once:
    /// an answer that comes soon is read without waking anybody, at the price of the processor time
    /// (as `SO_BUSY_POLL` does). Only of [`EndpointBuilder::build_task`]; not if not said. 50 us is a
    /// good begin.
    pub fn busy_poll(mut self, time: Duration) -> Self {
        self.busy_poll = time;
        self
    }

    /// Spreads connections over so many *shards*, each with a thread and a queue of every device of its
    /// own, so that as many processors work on them; 1 if not said. Devices must have as many queues
    /// ([`manypath_device::TunConfig::queues`]). A connection with all its subflows is in one shard, so
    /// that one connection alone is no faster. Limits are of all shards together; what is learned of
    /// other hosts is learned by each. Only of [`EndpointBuilder::build`].
    pub fn shards(mut self, n: u32) -> Self {
        self.shards = n;
        self
    }

    /// Makes the endpoint and starts its thread, which works under any runtime and beside tasks that
    /// keep theirs busy.
    ///
    /// Where the host has more processors than there are shards, a device whose writing takes most of the
    /// time gets a thread of its own for that, here and where the endpoint is a task.
    ///
    /// # Errors
    /// `InvalidInput` for a device without a path, or with fewer queues than there are shards; else
    /// when the capture file cannot be written, or the system has no randomness, descriptors or threads
    /// left.
    pub fn build(self) -> io::Result<Endpoint> {
        let alarms =
            (0..self.shards).map(|_| Alarm::of_thread()).collect::<io::Result<Vec<_>>>()?;
        let (descriptors, alarms): (Vec<_>, Vec<_>) = alarms.into_iter().unzip();
        let hold = self.hold(alarms)?;
        for (core, descriptor) in hold.cores().iter().zip(descriptors) {
            driver::start_thread(Arc::clone(core), descriptor)?;
        }
        Ok(Endpoint::new(hold))
    }

    /// Makes the endpoint as a task of the tokio runtime that this is called in, which must have
    /// its I/O driver enabled. Where that runtime has one thread, nothing is handed from thread to
    /// thread: requests are answered sooner, and a transfer costs less. Tasks that keep the thread
    /// to themselves hold the endpoint up, and it ends with the runtime.
    ///
    /// # Errors
    /// As [`EndpointBuilder::build`], and where there is no runtime.
    ///
    /// # Panics
    /// Where the runtime's I/O driver is not enabled.
    pub fn build_task(self) -> io::Result<Endpoint> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        self.build_tasks(&[runtime])
    }

    /// Makes the endpoint of one shard for each of these runtimes, a task there as
    /// [`EndpointBuilder::build_task`] makes it. [`crate::Stream::shard`] says which runtime is that of a
    /// connection: where the tasks that read and write it run there, too, nothing is handed from thread
    /// to thread.
    ///
    /// # Errors
    /// As [`EndpointBuilder::build`].
    ///
    /// # Panics
    /// Where the I/O driver of a runtime is not enabled.
    pub fn build_tasks(self, runtimes: &[Handle]) -> io::Result<Endpoint> {
        let alarms = runtimes.iter().map(|_| Alarm::of_task());
        let (notifies, alarms): (Vec<_>, Vec<_>) = alarms.unzip();
        let busy_poll = self.busy_poll;
        let hold = self.hold(alarms)?;
        for ((core, notify), runtime) in hold.cores().iter().zip(notifies).zip(runtimes) {
            driver::start_task(runtime, Arc::clone(core), notify, busy_poll)?;
        }
        Ok(Endpoint::new(hold))
    }

    /// What drivers drive: a shard for each alarm.
    fn hold(self, alarms: Vec<Alarm>) -> io::Result<Arc<Hold>> {
        let Self { config, devices, capture, busy_poll: _, shards: _ } = self;
        let count = u32::try_from(alarms.len()).ok().and_then(NonZeroU32::new);
        let count = count.ok_or_else(|| invalid("an endpoint needs at least one shard"))?;
        // Where shards keep all processors busy, who writes would only wait for its turn.
        let apart = thread::available_parallelism().is_ok_and(|all| all.get() > alarms.len());
        let clock = Clock::start();
        let capture = capture.map(|out| Capture::new(out, clock.epoch())).transpose()?;
        let capture = capture.map(|capture| Arc::new(Mutex::new(capture)));
        let (post, subscribers) = (Arc::new(Post::new(alarms)), Arc::default());
        let core = |endpoint| {
            let (post, subscribers) = (Arc::clone(&post), Arc::clone(&subscribers));
            let devices = Devices::new(capture.clone(), clock.clone(), apart);
            Arc::new(Core::new(endpoint, devices, clock.clone(), post, subscribers))
        };
        let endpoints = mptcp::Endpoint::shards(&config, system_rng()?, count);
        let shard = endpoints[0].shard();
        let cores: Box<[_]> = endpoints.into_iter().map(core).collect();
        for (device, paths) in devices {
            add_device(&cores, device, &paths)?;
        }
        Ok(Hold::new(cores, shard))
    }
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.into())
}

/// Adds a device with its paths: a queue of it to each shard, and the same paths to all.
pub(crate) fn add_device(
    cores: &[Arc<Core>],
    device: Box<dyn Device>,
    paths: &[Path],
) -> io::Result<Vec<IfaceId>> {
    let Some(first) = paths.first() else {
        return Err(invalid("a device needs at least one path"));
    };
    let queues = queues(device, cores.len(), &first.name)?;
    let mut ids = Vec::new();
    for (core, queue) in cores.iter().zip(queues) {
        ids = core.with(|state, now| {
            let slot = state.devices.add_device(queue);
            paths.iter().map(|path| add_path(state, now, slot, path)).collect()
        })?;
    }
    Ok(ids)
}

/// As many queues of a device; what it has more is closed, so that nothing comes to where nobody reads.
fn queues(
    mut device: Box<dyn Device>,
    count: usize,
    name: &str,
) -> io::Result<impl Iterator<Item = Box<dyn Device>> + use<>> {
    let further = device.take_queues();
    if further.len() + 1 < count {
        let has = further.len() + 1;
        return Err(invalid(format!(
            "the device of path `{name}` has too few queues for {count} shards, {has}: open a TUN with \
             as many, or use fewer shards"
        )));
    }
    Ok(std::iter::once(device).chain(further).take(count))
}

fn add_path(state: &mut State, now: Instant, slot: usize, path: &Path) -> IfaceId {
    let Path { name, addresses, mtu } = path.clone();
    let addrs: Vec<IpAddr> = addresses.iter().map(|address| address.addr).collect();
    let id = state.devices.add_iface(slot, &name, &addrs);
    let of_device = state.devices.mtu(slot);
    let mtu = mtu.map_or(of_device, |mtu| mtu.min(of_device));
    state.endpoint.add_interface(now, mptcp::Interface { id, mtu, addresses });
    id
}
