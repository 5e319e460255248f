//! Quantities as people write them: `12Mbps`, `50ms`, `100packets`.
//!
//! **Owns** their forms. **Invariants**: decimal fractions are read exactly, into integers.

use std::fmt;
use std::time::Duration;

use manypath_base::Rate;
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error as _, IntoDeserializer as _, SeqAccess, Visitor};

use crate::{Limit, LinkConfig, MILLION};

/// Bytes of a packet, where a quantity counts packets.
pub(crate) const PACKET: u64 = 1_500;

/// Splits `1.5ms` into 1,500,000,000 parts of a thousand millionth, and `ms`.
fn number(text: &str) -> Option<(u128, &str)> {
    let end =
        text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let digits = digits.replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    if whole.is_empty() || fraction.len() > 9 {
        return None;
    }
    let fraction: u128 = format!("{fraction:0<9}").parse().ok()?;
    Some((whole.parse::<u128>().ok()?.checked_mul(1_000_000_000)? + fraction, unit.trim()))
}

fn scaled(text: &str, units: &[(&str, u128)]) -> Option<u64> {
    let (parts, unit) = number(text)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    u64::try_from(parts.checked_mul(*factor)? / 1_000_000_000).ok()
}

/// A time: `10us`, `1.5ms`, `20s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

/// A rate: `12Mbps`, or `1000pps` of full packets; `none` is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speed(pub(crate) Option<Rate>);

/// An amount: `100B`, `64KB`, `2MB`, or KiB and MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// One amount, or several in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sizes(pub(crate) Vec<Size>);

/// A queue: an amount, `100packets`, or `1bdp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Fixed(Limit),
    /// Thousandths of a bandwidth-delay product.
    Bdp(u64),
}

/// A chance: `0.01`, `1%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chance(pub(crate) u32);

impl Room {
    /// The limit for a link of this rate and round trip.
    pub(crate) fn limit(self, rate: Option<Rate>, rtt: Duration) -> Limit {
        match (self, rate) {
            (Self::Fixed(limit), _) => limit,
            (Self::Bdp(_), None) => LinkConfig::default().limit,
            (Self::Bdp(thousandths), Some(rate)) => {
                let Limit::Bytes(bdp) = LinkConfig::bdp(rate, rtt) else { unreachable_bdp() };
                Limit::Bytes(bdp * thousandths / 1_000)
            }
        }
    }
}

fn unreachable_bdp() -> ! {
    unreachable!("a bandwidth-delay product is given in bytes")
}

impl Time {
    fn parse(text: &str) -> Option<Self> {
        let units = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];
        scaled(text, &units).map(|nanos| Self(Duration::from_nanos(nanos)))
    }
}

impl Speed {
    fn parse(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self(None));
        }
        let pps = u128::from(PACKET) * 8;
        let units = [
            ("bps", 1),
            ("kbps", 1_000),
            ("Mbps", 1_000_000),
            ("Gbps", 1_000_000_000),
            ("pps", pps),
        ];
        scaled(text, &units).filter(|&n| n >= 8).map(|n| Self(Some(Rate::from_bits_per_sec(n))))
    }
}

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let (ki, mi) = (1 << 10, 1 << 20);
        let units = [("B", 1), ("KB", 1_000), ("MB", 1_000_000), ("KiB", ki), ("MiB", mi)];
        scaled(text, &units).map(Self)
    }
}

impl Room {
    fn parse(text: &str) -> Option<Self> {
        if let Some(thousandths) = scaled(text, &[("bdp", 1_000)]) {
            return Some(Self::Bdp(thousandths));
        }
        if let Some(packets) = scaled(text, &[("packets", 1)]) {
            return Some(Self::Fixed(Limit::Packets(packets)));
        }
        Size::parse(text).map(|Size(bytes)| Self::Fixed(Limit::Bytes(bytes)))
    }
}

impl Chance {
    fn parse(text: &str) -> Option<Self> {
        let ppm = scaled(text, &[("", u128::from(MILLION)), ("%", u128::from(MILLION / 100))])?;
        u32::try_from(ppm).ok().filter(|&ppm| u64::from(ppm) <= MILLION).map(Self)
    }
}

macro_rules! from_text {
    ($name:ident, $expected:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                $name::parse(&text).ok_or_else(|| {
                    D::Error::custom(format!(concat!("expected ", $expected, ", found {:?}"), text))
                })
            }
        }
    };
}

from_text!(Time, "a time such as \"10ms\" or \"1.5s\"");
from_text!(Speed, "a rate such as \"12Mbps\", \"1000pps\" or \"none\"");
from_text!(Size, "an amount such as \"64KB\" or \"2MiB\"");
from_text!(Room, "a queue such as \"100packets\", \"64KB\" or \"1bdp\"");
from_text!(Chance, "a chance such as \"0.01\" or \"1%\"");

impl<'de> Deserialize<'de> for Sizes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Sizes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount such as \"64KB\", or a list of such")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Sizes, E> {
                Size::deserialize(text.into_deserializer()).map(|size| Sizes(vec![size]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Sizes, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Sizes)
            }
        }
        from.deserialize_any(OneOrMore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_one_or_a_list() {
        let read = |text| Sizes::deserialize(toml::de::ValueDeserializer::parse(text).unwrap());
        assert_eq!(read("\"64KB\"").unwrap(), Sizes(vec![Size(64_000)]));
        assert_eq!(read("[\"1B\", \"2KiB\"]").unwrap(), Sizes(vec![Size(1), Size(2_048)]));
        for text in ["\"64\"", "[\"1B\", \"2\"]", "64"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("an amount such as"), "{error}");
        }
    }

    #[test]
    fn quantities_are_read_exactly() {
        assert_eq!(Time::parse("1.5ms"), Some(Time(Duration::from_micros(1_500))));
        assert_eq!(
            Speed::parse("14.4Mbps"),
            Some(Speed(Some(Rate::from_bits_per_sec(14_400_000))))
        );
        assert_eq!(Speed::parse("1000pps"), Some(Speed(Some(Rate::from_bits_per_sec(12_000_000)))));
        assert_eq!(Speed::parse("none"), Some(Speed(None)));
        assert_eq!(Size::parse("375KB"), Some(Size(375_000)));
        assert_eq!(Room::parse("0.5bdp"), Some(Room::Bdp(500)));
        assert_eq!(Room::parse("100packets"), Some(Room::Fixed(Limit::Packets(100))));
        assert_eq!(Chance::parse("0.5%"), Some(Chance(5_000)));
        assert_eq!(Chance::parse("0.001"), Some(Chance(1_000)));
        for text in ["", "ms", "10", "1.2.3s", "-1s", "1 parsec"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
        assert_eq!(Chance::parse("2"), None);
    }
}
