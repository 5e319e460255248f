//! Writes pcapng.

use std::io::{self, Write};

use manypath_base::{len16, len32};
use manypath_wire::Datagram;

use super::Direction;
use super::blocks::{
    BYTE_ORDER_MAGIC, ENHANCED_PACKET, EPB_FLAGS, FLAG_INBOUND, FLAG_OUTBOUND, IF_DESCRIPTION,
    IF_NAME, IF_TSRESOL, INTERFACE_DESCRIPTION, OPT_COMMENT, SECTION_HEADER, SHB_USERAPPL,
};
use super::link::LINKTYPE_RAW;
use crate::{cut, headers};

/// Nanoseconds: a negative power of ten.
const RESOLUTION_NANOS: u8 = 9;

/// Writes packets of several interfaces, or paths, to one file. Super-segments are written as the
/// packets that they become on a wire, with complete checksums.
#[derive(Debug)]
pub struct PcapngWriter<W: Write> {
    out: W,
    interfaces: u32,
    block: Vec<u8>,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a file. Writes are small; give a buffered writer.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, interfaces: 0, block: Vec::new() };
        writer.u32(BYTE_ORDER_MAGIC);
        writer.block.extend([1, 0, 0, 0]); // version 1.0
        writer.block.extend([0xff; 8]); // length of the section: not known
        writer.option(SHB_USERAPPL, concat!("manypath ", env!("CARGO_PKG_VERSION")).as_bytes());
        writer.end_options();
        writer.finish(SECTION_HEADER)?;
        Ok(writer)
    }

    /// Adds an interface, which may be one path, and returns its number: 0, 1, ...
    ///
    /// # Errors
    /// When the writer below fails.
    pub fn add_interface(&mut self, name: &str, description: &str) -> io::Result<u32> {
        self.block.extend(LINKTYPE_RAW.to_le_bytes());
        self.block.extend([0; 6]); // reserved, and no snap length
        self.option(IF_NAME, name.as_bytes());
        if !description.is_empty() {
            self.option(IF_DESCRIPTION, description.as_bytes());
        }
        self.option(IF_TSRESOL, &[RESOLUTION_NANOS]);
        self.end_options();
        self.finish(INTERFACE_DESCRIPTION)?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// Writes one datagram; `timestamp` is in nanoseconds since 1970-01-01 UTC. The comment stands
    /// with the first packet of a super-segment.
    ///
    /// # Errors
    /// `InvalidInput` for an interface that was not added; else when the writer below fails.
    pub fn write_datagram(
        &mut self,
        interface: u32,
        timestamp: u64,
        direction: Direction,
        datagram: &Datagram,
        comment: Option<&str>,
    ) -> io::Result<()> {
        if interface >= self.interfaces {
            let what = format!("capture interface {interface} was not added");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let mut comment = comment;
        for packet in cut::wire_packets(datagram) {
            self.packet_fields(interface, timestamp, &packet);
            if let Some(comment) = comment.take() {
                self.option(OPT_COMMENT, comment.as_bytes());
            }
            let flags = match direction {
                Direction::Inbound => FLAG_INBOUND,
                Direction::Outbound => FLAG_OUTBOUND,
            };
            self.option(EPB_FLAGS, &flags.to_le_bytes());
            self.end_options();
            self.finish(ENHANCED_PACKET)?;
        }
        Ok(())
    }

    /// Flushes the writer below.
    ///
    /// # Errors
    /// When it fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Gives the writer below back; it may hold bytes that are not flushed yet.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn packet_fields(&mut self, interface: u32, timestamp: u64, packet: &Datagram) {
        let len = len32(packet.len());
        let [a, b, c, d, e, f, g, h] = timestamp.to_le_bytes();
        self.u32(interface);
        self.block.extend([e, f, g, h, a, b, c, d]); // the upper half first
        self.u32(len);
        self.u32(len);
        for piece in headers::pieces(packet) {
            self.block.extend(piece);
        }
        self.pad();
    }

    fn u32(&mut self, value: u32) {
        self.block.extend(value.to_le_bytes());
    }

    fn pad(&mut self) {
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    /// An option; a value longer than its length field can say is cut, texts between characters.
    fn option(&mut self, code: u16, value: &[u8]) {
        let mut len = value.len().min(usize::from(u16::MAX));
        while len < value.len() && value[len] & 0xc0 == 0x80 {
            len -= 1;
        }
        self.block.extend(code.to_le_bytes());
        self.block.extend(len16(len).to_le_bytes());
        self.block.extend(&value[..len]);
        self.pad();
    }

    fn end_options(&mut self) {
        self.u32(0);
    }

    /// Writes the block whose body was collected.
    fn finish(&mut self, block_type: u32) -> io::Result<()> {
        let total = len32(self.block.len() + 12).to_le_bytes();
        self.block.extend(total);
        let [a, b, c, d] = block_type.to_le_bytes();
        let [e, f, g, h] = total;
        self.block.splice(0..0, [a, b, c, d, e, f, g, h]);
        let result = self.out.write_all(&self.block);
        self.block.clear();
        result
    }
}
