//! What makes a driver that waits look.

use std::io;
use std::sync::Arc;

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::Notify;

/// Rings for one driver.
pub(crate) enum Alarm {
    /// A thread, which waits for the descriptor to be readable.
    Thread(Arc<EventFd>),
    /// A task.
    Task(Arc<Notify>),
}

impl Alarm {
    /// One that a thread waits for.
    pub(crate) fn of_thread() -> io::Result<(Arc<EventFd>, Self)> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let descriptor = Arc::new(EventFd::from_flags(flags)?);
        Ok((Arc::clone(&descriptor), Self::Thread(descriptor)))
    }

    /// One that a task waits for.
    pub(crate) fn of_task() -> (Arc<Notify>, Self) {
        let notify = Arc::new(Notify::new());
        (Arc::clone(&notify), Self::Task(notify))
    }

    /// Makes the driver look, now or as soon as it would wait.
    pub(crate) fn ring(&self) {
        match self {
            Self::Thread(descriptor) => {
                // Fails only if the counter is full, and then the driver is about to look anyhow.
                let _full = descriptor.write(1);
            }
            Self::Task(notify) => notify.notify_one(),
        }
    }
}
