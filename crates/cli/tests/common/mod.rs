//! A folder with an experiment in it, where the command is run.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// It goes at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A folder of this name, with `experiment` as `x.toml`.
    pub(crate) fn new(name: &str, experiment: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("manypath-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let folder = Self(folder);
        folder.write("x.toml", experiment);
        folder
    }

    /// `manypath sim` in the folder.
    pub(crate) fn sim(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_manypath"));
        command.arg("sim").current_dir(&self.0).stdin(Stdio::null());
        command
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    pub(crate) fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(file), text).expect("written");
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).expect("it is there")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
