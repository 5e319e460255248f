//! Hosts: network namespaces with a name, gone when their owner is gone.
//!
//! **Owns** the life of a namespace, entering it, and processes inside. **Invariants**: a namespace
//! is removed when its [`Namespace`] is dropped, after every process inside was killed; what a
//! killed program left behind is removed by the next one that makes a namespace. **Leaves out**
//! links and addresses between hosts (`topology`).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::linux::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, mpsc};
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns};

use crate::children::{self, ChildGuard};
use crate::error::{Context as _, LabError};

const PREFIX: &str = "mplab-";
const FOLDER: &str = "/run/netns";

/// One host: a network namespace named `mplab-PID-NUMBER-LABEL`, where `ip netns exec` finds it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

/// The address family of a batch of `ip` commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Namespace {
    /// Makes a host with `lo` up, no source address check (rp_filter off), and no IPv6 chatter of
    /// its own (no link-local addresses, no router solicitations, no duplicate detection), so
    /// that links carry nothing but what was asked for.
    ///
    /// # Errors
    /// Without root or iproute2, or where the kernel has no network namespaces.
    pub fn create(label: &str) -> Result<Self, LabError> {
        static SEQ: AtomicU32 = AtomicU32::new(0);
        static STALE: Once = Once::new();
        STALE.call_once(|| {
            cleanup_stale();
        });
        let (pid, seq) = (std::process::id(), SEQ.fetch_add(1, Ordering::Relaxed));
        let name = format!("{PREFIX}{pid}-{seq}-{label}");
        check(Command::new("ip").args(["netns", "add", &name]))?;
        let path = path_of(&name);
        let file = File::open(&path).context(|| format!("opening {}", path.display()));
        let file = file.inspect_err(|_| delete(&name))?;
        let host = Self { name, file };
        host.ip(&["link", "set", "lo", "up"])?;
        for key in ["net/ipv4/conf/all/rp_filter", "net/ipv4/conf/default/rp_filter"] {
            host.sysctl(key, "0")?;
        }
        for (key, value) in
            [("addr_gen_mode", "1"), ("router_solicitations", "0"), ("accept_dad", "0")]
        {
            host.sysctl(&format!("net/ipv6/conf/default/{key}"), value)?;
        }
        Ok(host)
    }

    /// The name that `ip netns` knows.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` in a thread that is inside, and waits for it. A panic of `f` goes on here.
    ///
    /// # Errors
    /// When the thread cannot be made or cannot enter.
    pub fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> Result<R, LabError> {
        let inside = || self.enter().map(|()| f());
        let result = thread::scope(|scope| scope.spawn(inside).join());
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Starts a thread that is inside, and so are the threads and processes that it starts.
    ///
    /// # Errors
    /// When the thread cannot be made or cannot enter.
    pub fn spawn_thread<R: Send + 'static>(
        &self,
        name: &str,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Result<JoinHandle<R>, LabError> {
        let file = self.file.try_clone().context(|| format!("opening {}", self.name))?;
        let (entered, result) = mpsc::sync_channel(1);
        let inside = move || match setns(&file, CloneFlags::CLONE_NEWNET) {
            Ok(()) => {
                drop(file);
                entered.send(Ok(())).ok();
                Some(f())
            }
            Err(error) => {
                entered.send(Err(error)).ok();
                None
            }
        };
        let body = move || inside().expect("the caller was told and dropped the handle");
        let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.context(|| format!("starting thread {name}"))?;
        let entered = result.recv().expect("the thread answers before anything else");
        entered.context(|| format!("entering {}", self.name))?;
        Ok(thread)
    }

    fn enter(&self) -> Result<(), LabError> {
        setns(&self.file, CloneFlags::CLONE_NEWNET).context(|| format!("entering {}", self.name))
    }

    /// A command that runs `program` inside, with `/sys` of the namespace.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Starts a command of [`Namespace::command`] in a process group of its own, which is killed
    /// when the guard is dropped.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn child(&self, mut command: Command) -> Result<ChildGuard, LabError> {
        ChildGuard::spawn(&mut command).context(|| format!("starting {command:?}"))
    }

    /// Runs `ip` on this namespace and gives what it printed.
    ///
    /// # Errors
    /// When `ip` is missing or refuses.
    pub fn ip(&self, args: &[&str]) -> Result<String, LabError> {
        check(Command::new("ip").args(["-n", &self.name]).args(args))
    }

    /// Runs many `ip` commands, one a line and without the word `ip`, in one process.
    ///
    /// # Errors
    /// When `ip` is missing or refuses a line; later lines are not run.
    pub fn ip_batch(&self, family: Family, lines: &[String]) -> Result<(), LabError> {
        let family = match family {
            Family::V4 => "-4",
            Family::V6 => "-6",
        };
        let mut command = Command::new("ip");
        command.args(["-n", &self.name, family, "-batch", "-"]);
        check_with_input(&mut command, &lines.join("\n")).map(drop)
    }

    /// Sets a sysctl of this namespace, named by its path below `/proc/sys`, like
    /// `net/ipv4/ip_forward`.
    ///
    /// # Errors
    /// When there is no such sysctl or it refuses the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<(), LabError> {
        let write = || fs::write(format!("/proc/sys/{key}"), value);
        self.run(write)?.context(|| format!("setting sysctl {key} to {value}"))
    }

    /// Reads a sysctl of this namespace.
    ///
    /// # Errors
    /// When there is no such sysctl.
    pub fn sysctl_value(&self, key: &str) -> Result<String, LabError> {
        let text = self.run(|| fs::read_to_string(format!("/proc/sys/{key}")))?;
        text.map(|text| text.trim().to_owned()).context(|| format!("reading sysctl {key}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Ok(meta) = self.file.metadata() {
            children::kill_all_inside(meta.st_dev(), meta.st_ino());
        }
        delete(&self.name);
    }
}

/// Removes the namespaces of labs whose process is dead, with the processes inside. Gives how
/// many there were. Runs by itself before the first namespace of a process is made.
pub fn cleanup_stale() -> usize {
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let stale: Vec<_> = names.filter(|name| owner_of(name).is_some_and(is_dead)).collect();
    for name in &stale {
        if let Ok(meta) = fs::metadata(path_of(name)) {
            children::kill_all_inside(meta.st_dev(), meta.st_ino());
        }
        delete(name);
    }
    stale.len()
}

fn path_of(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// The process that made the namespace of this name, if a lab did.
fn owner_of(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

fn is_dead(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

/// Removes the name. Failure means that someone else removed it.
fn delete(name: &str) {
    check(Command::new("ip").args(["netns", "del", name])).ok();
}

/// Runs a command to its end and gives what it printed.
pub(crate) fn check(command: &mut Command) -> Result<String, LabError> {
    check_with_input(command, "")
}

/// Runs a command to its end with `input` as its standard input.
fn check_with_input(command: &mut Command, input: &str) -> Result<String, LabError> {
    let run = |command: &mut Command| -> io::Result<_> {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn()?;
        // A program that ends early closes the pipe; its status tells why.
        child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
        child.wait_with_output()
    };
    let output = run(command).context(|| format!("running {command:?}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Command { command: format!("{command:?}"), status: output.status, stderr })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_labs_have_an_owner() {
        assert_eq!(owner_of("mplab-123-0-client"), Some(123));
        assert_eq!(owner_of("mplab-x-0-client"), None);
        assert_eq!(owner_of("other-123-0"), None);
        assert!(!is_dead(std::process::id()));
    }
}
