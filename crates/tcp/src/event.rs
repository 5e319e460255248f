//! What a flow reports.

use manypath_base::PathId;
use manypath_wire::MpTcpRst;

use crate::Barred;

/// Something that the owner of a flow may act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake is complete.
    Established,
    /// The server answered an attempt at Fast Open:
    /// [`crate::Flow::take_fast_open_answer`] has it.
    FastOpenAnswered,
    /// Data came in order; [`crate::Flow::read`] has it.
    Received,
    /// Data was acknowledged: there is room to write more.
    Acknowledged,
    /// The peer sent FIN and everything before it has come.
    PeerClosed,
    /// The path has fallen silent with data outstanding: long before the retransmission timer is
    /// due, data should be sent elsewhere.
    PathSuspect(PathId),
    /// The retransmission timer of the path expired.
    PathFailed(PathId),
    /// A suspected or failed path delivers again.
    PathRestored(PathId),
    /// The peer answered on a further path, which may carry data now.
    PathProven(PathId),
    /// A path of several is used no longer.
    PathBarred(PathId, Barred),
    /// The flow has ended; nothing follows.
    Closed(CloseReason),
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Both sides closed.
    Finished,
    /// The peer sent RST, perhaps with a reason (RFC 8684 §3.6).
    Reset(Option<MpTcpRst>),
    /// The peer refused the connection: RST in answer to SYN.
    Refused,
    /// Nothing was acknowledged for too long (RFC 9293 §3.8.3).
    TimedOut,
    /// A hard ICMP error ended the handshake (RFC 9293 §3.9.2.2).
    Unreachable,
    /// This side aborted.
    Aborted,
}
