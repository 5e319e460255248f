//! Capture files: writes pcapng that shows packets as they are on a wire, reads pcapng and the
//! older pcap.
//!
//! The formats are those of draft-ietf-opsawg-pcapng and draft-ietf-opsawg-pcap. **Invariants**:
//! reading never panics, and never holds more than one block, whose length is bounded.
//! **Leaves out** name resolution, statistics and decryption blocks, which are skipped.

mod blocks;
mod classic;
mod fields;
mod link;
mod reader;
mod writer;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

pub use reader::PcapngReader;
pub use writer::PcapngWriter;

/// Which way a packet went, seen from the host that captured it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Received.
    Inbound,
    /// Sent.
    Outbound,
}

/// One IP packet of a capture file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedPacket {
    /// Number of the interface in the order of the file, over all of its sections.
    pub interface: u32,
    /// Name of the interface; empty where the file does not say.
    pub interface_name: Arc<str>,
    /// Nanoseconds since 1970-01-01 UTC; 0 where the file does not say.
    pub timestamp_nanos: u64,
    /// Which way it went, where the file says so.
    pub direction: Option<Direction>,
    /// From the IP header on, without padding; it may be cut short by the capture's snap length.
    pub data: Bytes,
    /// A comment of the one who wrote the file.
    pub comment: Option<String>,
}

/// Why a capture file could not be read further.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The file could not be read.
    #[error("cannot read the capture file")]
    Io(#[from] io::Error),
    /// It is another kind of file.
    #[error("this is no capture file: it begins like neither pcapng nor pcap")]
    NotACapture,
    /// It is damaged.
    #[error("the capture file is damaged at byte {offset}: {what}")]
    Malformed {
        /// Where the damaged block or record begins, from the start of the file.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}
