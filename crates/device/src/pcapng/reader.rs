//! Reads pcapng and pcap, one block at a time.

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use manypath_base::{len64, usize32};

use super::blocks::{BYTE_ORDER_MAGIC, Content, SECTION_HEADER, Section};
use super::classic::{self, Classic};
use super::fields::Order;
use super::{CaptureError, CapturedPacket};

/// The longest block or record that is believed: 16 MiB, as other readers have it.
const MAX_BLOCK: usize = 16 << 20;

/// Reads the IP packets of a capture file in order: pcapng or pcap, in either byte order.
///
/// Packets that are not IP, or of link types other than raw IP, Ethernet and Linux cooked, are
/// counted and left out. Reading ends with the file, or with the first error.
#[derive(Debug)]
pub struct PcapngReader<R: Read> {
    source: Source<R>,
    format: Format,
    skipped: u64,
}

#[derive(Debug)]
enum Format {
    Blocks(Section),
    Classic(Classic),
    /// An error was returned; what follows in the file cannot be told apart.
    Failed,
}

/// What reading one block or record gave.
#[derive(Debug)]
enum Step {
    Packet(CapturedPacket),
    Skipped,
    Nothing,
    End,
}

impl<R: Read> PcapngReader<R> {
    /// Begins to read a file. Reads are small; give a buffered reader.
    ///
    /// # Errors
    /// When it is no capture file, or cannot be read.
    pub fn new(input: R) -> Result<Self, CaptureError> {
        let mut source = Source { input, offset: 0, start: 0 };
        let magic = source.array()?.ok_or(CaptureError::NotACapture)?;
        let format = match Classic::recognise(magic) {
            Some(classic) => {
                let header = source.expect(classic::HEADER_LEN)?;
                let header = classic.with_header(header).ok_or(CaptureError::NotACapture)?;
                Format::Classic(header)
            }
            None if magic == SECTION_HEADER.to_be_bytes() => {
                Format::Blocks(Section::first(source.section_header()?))
            }
            None => return Err(CaptureError::NotACapture),
        };
        Ok(Self { source, format, skipped: 0 })
    }

    /// The next IP packet, or `None` at the end of the file.
    ///
    /// # Errors
    /// When the file is damaged or cannot be read; after that, `None`.
    pub fn next_packet(&mut self) -> Result<Option<CapturedPacket>, CaptureError> {
        loop {
            match self.step() {
                Ok(Step::Packet(packet)) => return Ok(Some(packet)),
                Ok(Step::Skipped) => self.skipped += 1,
                Ok(Step::Nothing) => {}
                Ok(Step::End) => return Ok(None),
                Err(error) => {
                    self.format = Format::Failed;
                    return Err(error);
                }
            }
        }
    }

    /// Packets left out so far: not IP, or of a link type that is not known.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn step(&mut self) -> Result<Step, CaptureError> {
        let Self { source, format, .. } = self;
        source.start = source.offset;
        match format {
            Format::Blocks(section) => block(source, section),
            Format::Classic(classic) => record(source, *classic),
            Format::Failed => Ok(Step::End),
        }
    }
}

impl<R: Read> Iterator for PcapngReader<R> {
    type Item = Result<CapturedPacket, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_packet().transpose()
    }
}

/// Reads one block of pcapng: type, length, body, length again.
fn block<R: Read>(source: &mut Source<R>, section: &mut Section) -> Result<Step, CaptureError> {
    let Some(kind) = source.array()? else { return Ok(Step::End) };
    // The same in both byte orders, since its byte order is not known before it is read.
    if kind == SECTION_HEADER.to_be_bytes() {
        *section = section.next(source.section_header()?);
        return Ok(Step::Nothing);
    }
    let order = section.order();
    let len = source.block_len(order)?;
    let body = source.expect(len)?;
    source.trailer(order, len)?;
    match section.block(order.u32(kind), body) {
        Ok(Content::Packet(packet)) => Ok(Step::Packet(packet)),
        Ok(Content::NotIp) => Ok(Step::Skipped),
        Ok(Content::Other) => Ok(Step::Nothing),
        Err(what) => Err(source.malformed(what)),
    }
}

/// Reads one record of pcap.
fn record<R: Read>(source: &mut Source<R>, classic: Classic) -> Result<Step, CaptureError> {
    let Some(header) = source.read(classic::RECORD_LEN)? else { return Ok(Step::End) };
    let record = classic.record(header).ok_or_else(|| source.malformed(TRUNCATED))?;
    let len = usize32(record.captured);
    if len > MAX_BLOCK {
        return Err(source.malformed("record is longer than 16 MiB"));
    }
    let frame = source.expect(len)?;
    Ok(classic.packet(record, &frame).map_or(Step::Skipped, Step::Packet))
}

const TRUNCATED: &str = "the file ends within a block";
/// Type, length, and length again.
const FRAME: usize = 12;

/// The file, and where in it we are.
#[derive(Debug)]
struct Source<R> {
    input: R,
    offset: u64,
    /// Where the current block begins.
    start: u64,
}

impl<R: Read> Source<R> {
    fn malformed(&self, what: &'static str) -> CaptureError {
        CaptureError::Malformed { offset: self.start, what }
    }

    /// The next `n` bytes, or `None` at the end of the file. The buffer grows with what is there,
    /// not with what a length field promises.
    fn read(&mut self, n: usize) -> Result<Option<Bytes>, CaptureError> {
        let mut bytes = Vec::new();
        match self.input.by_ref().take(len64(n)).read_to_end(&mut bytes) {
            Ok(got) => self.offset += len64(got),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error.into()),
        }
        match bytes.len() {
            len if len == n => Ok(Some(bytes.into())),
            0 => Ok(None),
            _ => Err(self.malformed(TRUNCATED)),
        }
    }

    /// The next `n` bytes, which must be there.
    fn expect(&mut self, n: usize) -> Result<Bytes, CaptureError> {
        self.read(n)?.ok_or_else(|| self.malformed(TRUNCATED))
    }

    fn array(&mut self) -> Result<Option<[u8; 4]>, CaptureError> {
        Ok(self.read(4)?.and_then(|bytes| bytes.first_chunk().copied()))
    }

    fn expect_array(&mut self) -> Result<[u8; 4], CaptureError> {
        self.array()?.ok_or_else(|| self.malformed(TRUNCATED))
    }

    /// Length of the body of the block that begins at `start`.
    fn block_len(&mut self, order: Order) -> Result<usize, CaptureError> {
        let total = usize32(order.u32(self.expect_array()?));
        self.body_len(total)
    }

    fn body_len(&self, total: usize) -> Result<usize, CaptureError> {
        match total {
            0..FRAME => Err(self.malformed("block length is less than 12")),
            _ if !total.is_multiple_of(4) => {
                Err(self.malformed("block length is no multiple of 4"))
            }
            _ if total > MAX_BLOCK => Err(self.malformed("block is longer than 16 MiB")),
            _ => Ok(total - FRAME),
        }
    }

    fn trailer(&mut self, order: Order, body: usize) -> Result<(), CaptureError> {
        let total = usize32(order.u32(self.expect_array()?));
        if total == body + FRAME {
            return Ok(());
        }
        Err(self.malformed("the two lengths of the block differ"))
    }

    /// Reads the rest of a section header, behind its type, and returns the section's byte order.
    fn section_header(&mut self) -> Result<Order, CaptureError> {
        let (len, magic) = (self.expect_array()?, self.expect_array()?);
        let order = [Order::Little, Order::Big]
            .into_iter()
            .find(|order| order.u32(magic) == BYTE_ORDER_MAGIC)
            .ok_or_else(|| self.malformed("no byte-order magic in the section header"))?;
        let body = self.body_len(usize32(order.u32(len)))?;
        let rest = body.checked_sub(4).ok_or_else(|| self.malformed(TRUNCATED))?;
        let rest = self.expect(rest)?;
        let major = rest.first_chunk().map(|&bytes| order.u16(bytes));
        if major != Some(1) {
            return Err(self.malformed("unknown version of pcapng"));
        }
        self.trailer(order, body)?;
        Ok(order)
    }
}
