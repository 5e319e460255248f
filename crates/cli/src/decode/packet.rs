//! From the bytes of a capture to a packet.

use bytes::{Bytes, BytesMut};
use manypath_base::len64;
use manypath_device::CapturedPacket;
use manypath_wire::{Checksum, Datagram, Error, Packet, Transport};

/// Reads a captured packet. Payload that the capture's snap length cut off is taken as zeros, so
/// that lengths are right; TCP checksums are not looked at.
///
/// # Errors
/// Why it is no packet; [`Error::Truncated`] too where a header was cut off.
pub(crate) fn read(captured: &CapturedPacket) -> Result<Packet, Error> {
    let datagram = Datagram {
        payload: restored(&captured.data).into(),
        checksum: Checksum::Offloaded,
        ..Datagram::default()
    };
    let cut_off = captured.data.len() < ip_len(&captured.data).unwrap_or(0);
    let packet = Packet::parse(&datagram).map_err(|error| match error {
        Error::NotTcp => error,
        // Zeros in the place of a header make any error.
        _ if cut_off => Error::Truncated,
        _ => error,
    })?;
    if let Transport::Tcp(segment) = &packet.transport {
        let headers = ip_len(&captured.data).unwrap_or(0).saturating_sub(segment.payload.len());
        if headers > captured.data.len() {
            return Err(Error::Truncated);
        }
    }
    Ok(packet)
}

/// The packet in the length that its IP header tells.
fn restored(data: &Bytes) -> Bytes {
    match ip_len(data) {
        Some(len) if len > data.len() => {
            let mut whole = BytesMut::from(&data[..]);
            whole.resize(len, 0);
            whole.freeze()
        }
        _ => data.clone(),
    }
}

fn ip_len(data: &[u8]) -> Option<usize> {
    let at = |i: usize| Some(usize::from(u16::from_be_bytes([*data.get(i)?, *data.get(i + 1)?])));
    match data.first()? >> 4 {
        4 => at(2),
        6 => at(4).map(|payload| payload + 40),
        _ => None,
    }
}

/// Seconds with six digits between two moments in nanoseconds.
pub(crate) fn seconds(from: u64, to: u64) -> String {
    let micros = to.saturating_sub(from) / 1_000;
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// The length of a segment's payload as an offset counts it.
pub(crate) fn payload_len(segment: &manypath_wire::Segment) -> u64 {
    len64(segment.payload.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::testing::{Side, captured, segment};

    #[test]
    fn a_payload_cut_off_by_the_snap_length_keeps_its_length() {
        let mut packet = captured(Side::A, &segment().payload(&[7; 900]));
        packet.data.truncate(100);
        let Transport::Tcp(segment) = read(&packet).expect("readable").transport else {
            panic!("it is TCP");
        };
        assert_eq!(segment.payload.len(), 900);
    }

    #[test]
    fn a_header_cut_off_is_an_error() {
        let mut packet = captured(Side::A, &segment().payload(&[7; 900]));
        packet.data.truncate(30);
        assert_eq!(read(&packet), Err(Error::Truncated));
    }

    #[test]
    fn seconds_keep_their_zeros() {
        assert_eq!(seconds(1_000, 2_000_031_000), "2.000030");
    }
}
