//! The two directions of a stream, each with an owner of its own.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;

use crate::accessors::accessors;
use crate::copy::Copier;
use crate::handle::{Fetched, Handle};

/// Reads from a connection. With both halves dropped, the connection is released.
#[derive(Debug)]
pub struct OwnedReadHalf {
    handle: Arc<Handle>,
    /// Fetched and not read yet.
    chunks: VecDeque<Bytes>,
    ended: bool,
}

/// Writes to a connection. Dropping it closes this side's half.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    handle: Arc<Handle>,
    copier: Copier,
    shut: bool,
}

accessors!(OwnedReadHalf);
accessors!(OwnedWriteHalf);

impl OwnedReadHalf {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self { handle, chunks: VecDeque::new(), ended: false }
    }

    /// The next bytes in the pieces they came in, without a copy; `None` at the end of the stream.
    /// Cancel safe.
    ///
    /// # Errors
    /// When the connection failed.
    pub async fn read_chunk(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| {
            let budget = ready!(coop::poll_proceed(cx));
            ready!(self.poll_fill(cx, 1))?;
            budget.made_progress();
            Poll::Ready(Ok(self.chunks.pop_front()))
        })
        .await
    }

    /// Copies the next bytes without taking them (`MSG_PEEK`): all that have come, as far as they
    /// fit, and at least one; waits for it. 0 is the end of the stream, or an empty buffer. Cancel
    /// safe.
    ///
    /// # Errors
    /// When the connection failed, and everything that came before is read.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| {
            let budget = ready!(coop::poll_proceed(cx));
            ready!(self.poll_more(cx, buf.len()))?;
            budget.made_progress();
            Poll::Ready(Ok(self.copy_front(buf)))
        })
        .await
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Fetches until `want` bytes are there or nothing more waits; waits where there is nothing.
    fn poll_more(&mut self, cx: &Context<'_>, want: usize) -> Poll<io::Result<()>> {
        let held: usize = self.chunks.iter().map(Bytes::len).sum();
        if held == 0 && want > 0 {
            return self.poll_fill(cx, want);
        }
        if held < want && !self.ended {
            match self.handle.poll_fetch(cx, &mut self.chunks, want - held) {
                Poll::Ready(Ok(Fetched::End)) => self.ended = true,
                // An error comes again, when there is nothing before it.
                Poll::Ready(Ok(Fetched::Some) | Err(_)) | Poll::Pending => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Copies from the front of the chunks, and leaves them; returns how many bytes.
    fn copy_front(&self, buf: &mut [u8]) -> usize {
        let mut copied = 0;
        for chunk in &self.chunks {
            let n = chunk.len().min(buf.len() - copied);
            buf[copied..copied + n].copy_from_slice(&chunk[..n]);
            copied += n;
        }
        copied
    }

    /// Waits until chunks are there, or the end is.
    fn poll_fill(&mut self, cx: &Context<'_>, want: usize) -> Poll<io::Result<()>> {
        if self.chunks.is_empty() && !self.ended {
            match ready!(self.handle.poll_fetch(cx, &mut self.chunks, want))? {
                Fetched::Some => {}
                Fetched::End => self.ended = true,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn copy_to(&mut self, buf: &mut ReadBuf<'_>) {
        while let Some(chunk) = self.chunks.front_mut() {
            let n = chunk.len().min(buf.remaining());
            buf.put_slice(&chunk[..n]);
            chunk.advance(n);
            if !chunk.is_empty() {
                return;
            }
            self.chunks.pop_front();
        }
    }
}

impl AsyncRead for OwnedReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let budget = ready!(coop::poll_proceed(cx));
        if buf.remaining() > 0 {
            ready!(this.poll_fill(cx, buf.remaining()))?;
            this.copy_to(buf);
        }
        budget.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl OwnedWriteHalf {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self { handle, copier: Copier::default(), shut: false }
    }

    /// Writes bytes without copying them. Not cancel safe: some may have been written.
    ///
    /// # Errors
    /// When the connection failed, or this side closed its half.
    pub fn write_owned(&mut self, bytes: Bytes) -> impl Future<Output = io::Result<()>> + Send {
        self.give(bytes, false)
    }

    /// [`OwnedWriteHalf::write_owned`], and more is about to be written: less than a packet waits
    /// for it, for 200 ms at most (`MSG_MORE`).
    ///
    /// # Errors
    /// When the connection failed, or this side closed its half.
    pub fn write_more(&mut self, bytes: Bytes) -> impl Future<Output = io::Result<()>> + Send {
        self.give(bytes, true)
    }

    /// No `async` function: that has its arguments twice, and so has each that calls it. Every
    /// connection's task has room for them, also while it does nothing.
    fn give(
        &mut self,
        mut bytes: Bytes,
        more: bool,
    ) -> impl Future<Output = io::Result<()>> + Send {
        poll_fn(move |cx| {
            while !bytes.is_empty() {
                let budget = ready!(coop::poll_proceed(cx));
                ready!(self.handle.poll_give(cx, &mut bytes, more))?;
                budget.made_progress();
            }
            Poll::Ready(Ok(()))
        })
    }

    fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Closes this side's half, once.
    fn shut(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.shut, true) {
            self.handle.shutdown()?;
        }
        Ok(())
    }
}

impl AsyncWrite for OwnedWriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let budget = ready!(coop::poll_proceed(cx));
        ready!(this.handle.poll_room(cx))?;
        let mut chunk = this.copier.copy(bufs);
        let given = ready!(this.handle.poll_give(cx, &mut chunk, false))?;
        budget.made_progress();
        Poll::Ready(Ok(given))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: what was written is on its way already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().shut())
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        // A stopped endpoint has nothing to close.
        let _stopped = self.shut();
    }
}
