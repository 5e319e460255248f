//! How long data may stay unacknowledged (RFC 9293 §3.8.3), and what the peer suggests (RFC 5482).

use alloc::boxed::Box;
use core::time::Duration;

use manypath_wire::UserTimeout as UserTimeoutOption;

use crate::Config;
use crate::path::MAX_RTO;

/// Within what limits the user timeout follows the peer's (RFC 5482 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserTimeoutLimits {
    /// At least this; never below the longest retransmission timeout. The default is the 100
    /// seconds that RFC 5482 §3.1 recommends.
    pub lower: Duration,
    /// At most this: what a peer may make this side keep of a dead flow (RFC 5482 §6). **Choice:**
    /// 15 minutes by default.
    pub upper: Duration,
}

impl Default for UserTimeoutLimits {
    fn default() -> Self {
        Self { lower: Duration::from_secs(100), upper: Duration::from_secs(900) }
    }
}

/// `USER_TIMEOUT` and `ADV_UTO` of RFC 5482 §3.
#[derive(Clone, Debug)]
pub(crate) struct UserTimeout {
    /// In force now.
    pub(crate) current: Duration,
    /// Where the option is on.
    told: Option<Box<Told>>,
}

/// What goes back and forth in options.
#[derive(Clone, Debug)]
struct Told {
    /// What this side asks for.
    advertised: Duration,
    limits: UserTimeoutLimits,
    /// `CHANGEABLE`: the application has not decided.
    changeable: bool,
    /// The next segment tells the peer.
    due: bool,
    /// What the peer asked for last.
    remote: Option<Duration>,
}

impl UserTimeout {
    pub(crate) fn new(config: &Config) -> Self {
        let current = config.user_timeout;
        let told = config.user_timeout_option.map(|limits| {
            let (changeable, due) = (true, true);
            Box::new(Told { advertised: current, limits, changeable, due, remote: None })
        });
        Self { current, told }
    }

    /// What the peer asked for last.
    pub(crate) fn remote(&self) -> Option<Duration> {
        self.told.as_deref()?.remote
    }

    /// The application decides (RFC 5482 §3: from then on the peer does not).
    pub(crate) fn set(&mut self, timeout: Duration) {
        self.current = timeout;
        if let Some(told) = &mut self.told {
            told.advertised = timeout;
            told.changeable = false;
            told.due = true;
        }
    }

    /// The option to send, if one is due: on SYNs, and on the next segment after the handshake or
    /// a change (RFC 5482 §3).
    pub(crate) fn option(&self, on_syn: bool) -> Option<UserTimeoutOption> {
        let told = self.told.as_deref().filter(|told| on_syn || told.due)?;
        Some(encode(told.advertised))
    }

    /// The option went out behind the handshake.
    pub(crate) fn on_sent(&mut self) {
        if let Some(told) = &mut self.told {
            told.due = false;
        }
    }

    /// The peer suggests a timeout (RFC 5482 §3.1); 0 is reserved (§3.4).
    pub(crate) fn on_option(&mut self, option: UserTimeoutOption) {
        let Some(told) = self.told.as_deref_mut().filter(|_| option.value > 0) else { return };
        let Told { advertised, limits, changeable, .. } = *told;
        let unit = if option.minutes { 60 } else { 1 };
        let remote = Duration::from_secs(u64::from(option.value) * unit);
        told.remote = Some(remote);
        if changeable {
            let lower = limits.lower.max(MAX_RTO + Duration::from_secs(1));
            self.current = remote.max(advertised).max(lower).min(limits.upper.max(lower));
        }
    }
}

/// Seconds, or minutes where seconds do not fit; never 0 (RFC 5482 §3.3, §3.4).
fn encode(timeout: Duration) -> UserTimeoutOption {
    let secs = timeout.as_secs().max(1);
    let minutes = secs > u64::from(UserTimeoutOption::MAX);
    let value = if minutes { secs / 60 } else { secs };
    let value = u16::try_from(value).unwrap_or(u16::MAX).min(UserTimeoutOption::MAX);
    UserTimeoutOption { minutes, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_timeouts_are_sent_in_minutes() {
        let option = |secs| encode(Duration::from_secs(secs));
        assert_eq!(option(0), UserTimeoutOption { minutes: false, value: 1 });
        assert_eq!(option(32_767), UserTimeoutOption { minutes: false, value: 32_767 });
        assert_eq!(option(36_000), UserTimeoutOption { minutes: true, value: 600 });
        assert_eq!(option(u64::MAX), UserTimeoutOption { minutes: true, value: 32_767 });
    }
}
