//! Linux as a peer: threads inside a host that use the kernel's own TCP or MPTCP sockets.
//!
//! **Owns** what both ends of a test connection do: send known bytes, take and hash bytes, echo,
//! measure round trips. A server and a client can each play every [`Role`]. **Invariant**: when a
//! [`Server`] or [`Client`] is dropped, its sockets are shut down and its threads have ended.
//! **Leaves out** making the host.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::sockopt;
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock;
use crate::error::{Context as _, LabError};
use crate::netns::Namespace;
use crate::role::{Report, Role};

/// How long a client tries to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that may wait to be accepted, so that many at once lose no SYN.
const BACKLOG: i32 = 1024;

/// The kernel's protocol of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Ordinary TCP.
    Tcp,
    /// `IPPROTO_MPTCP`.
    Mptcp,
}

/// How a peer makes its sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// The protocol.
    pub transport: Transport,
    /// Congestion control by its kernel name (`TCP_CONGESTION`); `None` leaves the default of the
    /// namespace, which is that of the machine when the namespace was made.
    pub congestion: Option<String>,
    /// A client's own address.
    pub bind: Option<SocketAddr>,
    /// A client's first bytes ride on its SYN, if it has a cookie (`TCP_FASTOPEN_CONNECT`). It must
    /// write before it reads.
    pub fast_open: bool,
}

impl PeerConfig {
    /// The kernel's defaults.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self { transport, congestion: None, bind: None, fast_open: false }
    }

    /// With this congestion control.
    #[must_use]
    pub fn congestion(mut self, name: &str) -> Self {
        self.congestion = Some(name.to_owned());
        self
    }

    /// With this address of its own.
    #[must_use]
    pub fn bind(mut self, addr: SocketAddr) -> Self {
        self.bind = Some(addr);
        self
    }

    /// With TCP Fast Open, as a client.
    #[must_use]
    pub fn fast_open(mut self) -> Self {
        self.fast_open = true;
        self
    }

    /// Connects from the network namespace of this thread, for who plays no [`Role`].
    ///
    /// # Errors
    /// When the kernel has no such protocol, or nobody answers.
    pub fn stream(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.connect(to).map(TcpStream::from)
    }

    /// Listens in the network namespace of this thread, for who plays no [`Role`].
    ///
    /// # Errors
    /// When the kernel has no such protocol, or the address is not free.
    pub fn listener(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        let listener = self.listen(addr)?;
        listener.set_nonblocking(false)?;
        Ok(listener.into())
    }

    fn socket(&self, peer: SocketAddr) -> io::Result<Socket> {
        let protocol = match self.transport {
            Transport::Tcp => Protocol::TCP,
            Transport::Mptcp => Protocol::MPTCP,
        };
        let socket = Socket::new(Domain::for_address(peer), Type::STREAM, Some(protocol))?;
        if let Some(name) = &self.congestion {
            socket.set_tcp_congestion(name.as_bytes())?;
        }
        socket.set_tcp_nodelay(true)?;
        Ok(socket)
    }

    fn listen(&self, addr: SocketAddr) -> io::Result<Socket> {
        let socket = self.socket(addr)?;
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    fn connect(&self, to: SocketAddr) -> io::Result<Socket> {
        let socket = self.socket(to)?;
        if let Some(addr) = self.bind {
            socket.bind(&addr.into())?;
        }
        if self.fast_open {
            nix::sys::socket::setsockopt(&socket, sockopt::TcpFastOpenConnect, &true)?;
        }
        socket.connect_timeout(&to.into(), CONNECT_TIMEOUT)?;
        Ok(socket)
    }
}

/// What the threads of a peer share with its owner.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    received: u64,
    closing: bool,
    /// Those that are open; a thread owns each.
    sockets: Vec<Weak<Socket>>,
}

impl Shared {
    /// What is behind this lock is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts application bytes that arrived.
    pub(crate) fn received(&self, bytes: u64) {
        self.lock().received += bytes;
        self.moved.notify_all();
    }

    /// Waits until `bytes` have arrived in all; false when `timeout` comes first.
    fn wait_for(&self, bytes: u64, timeout: Duration) -> bool {
        let enough = |state: &mut State| state.received < bytes;
        let waited = self.moved.wait_timeout_while(self.lock(), timeout, enough);
        waited.is_ok_and(|(_, result)| !result.timed_out())
    }

    /// Makes the socket one that [`Shared::close`] shuts down. An error if that has begun.
    fn register(&self, socket: Socket) -> io::Result<Arc<Socket>> {
        let mut state = self.lock();
        if state.closing {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let socket = Arc::new(socket);
        state.sockets.retain(|other| other.strong_count() > 0);
        state.sockets.push(Arc::downgrade(&socket));
        Ok(socket)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        for socket in state.sockets.drain(..).filter_map(|socket| socket.upgrade()) {
            // Fails where the connection is closed already.
            socket.shutdown(std::net::Shutdown::Both).ok();
        }
    }
}

/// A listening peer: each connection is served by a thread of its own.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Arc<EventFd>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens in `host` on `addr` (port 0: any) and plays `role` on every connection.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(
        host: &Namespace,
        config: &PeerConfig,
        addr: SocketAddr,
        role: Role,
    ) -> Result<Self, LabError> {
        let listener = host.run(|| config.listen(addr))?;
        let listener = listener.context(|| format!("listening on {addr} in {}", host.name()))?;
        let bound = listener.local_addr().ok().and_then(|addr| addr.as_socket()).unwrap_or(addr);
        let stop = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC);
        let stop = Arc::new(stop.context(|| "making an eventfd".to_owned())?);
        let (shared, (sender, reports)) = (Arc::<Shared>::default(), channel());
        let acceptor = Acceptor {
            listener,
            role,
            stop: Arc::clone(&stop),
            shared: Arc::clone(&shared),
            reports: sender,
        };
        let thread = host.spawn_thread("linux-server", move || acceptor.run())?;
        Ok(Self { addr: bound, shared, stop, reports, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The report of the next connection that ends; `None` when none ends in `timeout`.
    #[must_use]
    pub fn next_report(&self, timeout: Duration) -> Option<Report> {
        self.reports.recv_timeout(timeout).ok()
    }

    /// Application bytes received so far, on all connections.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.shared.lock().received
    }

    /// Waits until `bytes` were received in all; false when `timeout` comes first.
    #[must_use]
    pub fn wait_for(&self, bytes: u64, timeout: Duration) -> bool {
        self.shared.wait_for(bytes, timeout)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.write(1).ok();
        self.shared.close();
        self.thread.take().map(JoinHandle::join);
    }
}

struct Acceptor {
    listener: Socket,
    role: Role,
    stop: Arc<EventFd>,
    shared: Arc<Shared>,
    reports: Sender<Report>,
}

impl Acceptor {
    fn run(self) {
        let this = &self;
        thread::scope(|scope| {
            while let Some(socket) = this.accept() {
                scope.spawn(move || this.serve(socket));
            }
        });
    }

    fn serve(&self, socket: Socket) {
        let start = clock::now();
        let Ok(socket) = socket.set_nonblocking(false).and_then(|()| self.shared.register(socket))
        else {
            return;
        };
        let report = self.role.play(&socket, start, &self.shared);
        drop(socket);
        // Nobody may be waiting for it.
        self.reports.send(report).ok();
    }

    /// The next connection, or `None` when it is time to stop.
    fn accept(&self) -> Option<Socket> {
        loop {
            let poll_in = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut fds = [poll_in(self.stop.as_fd()), poll_in(self.listener.as_fd())];
            poll(&mut fds, PollTimeout::NONE).ok();
            if fds[0].any() == Some(true) {
                return None;
            }
            if let Ok((socket, _)) = self.listener.accept() {
                return Some(socket);
            }
        }
    }
}

/// A connecting peer: one connection.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    report: Receiver<io::Result<Report>>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Connects from `host` to `to` and plays `role`, all in a thread of its own.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(
        host: &Namespace,
        config: &PeerConfig,
        to: SocketAddr,
        role: Role,
    ) -> Result<Self, LabError> {
        let (sender, report) = channel();
        let shared = Arc::<Shared>::default();
        let (config, in_thread) = (config.clone(), Arc::clone(&shared));
        let run = move || {
            let socket = config.connect(to)?;
            let socket = in_thread.register(socket)?;
            Ok(role.play(&socket, clock::now(), &in_thread))
        };
        // Nobody may be waiting for it.
        let body = move || drop(sender.send(run()));
        let thread = host.spawn_thread("linux-client", body)?;
        Ok(Self { shared, report, thread: Some(thread) })
    }

    /// Waits for the end of the connection.
    ///
    /// # Errors
    /// When connecting failed, or nothing ended in `timeout`. What goes wrong on the connection is
    /// in the report.
    pub fn report(&self, timeout: Duration) -> io::Result<Report> {
        self.report.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => io::ErrorKind::TimedOut,
            RecvTimeoutError::Disconnected => io::ErrorKind::BrokenPipe,
        })?
    }

    /// Application bytes received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.shared.lock().received
    }

    /// Waits until `bytes` were received; false when `timeout` comes first.
    #[must_use]
    pub fn wait_for(&self, bytes: u64, timeout: Duration) -> bool {
        self.shared.wait_for(bytes, timeout)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.close();
        self.thread.take().map(JoinHandle::join);
    }
}
