//! How a segment is written in a script.
//!
//! `[flags] [start:end] [ack N] [win N] [sack a:b ..] [mss N] [sackOK] [wscale N] [ts V E] [uto S]
//! [fo COOKIE|-] [ect0|ce]`,
//! flags being letters of `SFRPUEW` (E for ECE, W for CWR) or `.`; numbers are relative to the
//! initial ones, windows in bytes. The range of a SYN is as long as its payload.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::ops::Range;

use manypath_base::SeqNum;
use manypath_wire::{Ecn, Flags, Segment};

/// A segment as it is written; what is `None` was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) flags: String,
    pub(super) range: Option<Range<u32>>,
    pub(super) ack: Option<u32>,
    pub(super) win: Option<u32>,
    pub(super) sack: Vec<Range<u32>>,
    pub(super) mss: Option<u16>,
    pub(super) sack_ok: bool,
    pub(super) wscale: Option<u8>,
    /// `ts` alone means "present"; numbers are compared where they are given.
    pub(super) ts: Option<Option<(u32, u32)>>,
    /// User timeout in seconds.
    pub(super) uto: Option<u16>,
    /// Fast Open cookie; `-` is an empty one.
    pub(super) cookie: Option<Vec<u8>>,
    pub(super) ecn: Ecn,
}

/// A packet that was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) segment: Segment,
    pub(super) ecn: Ecn,
}

fn number<T: core::str::FromStr>(word: Option<&&str>) -> T {
    let text = word.unwrap_or_else(|| panic!("a number is missing"));
    text.parse().unwrap_or_else(|_| panic!("{text:?} is not a number that fits"))
}

/// Bytes in hexadecimal digits, or `-` for none.
fn cookie(word: Option<&&str>) -> Vec<u8> {
    let digits = word.unwrap_or_else(|| panic!("a cookie is missing"));
    let byte = |i| u8::from_str_radix(&digits[i..i + 2], 16).expect("hexadecimal digits");
    (0..digits.len() - digits.len() % 2).step_by(2).map(byte).collect()
}

/// The digits of `bytes`.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        write!(out, "{b:02x}").expect("a string takes everything");
        out
    })
}

fn range(word: &str) -> Option<Range<u32>> {
    let (start, end) = word.split_once(':')?;
    Some(start.parse().ok()?..end.parse().ok()?)
}

fn is_flags(word: &str) -> bool {
    word.chars().all(|c| "SFRPUEW.".contains(c))
}

impl Line {
    pub(super) fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut line = Self::default();
        let mut i = 0;
        while let Some(word) = words.get(i) {
            i += line.take(word, &words[i + 1..]) + 1;
        }
        line
    }

    /// Reads one word; returns how many of `rest` belong to it.
    fn take(&mut self, word: &str, rest: &[&str]) -> usize {
        match word {
            "ack" => self.ack = Some(number(rest.first())),
            "win" => self.win = Some(number(rest.first())),
            "mss" => self.mss = Some(number(rest.first())),
            "uto" => self.uto = Some(number(rest.first())),
            "fo" => self.cookie = Some(cookie(rest.first())),
            "wscale" => self.wscale = Some(number(rest.first())),
            "sackOK" => {
                self.sack_ok = true;
                return 0;
            }
            "ect0" | "ce" => {
                self.ecn = if word == "ce" { Ecn::Ce } else { Ecn::Ect0 };
                return 0;
            }
            "sack" => {
                self.sack = rest.iter().map_while(|w| range(w)).collect();
                return self.sack.len();
            }
            "ts" => {
                let given = rest.first().is_some_and(|w| w.parse::<u32>().is_ok());
                self.ts = Some(given.then(|| (number(rest.first()), number(rest.get(1)))));
                return if given { 2 } else { 0 };
            }
            word if is_flags(word) => {
                self.flags = String::from(word);
                return 0;
            }
            word => {
                self.range =
                    Some(range(word).unwrap_or_else(|| panic!("{word:?} means nothing here")));
                return 0;
            }
        }
        1
    }

    pub(super) fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    /// The control bits meant: everything but a first SYN and a bare RST acknowledges.
    pub(super) fn wire_flags(&self) -> Flags {
        let mut flags = Flags::default();
        let letters = [
            ('S', Flags::SYN),
            ('F', Flags::FIN),
            ('R', Flags::RST),
            ('U', Flags::URG),
            ('E', Flags::ECE),
            ('W', Flags::CWR),
        ];
        for (letter, flag) in letters {
            if self.has(letter) {
                flags |= flag;
            }
        }
        if self.has('.') || self.ack.is_some() || !(self.has('S') || self.has('R')) {
            flags |= Flags::ACK;
        }
        flags
    }

    /// What `segment` looks like in this notation, with the fields that `self` gives; equal texts
    /// mean a match. Segments with SYN show all their options.
    pub(super) fn show(&self, sent: &Sent, isn: SeqNum, peer: SeqNum, shift: u8) -> Self {
        let Sent { segment, ecn } = sent;
        let relative = |seq: SeqNum, isn: SeqNum| seq.0.wrapping_sub(isn.0);
        let start = relative(segment.seq, isn);
        let len = manypath_base::len32(segment.payload.len());
        let (syn, options) = (segment.flags.has(Flags::SYN), &segment.options);
        let range = start..start.wrapping_add(len);
        let bare = len == 0 && !segment.flags.has(Flags::FIN) && self.range.is_none();
        let sack = options.sack.iter().map(|b| relative(b.start, peer)..relative(b.end, peer));
        Self {
            flags: self.show_flags(segment.flags),
            range: (!bare).then_some(range),
            ack: self.ack.map(|_| relative(segment.ack, peer)),
            win: self.win.map(|_| u32::from(segment.window) << if syn { 0 } else { shift }),
            sack: sack.collect(),
            mss: options.mss.filter(|_| syn),
            sack_ok: syn && options.sack_permitted,
            wscale: options.window_scale.filter(|_| syn),
            ts: options
                .timestamps
                .filter(|_| syn || self.ts.is_some())
                .map(|t| self.ts.flatten().map(|_| (t.value, t.echo))),
            uto: options.user_timeout.map(|uto| uto.value),
            cookie: options.fast_open.as_ref().map(|cookie| cookie.to_vec()),
            ecn: *ecn,
        }
    }

    /// The flags in this line's own spelling where they mean the same.
    fn show_flags(&self, flags: Flags) -> String {
        let push = self.has('P') && !flags.has(Flags::PSH);
        if flags.without(Flags::PSH) == self.wire_flags() && !push {
            return self.flags.clone();
        }
        let mut out = String::new();
        write!(out, "{flags}").expect("a string takes everything");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_they_are_written() {
        assert_eq!(Line::parse("S. ack 1").wire_flags(), Flags::SYN | Flags::ACK);
        assert_eq!(Line::parse("S").wire_flags(), Flags::SYN);
        assert_eq!(Line::parse("1:2").wire_flags(), Flags::ACK);
        assert_eq!(Line::parse("R").wire_flags(), Flags::RST);
    }
}
