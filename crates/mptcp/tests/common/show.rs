//! Segments of the endpoint as text, with relative numbers.

use std::fmt::Write as _;
use std::net::SocketAddr;

use manypath_wire::{DssNumber, Flags, MpCapable, MpJoin, MptcpOptions, Packet, Transport};

use super::options::identity;
use super::raw::{ISN, KEY, Raw};

/// Relative number of data.
fn relative(n: DssNumber, idsn: u64) -> u64 {
    match n {
        DssNumber::Four(low) => low.wrapping_sub(idsn as u32).into(),
        DssNumber::Eight(seq) => seq.wrapping_sub(idsn),
    }
}

impl Raw {
    /// What the endpoint has sent since it was last asked, as text.
    pub(crate) fn said(&mut self) -> Vec<String> {
        let out = std::mem::take(&mut self.out);
        out.iter().map(|packet| self.show(packet)).collect()
    }

    fn show(&self, packet: &Packet) -> String {
        let Transport::Tcp(s) = &packet.transport else { panic!("{packet}") };
        let to = SocketAddr::new(packet.ip.dst, s.dst_port);
        let from = SocketAddr::new(packet.ip.src, s.src_port);
        let n = self.subs.iter().position(|sub| (sub.from, sub.to) == (to, from));
        let isn = n.map_or(s.seq.0, |n| self.subs[n].isn);
        let mut text = n.map_or("new".to_owned(), |n| format!("#{n}"));
        for (flag, letter) in [(Flags::SYN, " S"), (Flags::FIN, " F"), (Flags::RST, " R")] {
            if s.flags.has(flag) {
                text.push_str(letter);
            }
        }
        if !s.payload.is_empty() {
            let start = s.seq.0.wrapping_sub(isn);
            write!(text, " {start}:{}", start + s.payload.len() as u32).unwrap();
        }
        if s.flags.has(Flags::ACK) {
            write!(text, " ack {}", s.ack.0.wrapping_sub(ISN)).unwrap();
        }
        if let Some(cookie) = &s.options.fast_open {
            write!(text, " fo {}", cookie.len()).unwrap();
        }
        text + &self.show_options(&s.options.mptcp)
    }

    fn show_options(&self, o: &MptcpOptions) -> String {
        let mut text = String::new();
        match o.capable {
            Some(MpCapable::Ack { data: Some((len, _)), .. }) => {
                write!(text, " keys len {len}").unwrap();
            }
            Some(MpCapable::Ack { .. }) => text.push_str(" keys"),
            Some(_) => text.push_str(" capable"),
            None => {}
        }
        match o.join {
            Some(MpJoin::Ack { .. }) => text.push_str(" join-ack"),
            Some(_) => text.push_str(" join"),
            None => {}
        }
        if let Some(dss) = &o.dss {
            text.push_str(" dss");
            if let Some(ack) = dss.data_ack {
                let wide = matches!(ack, DssNumber::Eight(_));
                let mark = if wide { "wide " } else { "" };
                write!(text, " {mark}ack {}", relative(ack, identity(KEY).1)).unwrap();
            }
            if let Some(m) = dss.mapping {
                let dsn = relative(m.dsn, identity(self.key).1);
                let fin = if dss.data_fin { " fin" } else { "" };
                write!(text, " map {dsn}@{}+{}{fin}", m.ssn, m.len).unwrap();
            }
        }
        if let Some(add) = o.add_addr {
            let what = if add.hmac.is_some() { "add" } else { "echo" };
            write!(text, " {what} {} {}", add.id.0, add.addr).unwrap();
            if let Some(port) = add.port {
                write!(text, ":{port}").unwrap();
            }
        }
        if let Some(remove) = &o.remove_addr {
            write!(text, " remove {:?}", remove.ids.iter().map(|i| i.0).collect::<Vec<_>>())
                .unwrap();
        }
        if let Some(prio) = o.prio {
            text.push_str(if prio.backup { " backup" } else { " regular" });
        }
        if let Some(fail) = o.fail {
            let at = fail.dsn.0.wrapping_sub(identity(KEY).1);
            write!(text, " fail {at}").unwrap();
        }
        if let Some(close) = o.fastclose {
            text.push_str(if close.receiver_key == KEY { " fastclose" } else { " ?" });
        }
        if let Some(reset) = o.reset {
            let transient = if reset.transient { " T" } else { "" };
            write!(text, " reason {}{transient}", u8::from(reset.reason)).unwrap();
        }
        text
    }
}
