//! Selective acknowledgment (RFC 2018): permission on SYN, blocks afterwards.
//!
//! ```text
//! +--------+--------+      +--------+--------+-----------------+-----------------+
//! | kind 4 |  len 2 |      | kind 5 | 2 + 8n | left edge, 1st  | right edge, 1st | .. n
//! +--------+--------+      +--------+--------+-----------------+-----------------+
//! ```

use core::ops::Range;

use manypath_base::SeqNum;
use smallvec::SmallVec;

use crate::{Error, Reader, Writer};

/// Up to four SACK blocks (RFC 2018 §3); the first may be a D-SACK (RFC 2883).
pub type SackBlocks = SmallVec<[Range<SeqNum>; 4]>;

pub(super) const PERMITTED_KIND: u8 = 4;
pub(super) const PERMITTED_LEN: usize = 2;
pub(super) const KIND: u8 = 5;

/// Length of the option; there is none without blocks.
pub(super) fn wire_len(blocks: &SackBlocks) -> usize {
    2 + 8 * blocks.len()
}

/// At least one block, and none cut off.
pub(super) fn parse(r: &mut Reader<'_>) -> Result<SackBlocks, Error> {
    let mut blocks = SackBlocks::new();
    while blocks.is_empty() || !r.is_empty() {
        blocks.push(SeqNum(r.u32()?)..SeqNum(r.u32()?));
    }
    Ok(blocks)
}

pub(super) fn emit(blocks: &SackBlocks, w: &mut Writer<'_>) -> Result<(), Error> {
    for block in blocks {
        w.u32(block.start.0)?;
        w.u32(block.end.0)?;
    }
    Ok(())
}
