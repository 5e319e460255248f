//! The tap: every datagram in and out, in a capture file with one interface for each path. All shards
//! write to one.
//!
//! **Invariant**: a capture that fails ends, and the connections go on; the error is kept.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use manypath_base::{IfaceId, Instant, usize32};
use manypath_device::{Direction, PcapngWriter};
use manypath_wire::Datagram;

/// A capture file being written.
pub(crate) struct Capture {
    writer: Option<PcapngWriter<Box<dyn Write + Send>>>,
    /// The number of each path in the file, indexed by [`IfaceId`].
    numbers: Vec<Option<u32>>,
    error: Option<io::Error>,
    epoch: Duration,
}

impl Capture {
    /// Begins a file; `epoch` is [`Instant::ZERO`] since 1970-01-01 UTC.
    pub(crate) fn new(out: Box<dyn Write + Send>, epoch: Duration) -> io::Result<Self> {
        let writer = Some(PcapngWriter::new(out)?);
        Ok(Self { writer, numbers: Vec::new(), error: None, epoch })
    }

    /// Adds a path, unless another shard did.
    pub(crate) fn add_interface(&mut self, id: IfaceId, name: &str, addresses: &[IpAddr]) {
        if usize32(id.0) < self.numbers.len() {
            return;
        }
        let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let number = self.attempt(|writer| writer.add_interface(name, &texts.join(" ")));
        self.numbers.push(number);
    }

    /// Writes a datagram.
    pub(crate) fn write(&mut self, id: IfaceId, now: Instant, way: Direction, d: &Datagram) {
        let Some(&Some(interface)) = self.numbers.get(usize32(id.0)) else { return };
        let time = (self.epoch + now.since(Instant::ZERO)).as_nanos();
        let nanos = u64::try_from(time).unwrap_or(u64::MAX);
        self.attempt(|writer| writer.write_datagram(interface, nanos, way, d, None));
    }

    /// Brings everything to the file, and says why nothing more is written where that is so.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.attempt(PcapngWriter::flush);
        match &self.error {
            Some(error) => Err(io::Error::new(error.kind(), error.to_string())),
            None => Ok(()),
        }
    }

    fn attempt<T>(
        &mut self,
        f: impl FnOnce(&mut PcapngWriter<Box<dyn Write + Send>>) -> io::Result<T>,
    ) -> Option<T> {
        let result = f(self.writer.as_mut()?);
        if result.is_err() {
            self.writer = None;
        }
        result.map_err(|error| self.error = Some(error)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_ends_the_capture_and_is_told() {
        let mut capture = Capture::new(Box::new(Full(2)), Duration::ZERO).expect("two blocks fit");
        let id = IfaceId(0);
        capture.add_interface(id, "wifi", &[]);
        capture.add_interface(id, "wifi", &[]);
        capture.flush().expect("nothing failed yet");
        capture.write(id, Instant::ZERO, Direction::Inbound, &Datagram::default());
        let error = capture.flush().expect_err("the disk is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
