//! The host, as applications have it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use manypath_base::IfaceId;
use manypath_device::Device;
use manypath_mptcp::{ConnId, ConnectOptions, ListenOptions};

use crate::builder::add_device;
use crate::error::Stopped;
use crate::handle::Handle;
use crate::hold::Hold;
use crate::shared::{Conn, Core};
use crate::{
    ConnectError, ConnectionInfo, EndpointBuilder, EndpointInfo, Events, ListenError, Listener,
    Path, Stream, source,
};

/// A host: its own addresses and ports, its own connections, over devices that it was given.
///
/// Clones are the same host. With the last clone, stream and listener gone, connections that
/// still have something to send or to acknowledge go on until they are done, as those of a kernel
/// do; then the thread ends and the devices are dropped. A process that exits earlier takes them
/// with it: [`Stream::close`] waits for a connection's end.
#[derive(Clone)]
pub struct Endpoint {
    hold: Arc<Hold>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint to be.
    pub fn builder() -> EndpointBuilder {
        EndpointBuilder::new()
    }

    pub(crate) fn new(hold: Arc<Hold>) -> Self {
        Self { hold }
    }

    /// Connects. Dropping the future gives the attempt up.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, remote: SocketAddr) -> Result<Stream, ConnectError> {
        self.connect_with(remote, ConnectOptions::default()).await
    }

    /// Connects, with settings of its own.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect_with(
        &self,
        remote: SocketAddr,
        options: ConnectOptions,
    ) -> Result<Stream, ConnectError> {
        let (id, local) = self.hold.for_connection(remote, &options).with(|state, now| {
            let id = state.endpoint.connect(now, remote, &options)?;
            state.conns.insert(id, Conn::default());
            let info = state.endpoint.info(id).expect("a connection just begun has a snapshot");
            Ok::<_, ConnectError>((id, info.local))
        })??;
        let handle = Handle::new(Arc::clone(&self.hold), id, local, remote);
        poll_fn(|cx| handle.poll_established(cx)).await?;
        Ok(Stream::new(handle))
    }

    /// Connects, and sends `data` as the first bytes of the stream: with the SYN where the peer
    /// allows it (TCP Fast Open, RFC 7413), which saves a round trip, else as soon as it has
    /// answered. Empty data asks for leave to do so the next time.
    ///
    /// The network may repeat a SYN, and the peer's application then sees the same data in two
    /// connections (RFC 7413 §2.1): send only what may come twice, like a GET request.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect_early(
        &self,
        remote: SocketAddr,
        data: impl Into<Bytes>,
    ) -> Result<Stream, ConnectError> {
        let early_data = Some(data.into());
        self.connect_with(remote, ConnectOptions { early_data, ..ConnectOptions::default() }).await
    }

    /// Listens on an address and port of this host; an unspecified address is every one of that
    /// family, `[::]` is every one of both. Port 0 picks one.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn listen(&self, addr: SocketAddr) -> Result<Listener, ListenError> {
        self.listen_with(addr, ListenOptions::default())
    }

    /// Listens, with settings of its own.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn listen_with(
        &self,
        addr: SocketAddr,
        options: ListenOptions,
    ) -> Result<Listener, ListenError> {
        let listen = |core: &Core, addr| {
            core.with(|state, _| {
                let id = state.endpoint.listen(addr, options)?;
                state.listeners.insert(id, Vec::new());
                Ok::<_, ListenError>((id, state.endpoint.listener_addr(id).unwrap_or(addr)))
            })?
        };
        let (id, local) = self.hold.in_order(|cores| {
            // What the first one chose and allows, the others do.
            let (id, local) = listen(&cores[0], addr)?;
            for core in &cores[1..] {
                listen(core, local)?;
            }
            Ok::<_, ListenError>((id, local))
        })?;
        Ok(Listener::new(Arc::clone(&self.hold), id, local))
    }

    /// What happens from now on.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn events(&self) -> Result<Events, Stopped> {
        self.hold.any().peek(|state| state.subscribe())
    }

    /// Adds a device with its paths; running connections may open subflows from them.
    ///
    /// # Errors
    /// `InvalidInput` if there is no path, or the device has fewer queues than the endpoint shards;
    /// [`Stopped`].
    pub fn add_paths(
        &self,
        device: impl Device + 'static,
        paths: impl IntoIterator<Item = Path>,
    ) -> io::Result<Vec<IfaceId>> {
        let (device, paths) = (Box::new(device), paths.into_iter().collect::<Vec<_>>());
        let ids = self.hold.in_order(|cores| add_device(cores, device, &paths))?;
        self.hold.ring();
        Ok(ids)
    }

    /// Takes a path away: its subflows end, the peer is told that its addresses are gone
    /// (REMOVE_ADDR, RFC 8684 §3.4.2), and the device is dropped with its last path.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn remove_path(&self, iface: IfaceId) -> Result<(), Stopped> {
        self.hold.with_all(|state, now| source::remove_interface(state, now, iface))?;
        self.hold.ring();
        Ok(())
    }

    /// The name of a path, also of one that is gone.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn path_name(&self, iface: IfaceId) -> Result<String, Stopped> {
        self.hold.any().peek(|state| state.devices.name(iface).to_owned())
    }

    /// A snapshot of a connection; `None` if it is forgotten.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn connection_info(&self, id: ConnId) -> Result<Option<ConnectionInfo>, Stopped> {
        self.hold.of(id).peek(|state| ConnectionInfo::of(state, id))
    }

    /// A snapshot of the host.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn info(&self) -> Result<EndpointInfo, Stopped> {
        self.hold.cores().iter().try_fold(EndpointInfo::default(), |info, core| {
            Ok(info.and(core.peek(|state| EndpointInfo::of(state))?))
        })
    }

    /// Waits until every connection has ended and its subflows are closed, or wait in TIME-WAIT:
    /// from then on nobody misses the host. [`Stream::close`] returns one round trip earlier, when
    /// the connection has ended and its subflows have yet to.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn at_rest(&self) -> Result<(), Stopped> {
        poll_fn(|cx| {
            for core in self.hold.cores() {
                let rests = core.peek(|state| {
                    let rests = state.endpoint.is_at_rest();
                    if !rests && !state.resting.iter().any(|waker| waker.will_wake(cx.waker())) {
                        state.resting.push(cx.waker().clone());
                    }
                    rests
                })?;
                if !rests {
                    return Poll::Pending;
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Brings everything captured to the capture file.
    ///
    /// # Errors
    /// When something could not be written, now or before: then the capture has ended.
    pub fn flush_capture(&self) -> io::Result<()> {
        self.hold.any().peek(|state| state.devices.flush_capture())?
    }
}
