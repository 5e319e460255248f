//! Explicit congestion notification (RFC 3168): what the SYNs agreed on, and what is echoed.
//!
//! **Leaves out** the answer to an echo, which is a path's (`path/congestion.rs`).

use manypath_wire::{Ecn, Flags};

use crate::extension::Phase;

/// Whether a flow uses explicit congestion notification (RFC 3168).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EcnMode {
    /// Never.
    Off,
    /// Where the peer asks for it. **Choice:** the default, as in Linux: a SYN that asks is
    /// dropped by some middleboxes (RFC 3168 §6.1.1.1).
    #[default]
    Accept,
    /// Ask for it, and accept.
    Ask,
}

const SETUP: Flags = Flags(Flags::ECE.0 | Flags::CWR.0);

/// What the SYNs of both sides said (RFC 3168 §6.1.1), and what has come since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EcnState {
    mode: EcnMode,
    /// This side sent an ECN-setup SYN or SYN/ACK.
    sent: bool,
    /// This side sent a SYN or SYN/ACK that was none.
    sent_plain: bool,
    /// The peer sent one; or one that was none.
    received: bool,
    received_plain: bool,
    /// A packet came marked: acknowledgments say so until the peer has answered (§6.1.3).
    echo: bool,
}

impl EcnState {
    pub(crate) const fn new(mode: EcnMode) -> Self {
        Self {
            mode,
            sent: false,
            sent_plain: false,
            received: false,
            received_plain: false,
            echo: false,
        }
    }

    /// Flags of a SYN or SYN/ACK about to be sent. **Choice:** a SYN that is sent again no longer
    /// asks, since the first may have been dropped for it (§6.1.1.1).
    pub(crate) fn setup_flags(&mut self, phase: Phase, attempt: u8) -> Flags {
        let flags = match phase {
            Phase::Syn if self.mode == EcnMode::Ask && attempt == 0 => SETUP,
            Phase::SynAck if self.received && !self.received_plain && !self.sent_plain => {
                Flags::ECE
            }
            Phase::Syn | Phase::SynAck | Phase::Open | Phase::Reset => Flags::default(),
        };
        if flags == Flags::default() {
            self.sent_plain = true;
        } else {
            self.sent = true;
        }
        flags
    }

    /// Takes in what a SYN or SYN/ACK of the peer says. A SYN/ACK with both flags is the
    /// reflection of the SYN by a host that knows neither (§6.1.1.2).
    pub(crate) fn on_syn(&mut self, flags: Flags) {
        let setup = if flags.has(Flags::ACK) {
            self.sent && flags.has(Flags::ECE) && !flags.has(Flags::CWR)
        } else {
            flags.has(SETUP)
        };
        if setup && self.mode != EcnMode::Off {
            self.received = true;
        } else {
            self.received_plain = true;
        }
    }

    /// Whether data may be sent as ECN-capable, and echoes are believed.
    pub(crate) const fn is_on(&self) -> bool {
        self.sent && self.received && !self.sent_plain && !self.received_plain
    }

    /// Data came, with these flags in a packet with this mark. Returns whether a mark is news.
    pub(crate) fn on_data(&mut self, flags: Flags, mark: Ecn) -> bool {
        if !self.sent || self.received_plain {
            return false;
        }
        if flags.has(Flags::CWR) {
            self.echo = false;
        }
        let news = mark == Ecn::Ce && !self.echo;
        self.echo |= mark == Ecn::Ce;
        news
    }

    /// Whether acknowledgments say that a mark came.
    pub(crate) const fn echoes(&self) -> bool {
        self.echo
    }
}
