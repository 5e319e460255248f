//! One line of text for a packet, much as tcpdump writes it: for captures and for test scripts.
//!
//! **Owns** `Display` of packets, segments and options. Keys are shown in full, because a capture
//! has them anyway; `Debug` hides them. **Leaves out** relative sequence numbers.

use core::fmt::{self, Display, Formatter};
use core::net::SocketAddr;

use manypath_base::Key;

use crate::{
    AddAddr, CapableFlags, Dss, DssNumber, FastClose, Flags, IcmpError, IcmpKind, MpCapable,
    MpFail, MpJoin, MpPrio, MpTcpRst, MptcpOptions, Options, Packet, RemoveAddr, Segment,
    Timestamps, Transport,
};

impl Display for Packet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { ip, transport } = self;
        match transport {
            Transport::Tcp(segment) => {
                let src = SocketAddr::new(ip.src, segment.src_port);
                let dst = SocketAddr::new(ip.dst, segment.dst_port);
                write!(f, "{src} > {dst}: {segment}")
            }
            Transport::Icmp(error) => write!(f, "{} > {}: {error}", ip.src, ip.dst),
        }
    }
}

impl Display for IcmpError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { kind, local, remote, seq } = self;
        match kind {
            IcmpKind::PacketTooBig { mtu } => write!(f, "ICMP packet too big, mtu {mtu}")?,
            IcmpKind::Unreachable => f.write_str("ICMP unreachable")?,
            IcmpKind::Refused => f.write_str("ICMP refused")?,
        }
        write!(f, ", about {local} > {remote} seq {seq:?}")
    }
}

impl Display for Flags {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("none");
        }
        let letters = "FSRP.UEW".chars().enumerate();
        letters.filter(|(bit, _)| self.0 >> bit & 1 == 1).try_for_each(|(_, c)| write!(f, "{c}"))
    }
}

impl Display for Segment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Flags [{}], seq {:?}", self.flags, self.seq)?;
        let len = self.payload.len();
        if len > 0 {
            let end = self.seq.wrapping_add(manypath_base::len32(len));
            write!(f, ":{end:?}")?;
        }
        if self.flags.has(Flags::ACK) {
            write!(f, ", ack {:?}", self.ack)?;
        }
        write!(f, ", win {}", self.window)?;
        if self.flags.has(Flags::URG) {
            write!(f, ", urg {}", self.urgent)?;
        }
        if !self.options.is_empty() {
            write!(f, ", options [{}]", self.options)?;
        }
        write!(f, ", length {len}")
    }
}

impl Display for Options {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut list = List { f, first: true };
        list.add(self.mss, |f, mss| write!(f, "mss {mss}"))?;
        list.add(self.sack_permitted.then_some(()), |f, ()| f.write_str("sackOK"))?;
        list.add(self.timestamps, |f, Timestamps { value, echo }| {
            write!(f, "TS val {value} ecr {echo}")
        })?;
        list.add(self.window_scale, |f, shift| write!(f, "wscale {shift}"))?;
        list.add(self.fast_open.as_ref(), |f, cookie| match cookie.len() {
            0 => f.write_str("tfo cookiereq"),
            _ => write!(f, "tfo cookie {}", Hex(cookie)),
        })?;
        list.add(self.user_timeout, |f, timeout| {
            write!(f, "uto {}{}", timeout.value, if timeout.minutes { "min" } else { "s" })
        })?;
        describe_mptcp(&self.mptcp, &mut list)?;
        list.add(self.sack.first(), |f, _| {
            write!(f, "sack {} ", self.sack.len())?;
            self.sack.iter().try_for_each(|b| write!(f, "{{{:?}:{:?}}}", b.start, b.end))
        })?;
        self.unknown.iter().try_for_each(|option| {
            list.add(Some(option), |f, option| {
                write!(f, "unknown-{} {}", option.kind, Hex(&option.body))
            })
        })
    }
}

fn describe_mptcp(mptcp: &MptcpOptions, list: &mut List<'_, '_>) -> fmt::Result {
    let MptcpOptions {
        capable,
        join,
        dss,
        add_addr,
        remove_addr,
        prio,
        fail,
        fastclose,
        reset,
        unknown,
    } = mptcp;
    list.add(capable.as_ref(), |f, o| write!(f, "mptcp {o}"))?;
    list.add(join.as_ref(), |f, o| write!(f, "mptcp {o}"))?;
    list.add(dss.as_ref(), |f, o| write!(f, "mptcp {o}"))?;
    list.add(add_addr.as_ref(), |f, o| write!(f, "mptcp {o}"))?;
    list.add(remove_addr.as_ref(), |f, o| write!(f, "mptcp {o}"))?;
    list.add(prio.as_ref(), |f, o| write!(f, "mptcp {o}"))?;
    list.add(fail.as_ref(), |f, o| write!(f, "mptcp {o}"))?;
    list.add(fastclose.as_ref(), |f, o| write!(f, "mptcp {o}"))?;
    list.add(reset.as_ref(), |f, o| write!(f, "mptcp {o}"))?;
    unknown.iter().try_for_each(|body| {
        list.add(Some(body), |f, body| write!(f, "mptcp unknown {}", Hex(body)))
    })
}

impl Display for MpCapable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "capable v{}", self.version())?;
        let names = [
            (CapableFlags::CHECKSUM, "csum"),
            (CapableFlags::EXTENSIBILITY, "ext"),
            (CapableFlags::DENY_JOIN_ID0, "deny-join-id0"),
        ];
        let mut set = names.iter().filter(|(flag, _)| self.flags().has(*flag));
        set.try_for_each(|(_, name)| write!(f, " {name}"))?;
        match self {
            Self::Syn { .. } => Ok(()),
            Self::SynAck { sender_key, .. } => write!(f, " {{{}}}", Hex(&sender_key.0)),
            Self::Ack { sender_key: Key(a), receiver_key: Key(b), data, .. } => {
                write!(f, " {{{},{}}}", Hex(a), Hex(b))?;
                let Some((len, checksum)) = data else { return Ok(()) };
                write!(f, " len {len}")?;
                checksum.map_or(Ok(()), |c| write!(f, " csum {c:#06x}"))
            }
        }
    }
}

impl Display for MpJoin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let backup = |backup: &bool| if *backup { " backup" } else { "" };
        match self {
            Self::Syn { backup: b, addr_id, token, nonce } => write!(
                f,
                "join{} id {} token {:#010x} nonce {nonce:#010x}",
                backup(b),
                addr_id.0,
                token.0
            ),
            Self::SynAck { backup: b, addr_id, hmac, nonce } => write!(
                f,
                "join{} id {} hmac {} nonce {nonce:#010x}",
                backup(b),
                addr_id.0,
                Hex(hmac)
            ),
            Self::Ack { hmac } => write!(f, "join hmac {}", Hex(hmac)),
        }
    }
}

impl Display for DssNumber {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Four(n) => write!(f, "{n}"),
            Self::Eight(n) => write!(f, "{n}"),
        }
    }
}

impl Display for Dss {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { data_fin, data_ack, mapping } = self;
        f.write_str(if *data_fin { "dss fin" } else { "dss" })?;
        if let Some(ack) = data_ack {
            write!(f, " ack {ack}")?;
        }
        let Some(mapping) = mapping else { return Ok(()) };
        write!(f, " seq {} subseq {} len {}", mapping.dsn, mapping.ssn, mapping.len)?;
        mapping.checksum.map_or(Ok(()), |c| write!(f, " csum {c:#06x}"))
    }
}

impl Display for AddAddr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { id, addr, port, hmac } = self;
        let echo = if hmac.is_none() { " echo" } else { "" };
        write!(f, "add-addr{echo} id {} ", id.0)?;
        match port {
            None => write!(f, "{addr}")?,
            Some(port) => write!(f, "{}", SocketAddr::new(*addr, *port))?,
        }
        hmac.map_or(Ok(()), |hmac| write!(f, " hmac {}", Hex(&hmac)))
    }
}

impl Display for RemoveAddr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("rem-addr id")?;
        self.ids.iter().try_for_each(|id| write!(f, " {}", id.0))
    }
}

impl Display for MpPrio {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.backup { "prio backup" } else { "prio" })?;
        self.addr_id.map_or(Ok(()), |id| write!(f, " id {}", id.0))
    }
}

impl Display for MpFail {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "fail seq {:?}", self.dsn)
    }
}

impl Display for FastClose {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "fast-close key {}", Hex(&self.receiver_key.0))
    }
}

impl Display for MpTcpRst {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let transient = if self.transient { " transient" } else { "" };
        write!(f, "tcprst{transient} reason {:?}", self.reason)
    }
}

/// Puts commas between what is there.
struct List<'a, 'b> {
    f: &'a mut Formatter<'b>,
    first: bool,
}

impl<'b> List<'_, 'b> {
    fn add<T>(
        &mut self,
        item: Option<T>,
        write: impl FnOnce(&mut Formatter<'b>, T) -> fmt::Result,
    ) -> fmt::Result {
        let Some(item) = item else { return Ok(()) };
        if !core::mem::take(&mut self.first) {
            self.f.write_str(",")?;
        }
        write(self.f, item)
    }
}

/// Bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{UnknownOption, UserTimeout};
    use alloc::string::ToString;
    use manypath_base::{AddrId, DataSeq, SeqNum};

    #[test]
    fn options_that_are_rare_in_captures() {
        let options = Options {
            sack: [SeqNum(1)..SeqNum(2), SeqNum(5)..SeqNum(9)].into_iter().collect(),
            user_timeout: Some(UserTimeout { minutes: true, value: 5 }),
            fast_open: Some([0xab, 0xcd, 0, 1].as_slice().into()),
            unknown: [UnknownOption { kind: 253, body: [0xf9, 0x89].as_slice().into() }]
                .into_iter()
                .collect(),
            mptcp: MptcpOptions {
                fail: Some(MpFail { dsn: DataSeq(7) }),
                prio: Some(MpPrio { backup: true, addr_id: Some(AddrId(3)) }),
                unknown: [[0xf0, 0x01].as_slice().into()].into_iter().collect(),
                ..MptcpOptions::default()
            },
            ..Options::default()
        };
        assert_eq!(
            options.to_string(),
            "tfo cookie 0xabcd0001,uto 5min,mptcp prio backup id 3,mptcp fail seq 7,\
             mptcp unknown 0xf001,sack 2 {1:2}{5:9},unknown-253 0xf989"
        );
        let ask = Options { fast_open: Some(smallvec::SmallVec::new()), ..Options::default() };
        assert_eq!(ask.to_string(), "tfo cookiereq");
    }

    #[test]
    fn icmp_errors_name_the_packet_they_are_about() {
        let error = IcmpError {
            kind: IcmpKind::PacketTooBig { mtu: 1280 },
            local: SocketAddr::from(([10, 0, 0, 1], 1)),
            remote: SocketAddr::from(([10, 0, 0, 2], 80)),
            seq: SeqNum(9),
        };
        let expected = "ICMP packet too big, mtu 1280, about 10.0.0.1:1 > 10.0.0.2:80 seq 9";
        assert_eq!(error.to_string(), expected);
    }
}
