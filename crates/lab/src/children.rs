//! Processes that were started inside a namespace, and their certain end.

use std::fs;
use std::io;
use std::os::linux::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// A process that is killed, with its process group, when this is dropped.
#[derive(Debug)]
pub struct ChildGuard {
    child: Child,
}

impl ChildGuard {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).spawn().map(|child| Self { child })
    }

    /// The process, to read its pipes or ask for its id.
    pub fn process(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Sends `signal` to the process group, for programs that say something when interrupted.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        killpg(pid(self.child.id()), signal).map_err(io::Error::from)
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        // Once it was waited for, its id may belong to another process.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGKILL).ok();
            self.child.wait().ok();
        }
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("Linux process ids are below 2^22"))
}

/// Kills every process but this one that is in the network namespace of this device and inode.
pub(crate) fn kill_all_inside(device: u64, inode: u64) {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for id in ids.filter(|&id| id != std::process::id()) {
        let meta = fs::metadata(format!("/proc/{id}/ns/net"));
        if meta.is_ok_and(|meta| meta.st_dev() == device && meta.st_ino() == inode) {
            kill(pid(id), Signal::SIGKILL).ok();
        }
    }
}
