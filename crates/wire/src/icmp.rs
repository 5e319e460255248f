//! ICMP errors about TCP packets (RFC 792, RFC 4443), as far as TCP acts on them.
//!
//! **Owns** which type and code means what to TCP. **Leaves out** whether an error is to be
//! believed: the state machine compares the sequence number (RFC 5927 §4.1).

use core::net::SocketAddr;

use manypath_base::SeqNum;

use crate::ip::{ICMP_V4, IpPayload, TCP};
use crate::segment::TCP_LEN;
use crate::{Ecn, Error, IpHeader, Reader, Writer};

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpKind {
    /// The packet was longer than the next link's MTU (RFC 1191, RFC 8201).
    PacketTooBig {
        /// MTU of that link; 0 where an old router does not say.
        mtu: u32,
    },
    /// Net, host or address unreachable, or time exceeded: a soft error (RFC 9293 §3.9.2.2).
    Unreachable,
    /// Protocol or port unreachable, or administratively prohibited: hard errors.
    Refused,
}

/// An ICMP error with what it quotes of the packet that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// What is wrong.
    pub kind: IcmpKind,
    /// Source of the quoted TCP packet: our side.
    pub local: SocketAddr,
    /// Destination of the quoted TCP packet: the peer's side.
    pub remote: SocketAddr,
    /// Sequence number of the quoted packet: must be in flight to be believed (RFC 5927 §4.1).
    pub seq: SeqNum,
}

/// The first word: type and code; what the second word holds besides zeros.
struct Form {
    kind: u8,
    code: u8,
    word: u32,
}

/// Length of a quoted TCP packet's header as [`IcmpError::emit`] quotes it: ports and sequence
/// number, which is all that RFC 792 promises.
const QUOTED_TCP: usize = 8;

// type, code, checksum | unused or MTU | IP header and more of the packet that caused it
// (RFC 792, RFC 1191 §4, RFC 4443 §3).
impl IcmpError {
    /// Reads a message whose checksum was verified.
    ///
    /// # Errors
    /// [`Error::NotTcp`] for messages that TCP does not act on (source quench by RFC 6633,
    /// parameter problem, redirects, echo) or that quote something else.
    pub(crate) fn parse(protocol: u8, message: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(message);
        let (kind, code) = (r.u8()?, r.u8()?);
        let _checksum = r.u16()?;
        let form = Form { kind, code, word: r.u32()? };
        let kind = if protocol == ICMP_V4 { form.kind_v4()? } else { form.kind_v6()? };
        Self::parse_quote(kind, r.rest())
    }

    fn parse_quote(kind: IcmpKind, quote: &[u8]) -> Result<Self, Error> {
        let (ip, IpPayload { protocol, start, .. }) = IpHeader::parse(quote)?;
        if protocol != TCP {
            return Err(Error::NotTcp);
        }
        let mut r = Reader::new(quote.get(start..).unwrap_or_default());
        let local = SocketAddr::new(ip.src, r.u16()?);
        let remote = SocketAddr::new(ip.dst, r.u16()?);
        Ok(Self { kind, local, remote, seq: SeqNum(r.u32()?) })
    }

    /// The IP header that is quoted.
    fn quoted_ip(&self) -> IpHeader {
        IpHeader {
            src: self.local.ip(),
            dst: self.remote.ip(),
            ecn: Ecn::NotEct,
            dscp: 0,
            hop_limit: 64,
            flow_label: 0,
        }
    }

    /// Length of the message.
    pub(crate) fn wire_len(&self) -> usize {
        8 + self.quoted_ip().wire_len() + QUOTED_TCP
    }

    /// Writes the message with 0 for its checksum. It quotes the header of a bare TCP segment.
    pub(crate) fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        let Self { kind, local, remote, seq } = *self;
        let form = if local.is_ipv4() { Form::v4(kind) } else { Form::v6(kind) };
        w.u8(form.kind)?;
        w.u8(form.code)?;
        w.u16(0)?;
        w.u32(form.word)?;
        self.quoted_ip().emit(TCP, TCP_LEN, w)?;
        w.u16(local.port())?;
        w.u16(remote.port())?;
        w.u32(seq.0)
    }
}

impl Form {
    /// Types 3 and 11 of RFC 792; codes above 5 of type 3 are those of RFC 1812 §5.2.7.1.
    fn kind_v4(&self) -> Result<IcmpKind, Error> {
        match (self.kind, self.code) {
            (3, 4) => Ok(IcmpKind::PacketTooBig { mtu: self.word & 0xffff }),
            (3, 2 | 3 | 9 | 10 | 13) => Ok(IcmpKind::Refused),
            (3, 0..=15) | (11, _) => Ok(IcmpKind::Unreachable),
            _ => Err(Error::NotTcp),
        }
    }

    /// Types 1 to 3 of RFC 4443 §3.
    fn kind_v6(&self) -> Result<IcmpKind, Error> {
        match (self.kind, self.code) {
            (2, _) => Ok(IcmpKind::PacketTooBig { mtu: self.word }),
            (1, 1 | 4 | 5 | 6) => Ok(IcmpKind::Refused),
            (1 | 3, _) => Ok(IcmpKind::Unreachable),
            _ => Err(Error::NotTcp),
        }
    }

    /// Host unreachable and port unreachable stand for their groups.
    fn v4(kind: IcmpKind) -> Self {
        match kind {
            IcmpKind::PacketTooBig { mtu } => {
                Self { kind: 3, code: 4, word: mtu.min(u32::from(u16::MAX)) }
            }
            IcmpKind::Unreachable => Self { kind: 3, code: 1, word: 0 },
            IcmpKind::Refused => Self { kind: 3, code: 3, word: 0 },
        }
    }

    /// Address unreachable and port unreachable stand for their groups.
    fn v6(kind: IcmpKind) -> Self {
        match kind {
            IcmpKind::PacketTooBig { mtu } => Self { kind: 2, code: 0, word: mtu },
            IcmpKind::Unreachable => Self { kind: 1, code: 3, word: 0 },
            IcmpKind::Refused => Self { kind: 1, code: 4, word: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_codes_mean_what_tcp_does_about_them() {
        use IcmpKind::{PacketTooBig, Refused, Unreachable};
        let too_big = Ok(PacketTooBig { mtu: 1280 });
        let v4 = [
            ("too big", 3, 4, too_big),
            ("net unreachable", 3, 0, Ok(Unreachable)),
            ("source route failed", 3, 5, Ok(Unreachable)),
            ("protocol unreachable", 3, 2, Ok(Refused)),
            ("port unreachable", 3, 3, Ok(Refused)),
            ("prohibited", 3, 13, Ok(Refused)),
            ("no such code", 3, 16, Err(Error::NotTcp)),
            ("time exceeded", 11, 0, Ok(Unreachable)),
            ("source quench", 4, 0, Err(Error::NotTcp)),
            ("redirect", 5, 0, Err(Error::NotTcp)),
            ("parameter problem", 12, 0, Err(Error::NotTcp)),
        ];
        let v6 = [
            ("no route", 1, 0, Ok(Unreachable)),
            ("prohibited", 1, 1, Ok(Refused)),
            ("address unreachable", 1, 3, Ok(Unreachable)),
            ("port unreachable", 1, 4, Ok(Refused)),
            ("source address refused", 1, 5, Ok(Refused)),
            ("too big", 2, 0, too_big),
            ("hop limit exceeded", 3, 0, Ok(Unreachable)),
            ("parameter problem", 4, 0, Err(Error::NotTcp)),
            ("echo", 128, 0, Err(Error::NotTcp)),
        ];
        for (name, kind, code, expected) in v4 {
            assert_eq!(Form { kind, code, word: 1280 }.kind_v4(), expected, "IPv4 {name}");
        }
        for (name, kind, code, expected) in v6 {
            assert_eq!(Form { kind, code, word: 1280 }.kind_v6(), expected, "IPv6 {name}");
        }
    }
}
