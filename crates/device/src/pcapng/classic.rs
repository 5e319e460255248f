//! The older pcap format: one interface, records without options.

use std::sync::Arc;

use bytes::Bytes;

use super::CapturedPacket;
use super::fields::{Fields, Order};
use super::link::ip_packet;

/// Length of the file header behind the magic number.
pub(super) const HEADER_LEN: usize = 20;
/// Length of a record's header.
pub(super) const RECORD_LEN: usize = 16;

const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;

/// What the file header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classic {
    order: Order,
    nanos_per_unit: u64,
    link_type: u16,
}

/// The header of one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    timestamp_nanos: u64,
    /// Bytes of the frame in the file.
    pub(super) captured: u32,
}

impl Classic {
    /// Recognises the magic number; `None` if it is another format's.
    pub(super) fn recognise(magic: [u8; 4]) -> Option<Self> {
        let orders = [Order::Little, Order::Big];
        orders.into_iter().find_map(|order| match order.u32(magic) {
            MAGIC_MICROS => Some(Self { order, nanos_per_unit: 1000, link_type: 0 }),
            MAGIC_NANOS => Some(Self { order, nanos_per_unit: 1, link_type: 0 }),
            _ => None,
        })
    }

    /// Reads the rest of the file header. The upper bits of the link type's field say how long
    /// the frame check sequence is.
    pub(super) fn with_header(self, header: Bytes) -> Option<Self> {
        let mut fields = Fields::new(header, self.order);
        fields.take(16)?;
        let [link_type, _] = split(fields.u32()?);
        Some(Self { link_type, ..self })
    }

    pub(super) fn record(&self, header: Bytes) -> Option<Record> {
        let mut fields = Fields::new(header, self.order);
        let (seconds, fraction) = (fields.u32()?, fields.u32()?);
        let nanos = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.nanos_per_unit;
        Some(Record { timestamp_nanos: nanos, captured: fields.u32()? })
    }

    pub(super) fn packet(&self, record: Record, frame: &Bytes) -> Option<CapturedPacket> {
        Some(CapturedPacket {
            interface: 0,
            interface_name: Arc::from(""),
            timestamp_nanos: record.timestamp_nanos,
            direction: None,
            data: ip_packet(self.link_type, frame)?,
            comment: None,
        })
    }
}

/// The lower and the upper half.
fn split(value: u32) -> [u16; 2] {
    let [a, b, c, d] = value.to_le_bytes();
    [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]
}
