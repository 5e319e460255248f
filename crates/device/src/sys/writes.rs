//! Several writes with one call (`io_uring(7)`).
//!
//! **Invariants**: when a call returns, the kernel has no pointer of it any more; writes happen in their
//! order, and one that fails keeps none of the others back. **Leaves out** what to do where the kernel
//! or a container has no such calls.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use io_uring::{IoUring, opcode, types};
use nix::libc;

/// A queue of writes.
pub(crate) struct Writes {
    /// `None` once it failed: what it may still hold is never handed over.
    ring: Option<IoUring>,
    /// The pieces of all writes of one call, and where those of each end.
    pieces: Vec<libc::iovec>,
    ends: Vec<usize>,
    /// What became of them, as the kernel says it.
    results: Vec<i32>,
}

// SAFETY: the pieces are pointers that nobody follows between calls.
unsafe impl Send for Writes {}

impl fmt::Debug for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writes").field("works", &self.ring.is_some()).finish_non_exhaustive()
    }
}

impl Writes {
    /// A queue of `most` writes.
    ///
    /// # Errors
    /// Where the system has none to give.
    pub(crate) fn new(most: u32) -> io::Result<Self> {
        let (pieces, ends, results) = Default::default();
        Ok(Self { ring: Some(IoUring::new(most)?), pieces, ends, results })
    }

    /// Writes all, each made of pieces, to `file`, without waiting for room. What became of each
    /// [`Writes::results`] says; a file that cannot but wait says `EOPNOTSUPP`.
    ///
    /// # Errors
    /// Where these are more than the queue was made for, or the system refuses the call; then it is not
    /// known which were written, and nothing can be written with this queue any more.
    pub(crate) fn write_each<'a, P>(
        &mut self,
        file: impl AsFd,
        writes: impl Iterator<Item = P>,
    ) -> io::Result<()>
    where
        P: Iterator<Item = &'a [u8]>,
    {
        self.pieces.clear();
        self.ends.clear();
        self.results.clear();
        for write in writes {
            self.pieces.extend(write.map(piece));
            self.ends.push(self.pieces.len());
        }
        let mut ring = self.ring.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let fd = types::Fd(file.as_fd().as_raw_fd());
        let mut begin = 0;
        for &end in &self.ends {
            let pieces = &self.pieces[begin..end];
            let count = u32::try_from(pieces.len()).map_err(io::Error::other)?;
            let write = opcode::Writev::new(fd, pieces.as_ptr(), count);
            let entry = write.rw_flags(libc::RWF_NOWAIT).build();
            // SAFETY: the pieces and what they point to are borrowed until this function returns. Then
            // the kernel is done with all that it took, or the ring is gone: a write that does not wait
            // (`RWF_NOWAIT`) is done within the call that hands it over.
            unsafe { ring.submission().push(&entry) }.map_err(io::Error::other)?;
            begin = end;
        }
        while self.results.len() < self.ends.len() {
            match ring.submit_and_wait(self.ends.len() - self.results.len()) {
                Ok(_) => {}
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
            self.results.extend(ring.completion().map(|entry| entry.result()));
        }
        self.ring = Some(ring);
        Ok(())
    }

    /// What became of the writes of the last call that did not fail.
    pub(crate) fn results(&self) -> impl Iterator<Item = io::Result<()>> {
        self.results.iter().map(|&result| match result {
            0.. => Ok(()),
            error => Err(io::Error::from_raw_os_error(-error)),
        })
    }
}

fn piece(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// Whether asking again helps.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// `None`, said aloud, where the system has no such calls.
    fn queue(most: u32) -> Option<Writes> {
        let queue = Writes::new(most);
        queue.inspect_err(|error| eprintln!("skipped: {}: io_uring: {error}", module_path!())).ok()
    }

    fn pair() -> (UnixDatagram, UnixDatagram) {
        let (from, to) = UnixDatagram::pair().expect("descriptors are left");
        from.set_nonblocking(true).expect("a socket can do that");
        to.set_nonblocking(true).expect("a socket can do that");
        (from, to)
    }

    fn write(queue: &mut Writes, file: &UnixDatagram, writes: &[&[&[u8]]]) -> io::Result<usize> {
        let each = writes.iter().map(|pieces| pieces.iter().copied());
        queue.write_each(file, each)?;
        Ok(queue.results().filter(Result::is_ok).count())
    }

    #[test]
    fn each_write_is_one_message_in_its_turn() {
        let (Some(mut queue), (from, to)) = (queue(4), pair()) else { return };
        for _ in 0..3 {
            let written = write(&mut queue, &from, &[&[b"a", b"bc"], &[b"d"], &[b"", b"ef"]]);
            assert_eq!(written.expect("the queue works"), 3);
            for message in [&b"abc"[..], b"d", b"ef"] {
                let mut buffer = [0; 8];
                let len = to.recv(&mut buffer).expect("a message waits");
                assert_eq!(&buffer[..len], message);
            }
        }
    }

    #[test]
    fn what_there_is_no_room_for_fails_alone_and_does_not_wait() {
        let (Some(mut queue), (from, to)) = (queue(64), pair()) else { return };
        let one: &[&[u8]] = &[b"x"];
        let messages = [one; 64];
        let mut written = 0;
        loop {
            let now = write(&mut queue, &from, &messages).expect("the queue works");
            written += now;
            if now < messages.len() {
                break;
            }
        }
        assert_eq!(to.recv(&mut [0]).expect("a message waits"), 1);
        assert_eq!(write(&mut queue, &from, &messages).expect("the queue works"), 1, "{written}");
    }

    #[test]
    fn a_queue_that_was_given_too_much_writes_nothing_more() {
        let (Some(mut queue), (from, to)) = (queue(2), pair()) else { return };
        let one: &[&[u8]] = &[b"x"];
        assert!(write(&mut queue, &from, &[one; 3]).is_err());
        assert!(write(&mut queue, &from, &[one]).is_err());
        assert!(to.recv(&mut [0]).is_err(), "nothing was written");
    }
}
