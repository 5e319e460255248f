//! The ring in which the kernel hands over frames of a packet socket (PACKET_RX_RING, packet(7)):
//! memory that both have, so that a frame costs no call.
//!
//! **Invariant**: a slot is read only while its status says that it is ours, and is the kernel's
//! again afterwards. **Choice:** version 2, slots of one length: that of version 3 keeps frames back
//! until a block is full or a millisecond has passed.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::libc::{self, tpacket2_hdr};

use super::packet::{set_number, set_option};

/// Bytes that the kernel allocates in one piece.
const BLOCK: usize = 1 << 18;
/// What stands in a slot before the frame, at most: the kernel's header, an address, padding and
/// the virtio-net header.
const BEFORE: usize = 112;
/// Slots begin at multiples of this: a line of the cache.
const ALIGN: usize = 64;

/// A ring, mapped.
#[derive(Debug)]
pub(crate) struct RxRing {
    at: NonNull<u8>,
    len: usize,
    slot: usize,
    slots_per_block: usize,
    slots: usize,
    /// The slot that is filled next, as the kernel goes round.
    next: usize,
}

// SAFETY: the mapping belongs to this value alone, and is reached by any thread that has it.
unsafe impl Send for RxRing {}

/// A frame in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot<'a> {
    /// It is here, with what stands in front of it.
    Frame(&'a [u8]),
    /// It was too long, and waits in the socket's queue.
    Queued,
    /// It was too long, and is lost.
    Lost,
}

impl RxRing {
    /// Makes a ring of about `bytes` for frames of `frame` bytes and maps it. Whatever goes before
    /// the frames must be set at the socket already.
    pub(crate) fn map(socket: impl AsFd, frame: usize, bytes: usize) -> io::Result<Self> {
        let slot = (frame + BEFORE).next_multiple_of(ALIGN);
        let (slots_per_block, blocks) = (BLOCK / slot, (bytes / BLOCK).max(1));
        let slots = slots_per_block * blocks;
        let word = |n: usize| libc::c_uint::try_from(n).map_err(io::Error::other);
        let wish = libc::tpacket_req {
            tp_block_size: word(BLOCK)?,
            tp_block_nr: word(blocks)?,
            tp_frame_size: word(slot)?,
            tp_frame_nr: word(slots)?,
        };
        let version = libc::c_int::try_from(libc::tpacket_versions::TPACKET_V2 as u32);
        let version = version.map_err(io::Error::other)?;
        set_number(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, version)?;
        // Frames that do not fit are queued whole, beside the ring.
        set_number(&socket, libc::SOL_PACKET, libc::PACKET_COPY_THRESH, libc::c_int::MAX)?;
        set_option(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &wish)?;
        let (len, fd) = (BLOCK * blocks, socket.as_fd().as_raw_fd());
        let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping at a place that the kernel chooses; it touches no memory of ours.
        let at = unsafe { libc::mmap(ptr::null_mut(), len, rights, kind, fd, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).expect("a mapping is not at 0");
        Ok(Self { at, len, slot, slots_per_block, slots, next: 0 })
    }

    /// The next frame, with `before` bytes in front of it, or `None` if nothing has come. It stays
    /// until [`RxRing::release`].
    pub(crate) fn peek(&self, before: usize) -> Option<Slot<'_>> {
        let status = self.status().load(Ordering::Acquire);
        if status & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the slot is ours, the kernel wrote its header before it said so, and no one
        // writes to it while we borrow `self`: `release` needs it exclusively.
        let header = unsafe { self.slot_at().cast::<tpacket2_hdr>().read() };
        if header.tp_len > header.tp_snaplen {
            let queued = status & libc::TP_STATUS_COPY != 0;
            return Some(if queued { Slot::Queued } else { Slot::Lost });
        }
        let len = usize::try_from(header.tp_snaplen).ok()?;
        let from = usize::from(header.tp_mac).checked_sub(before)?;
        let len = len.min(self.slot.checked_sub(from + before)?) + before;
        // SAFETY: these bytes are within the slot, initialised as all of a mapping is, and not
        // written to while we borrow `self`, as above.
        Some(Slot::Frame(unsafe { std::slice::from_raw_parts(self.slot_at().add(from), len) }))
    }

    /// Gives the slot of the last [`RxRing::peek`] back to the kernel and goes on to the next.
    pub(crate) fn release(&mut self) {
        self.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.slots;
    }

    /// The status of the next slot, its first word.
    fn status(&self) -> &AtomicU32 {
        // SAFETY: a slot begins with this word, aligned to `ALIGN` from the start of a page; both
        // sides access it atomically.
        unsafe { AtomicU32::from_ptr(self.slot_at().cast()) }
    }

    fn slot_at(&self) -> *mut u8 {
        let (block, within) = (self.next / self.slots_per_block, self.next % self.slots_per_block);
        // SAFETY: `next` is below `slots`, so that this is inside the mapping.
        unsafe { self.at.as_ptr().add(block * BLOCK + within * self.slot) }
    }
}

impl Drop for RxRing {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and nothing borrows from it any more.
        let _always_works = unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}
