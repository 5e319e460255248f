//! What is done in software where the device does not do it: cutting super-segments and completing
//! checksums. The work is the wire crate's; here is only the decision.

use manypath_wire::{Checksum, Datagram, Segments, segment};

use crate::Offload;

/// Whether a device that does `offload` cannot take the datagram as it is.
pub(crate) fn is_needed(datagram: &Datagram, offload: Offload) -> bool {
    let complete = datagram.checksum == Checksum::Complete;
    // One complete checksum is of no use for several packets, and the kernel complains of it.
    let cut = datagram.gso_mss.is_some() && (complete || !offload.tso);
    cut || (!complete && !offload.checksum)
}

/// The packets as they are on a wire: cut, with complete checksums. Slices are shared, not copied.
pub(crate) fn wire_packets(datagram: &Datagram) -> Segments {
    segment(datagram.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use manypath_base::Mss;

    #[test]
    fn software_does_what_the_device_does_not() {
        let super_segment = Some(Mss(1000));
        let cases = [
            (None, Checksum::Complete, Offload::NONE, false),
            (None, Checksum::Offloaded, Offload::NONE, true),
            (None, Checksum::Offloaded, Offload::FULL, false),
            (super_segment, Checksum::Offloaded, Offload::FULL, false),
            (super_segment, Checksum::Complete, Offload::FULL, true),
            (super_segment, Checksum::Offloaded, Offload { tso: false, checksum: true }, true),
        ];
        for (gso_mss, checksum, offload, expected) in cases {
            let datagram = Datagram { gso_mss, checksum, ..Datagram::default() };
            assert_eq!(is_needed(&datagram, offload), expected, "{datagram:?} {offload:?}");
        }
    }
}
