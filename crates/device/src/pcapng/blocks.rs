//! The blocks of pcapng that carry packets, decoded.

use std::sync::Arc;

use bytes::Bytes;
use manypath_base::{len32, usize32};

use super::fields::{Fields, Order};
use super::link::ip_packet;
use super::{CapturedPacket, Direction};

pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(super) const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
/// The packet block of the drafts before 2009.
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
pub(super) const ENHANCED_PACKET: u32 = 6;

pub(super) const OPT_COMMENT: u16 = 1;
pub(super) const SHB_USERAPPL: u16 = 4;
pub(super) const IF_NAME: u16 = 2;
pub(super) const IF_DESCRIPTION: u16 = 3;
pub(super) const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
pub(super) const EPB_FLAGS: u16 = 2;

/// The two lowest bits of `EPB_FLAGS`.
pub(super) const FLAG_INBOUND: u32 = 1;
pub(super) const FLAG_OUTBOUND: u32 = 2;

const NANOS_PER_SECOND: u128 = 1_000_000_000;
/// Microseconds: the default, as a negative power of ten.
const RESOLUTION_MICROS: u8 = 6;

/// What a block says.
#[derive(Debug)]
pub(super) enum Content {
    Packet(CapturedPacket),
    /// A packet that is not IP, or of a link type that is not known.
    NotIp,
    /// Nothing about packets.
    Other,
}

/// One section: the interfaces that its packets refer to.
#[derive(Debug)]
pub(super) struct Section {
    order: Order,
    /// Interfaces in the sections before this one.
    before: usize,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Debug)]
struct Interface {
    name: Arc<str>,
    link_type: u16,
    snap_len: u32,
    resolution: u8,
    offset_seconds: i64,
}

impl Section {
    pub(super) fn first(order: Order) -> Self {
        Self { order, before: 0, interfaces: Vec::new() }
    }

    /// The section that follows this one.
    pub(super) fn next(&self, order: Order) -> Self {
        Self { order, before: self.before + self.interfaces.len(), interfaces: Vec::new() }
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// Decodes the body of a block; an error says what is wrong with it.
    pub(super) fn block(&mut self, kind: u32, body: Bytes) -> Result<Content, &'static str> {
        let fields = Fields::new(body, self.order);
        match kind {
            INTERFACE_DESCRIPTION => {
                self.interfaces.push(interface(fields).ok_or("interface block is too short")?);
                Ok(Content::Other)
            }
            ENHANCED_PACKET => self.enhanced(fields),
            SIMPLE_PACKET => self.simple(fields),
            OLD_PACKET => self.old(fields),
            _ => Ok(Content::Other),
        }
    }

    fn enhanced(&self, mut fields: Fields) -> Result<Content, &'static str> {
        let id = fields.u32().ok_or(TOO_SHORT)?;
        self.stamped(id, fields)
    }

    fn old(&self, mut fields: Fields) -> Result<Content, &'static str> {
        let id = fields.u16().ok_or(TOO_SHORT)?;
        let _drops = fields.u16().ok_or(TOO_SHORT)?;
        self.stamped(u32::from(id), fields)
    }

    /// What the two kinds of packet blocks with a timestamp share.
    fn stamped(&self, id: u32, mut fields: Fields) -> Result<Content, &'static str> {
        let interface = self.interface(id)?;
        let (high, low) = (fields.u32().ok_or(TOO_SHORT)?, fields.u32().ok_or(TOO_SHORT)?);
        let (captured, _original) =
            (fields.u32().ok_or(TOO_SHORT)?, fields.u32().ok_or(TOO_SHORT)?);
        let data = fields.take_padded(usize32(captured)).ok_or(TOO_LONG)?;
        let timestamp = interface.nanos(u64::from(high) << 32 | u64::from(low));
        Ok(self.packet(id, interface, timestamp, &data, fields))
    }

    /// A simple packet block belongs to the first interface and has neither a timestamp nor the
    /// captured length: that is the shorter of the original and the snap length.
    fn simple(&self, mut fields: Fields) -> Result<Content, &'static str> {
        let interface = self.interface(0)?;
        let original = fields.u32().ok_or(TOO_SHORT)?;
        let snap_len = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        let data = fields.take(usize32(original.min(snap_len))).ok_or(TOO_LONG)?;
        let no_options = Fields::new(Bytes::new(), self.order);
        Ok(self.packet(0, interface, 0, &data, no_options))
    }

    fn interface(&self, id: u32) -> Result<&Interface, &'static str> {
        self.interfaces.get(usize32(id)).ok_or("packet of an interface that was not described")
    }

    fn packet(
        &self,
        id: u32,
        interface: &Interface,
        timestamp_nanos: u64,
        frame: &Bytes,
        options: Fields,
    ) -> Content {
        let Some(data) = ip_packet(interface.link_type, frame) else { return Content::NotIp };
        let mut packet = CapturedPacket {
            interface: len32(self.before + usize32(id)),
            interface_name: Arc::clone(&interface.name),
            timestamp_nanos,
            direction: None,
            data,
            comment: None,
        };
        for (code, value) in options.options() {
            match code {
                OPT_COMMENT => packet.comment = Some(String::from_utf8_lossy(&value).into_owned()),
                EPB_FLAGS => packet.direction = direction(self.order, &value),
                _ => {}
            }
        }
        Content::Packet(packet)
    }
}

const TOO_SHORT: &str = "packet block is too short";
const TOO_LONG: &str = "packet is longer than its block";

fn direction(order: Order, flags: &Bytes) -> Option<Direction> {
    match order.u32(*flags.first_chunk()?) & 3 {
        FLAG_INBOUND => Some(Direction::Inbound),
        FLAG_OUTBOUND => Some(Direction::Outbound),
        _ => None,
    }
}

fn interface(mut fields: Fields) -> Option<Interface> {
    let (link_type, _reserved) = (fields.u16()?, fields.u16()?);
    let snap_len = fields.u32()?;
    let order = fields.order();
    let mut out = Interface {
        name: Arc::from(""),
        link_type,
        snap_len,
        resolution: RESOLUTION_MICROS,
        offset_seconds: 0,
    };
    for (code, value) in fields.options() {
        match (code, value.first(), value.first_chunk()) {
            (IF_NAME, _, _) => out.name = String::from_utf8_lossy(&value).into(),
            (IF_TSRESOL, Some(&resolution), _) => out.resolution = resolution,
            (IF_TSOFFSET, _, Some(&bytes)) => out.offset_seconds = order.u64(bytes).cast_signed(),
            _ => {}
        }
    }
    Some(out)
}

impl Interface {
    /// A timestamp in units of the interface as nanoseconds since 1970; what lies beyond the range
    /// of 64 bits becomes its end.
    fn nanos(&self, units: u64) -> u64 {
        let exponent = u32::from(self.resolution & 0x7f);
        let units = u128::from(units);
        let nanos = if self.resolution & 0x80 != 0 {
            (units * NANOS_PER_SECOND) >> exponent
        } else if exponent <= 9 {
            units * 10_u128.pow(9 - exponent)
        } else {
            10_u128.checked_pow(exponent - 9).map_or(0, |divisor| units / divisor)
        };
        let offset = i128::from(self.offset_seconds) * 1_000_000_000;
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(offset).max(0);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_of_every_resolution_become_nanoseconds() {
        let nanos = |resolution, offset_seconds, units| {
            let name = Arc::from("");
            Interface { name, link_type: 1, snap_len: 0, resolution, offset_seconds }.nanos(units)
        };
        assert_eq!(nanos(6, 0, 7), 7_000);
        assert_eq!(nanos(9, 0, 7), 7);
        assert_eq!(nanos(12, 0, 7_999), 7);
        assert_eq!(nanos(127, 0, u64::MAX), 0);
        assert_eq!(nanos(0, 0, 2), 2_000_000_000);
        assert_eq!(nanos(0, 0, u64::MAX), u64::MAX);
        assert_eq!(nanos(0x80 | 10, 0, 1024), 1_000_000_000);
        assert_eq!(nanos(0xff, 0, u64::MAX), 0);
        assert_eq!(nanos(9, 3, 1), 3_000_000_001);
        assert_eq!(nanos(9, -3, 1), 0);
        assert_eq!(nanos(9, i64::MAX, u64::MAX), u64::MAX);
    }
}
