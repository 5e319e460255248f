//! Where a download goes, and its hash.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

use manypath_base::len64;
use sha2::{Digest as _, Sha256};

use crate::figures::hex;

/// Bytes read at once while a file is hashed.
const BUFFER: usize = 256 << 10;

/// Takes a download in.
pub(super) struct Sink {
    to: To,
    hash: Option<Sha256>,
    len: u64,
}

enum To {
    Nowhere,
    Stdout,
    File(File),
}

impl Sink {
    /// Bytes are only counted.
    pub(super) fn nowhere(hash: bool) -> Self {
        Self::new(To::Nowhere, hash)
    }

    /// Standard output.
    pub(super) fn stdout(hash: bool) -> Self {
        Self::new(To::Stdout, hash)
    }

    /// A file. With `resume` what it holds is kept, and hashed.
    ///
    /// # Errors
    /// When it cannot be opened, or read.
    pub(super) fn file(path: &Path, resume: bool, hash: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(!resume);
        let mut sink = Self::new(To::File(options.open(path)?), hash);
        if resume {
            sink.take_in_what_is_there()?;
        }
        Ok(sink)
    }

    fn new(to: To, hash: bool) -> Self {
        Self { to, hash: hash.then(Sha256::new), len: 0 }
    }

    fn take_in_what_is_there(&mut self) -> io::Result<()> {
        let To::File(file) = &mut self.to else { return Ok(()) };
        let Some(hash) = &mut self.hash else {
            self.len = file.seek(SeekFrom::End(0))?;
            return Ok(());
        };
        let mut buffer = vec![0; BUFFER];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                n => {
                    hash.update(&buffer[..n]);
                    self.len += len64(n);
                }
            }
        }
    }

    /// Bytes that it holds.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Forgets what it holds: the server sends everything again.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub(super) fn start_over(&mut self) -> io::Result<()> {
        if let To::File(file) = &mut self.to {
            file.set_len(0)?;
            file.rewind()?;
        }
        self.len = 0;
        self.hash = self.hash.take().map(|_| Sha256::new());
        Ok(())
    }

    /// Takes the next bytes; `false` if nobody reads them any more.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let result = match &mut self.to {
            To::Nowhere => Ok(()),
            To::Stdout => io::stdout().write_all(bytes),
            To::File(file) => file.write_all(bytes),
        };
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(false),
            result => result?,
        }
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.len += len64(bytes.len());
        Ok(true)
    }

    /// The SHA-256 of everything in hexadecimal, if it was asked for.
    ///
    /// # Errors
    /// When the rest cannot be written.
    pub(super) fn finish(self) -> io::Result<Option<String>> {
        if matches!(self.to, To::Stdout) {
            io::stdout().flush()?;
        }
        Ok(self.hash.map(|hash| hex(&hash.finalize())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of "multipath".
    const MULTIPATH: &str = "32b8c5428824354851f2b3a32c2eba870007681315a11be0d402ec50f949ff6d";

    #[test]
    fn a_resumed_file_is_hashed_from_its_start() {
        let folder = std::env::temp_dir().join(format!("manypath-sink-{}", std::process::id()));
        std::fs::write(&folder, b"multi").expect("written");
        let mut sink = Sink::file(&folder, true, true).expect("opened");
        assert_eq!(sink.len(), 5);
        assert!(sink.write(b"path").expect("written"));
        assert_eq!(sink.finish().expect("finished").as_deref(), Some(MULTIPATH));
        assert_eq!(std::fs::read(&folder).expect("read"), b"multipath");
        std::fs::remove_file(&folder).expect("removed");
    }

    #[test]
    fn starting_over_forgets_everything() {
        let mut sink = Sink::nowhere(true);
        assert!(sink.write(b"wrong").expect("counted"));
        sink.start_over().expect("nothing to cut");
        assert!(sink.write(b"multipath").expect("counted"));
        assert_eq!((sink.len(), sink.finish().expect("finished").as_deref()), (9, Some(MULTIPATH)));
    }
}
