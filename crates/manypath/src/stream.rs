//! A connection, as applications have it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use manypath_base::SubflowId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::accessors::accessors;
use crate::handle::Handle;
use crate::{OwnedReadHalf, OwnedWriteHalf};

/// A connection, over one path or several; used as a `TcpStream` is.
///
/// `shutdown` closes this side's half (DATA_FIN, RFC 8684 §3.3.3). Dropping a stream closes it in
/// the background: what was written is still delivered.
#[derive(Debug)]
pub struct Stream {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
}

accessors!(Stream);

impl Stream {
    pub(crate) fn new(handle: Handle) -> Self {
        let handle = Arc::new(handle);
        Self { read: OwnedReadHalf::new(Arc::clone(&handle)), write: OwnedWriteHalf::new(handle) }
    }

    /// The two directions, to be used by different tasks.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        (self.read, self.write)
    }

    /// As [`OwnedReadHalf::read_chunk`].
    ///
    /// # Errors
    /// When the connection failed.
    pub async fn read_chunk(&mut self) -> io::Result<Option<Bytes>> {
        self.read.read_chunk().await
    }

    /// As [`OwnedReadHalf::peek`].
    ///
    /// # Errors
    /// When the connection failed, and everything that came before is read.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read.peek(buf).await
    }

    /// As [`OwnedWriteHalf::write_owned`].
    ///
    /// # Errors
    /// When the connection failed, or this side closed its half.
    pub fn write_owned(&mut self, bytes: Bytes) -> impl Future<Output = io::Result<()>> + Send {
        self.write.write_owned(bytes)
    }

    /// As [`OwnedWriteHalf::write_more`].
    ///
    /// # Errors
    /// When the connection failed, or this side closed its half.
    pub fn write_more(&mut self, bytes: Bytes) -> impl Future<Output = io::Result<()>> + Send {
        self.write.write_more(bytes)
    }

    /// Closes this side's half and waits until the peer has everything and has closed its own;
    /// what still comes is thrown away.
    ///
    /// # Errors
    /// When the connection failed before that.
    pub async fn close(mut self) -> io::Result<()> {
        self.handle().shutdown()?;
        while self.read_chunk().await?.is_some() {}
        poll_fn(|cx| self.handle().poll_closed(cx)).await
    }

    /// Ends the connection at once on all paths (MP_FASTCLOSE, RFC 8684 §3.5); the peer sees a
    /// reset.
    pub fn abort(self) {
        // A stopped endpoint has nothing to abort.
        let _stopped = self.handle().abort();
    }

    /// Makes a subflow a backup or a regular one, and tells the peer (MP_PRIO, RFC 8684 §3.3.8).
    ///
    /// # Errors
    /// `NotConnected` if there is no such subflow.
    pub fn set_backup(&self, subflow: SubflowId, backup: bool) -> io::Result<()> {
        self.handle().set_backup(subflow, backup)
    }

    fn handle(&self) -> &Handle {
        self.read.handle()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}
