//! Joining of packets that arrive: what one packet costs the stack is paid once for many.
//!
//! **Owns** the buffer that payloads of neighbouring packets are copied into, one behind the other,
//! so that the reader of the stream gets them in one piece. **Invariants**: packets come out in the
//! order in which they came in; what may be joined is `wire`'s to say ([`Run`]), so that gaps,
//! marks, changed windows and options stay visible; what is given out pins at most four times its
//! length. **Leaves out** waiting for more: whoever reads says when nothing waits.

use bytes::{Bytes, BytesMut};
use manypath_base::Payload;
use manypath_wire::{Checksum, Datagram, Run, tcp_checksum_holds};
use smallvec::SmallVec;

use crate::buffers::{ReceiveBuffers, packet_of};

/// A header of this many bytes needs no memory of its own in a [`Datagram`].
const SHORT: usize = 104;

/// Makes datagrams of packets.
#[derive(Debug)]
pub(crate) struct Joiner {
    buffers: ReceiveBuffers,
    /// What may be continued, with its payload.
    held: Option<(Run, BytesMut)>,
}

impl Joiner {
    pub(crate) fn new() -> Self {
        Self { buffers: ReceiveBuffers::new(Run::MAX_LEN), held: None }
    }

    /// Takes a packet in; what it does not continue goes to `out`, and itself where nothing can
    /// continue it.
    pub(crate) fn push(&mut self, packet: &[u8], checksum: Checksum, out: &mut Vec<Datagram>) {
        let intact = is_intact(packet, checksum);
        if let Some((run, payload)) = &mut self.held
            && intact
            && let Some(range) = run.take(packet, packet.len())
        {
            payload.extend_from_slice(&packet[range]);
            return;
        }
        self.flush(out);
        let run = if intact { Run::begin(packet, packet.len()) } else { None };
        if let Some(run) = run.filter(Run::is_open) {
            let mut payload = self.buffers.take();
            payload.extend_from_slice(&packet[run.payload_at()]);
            self.held = Some((run, payload));
        } else {
            // Summed once, it need not be again.
            out.push(alone(packet, if intact { Checksum::Offloaded } else { checksum }));
        }
    }

    /// Takes in what came joined already, or is not to be touched.
    pub(crate) fn pass(&mut self, datagram: Datagram, out: &mut Vec<Datagram>) {
        self.flush(out);
        out.push(datagram);
    }

    /// Gives out what is held.
    pub(crate) fn flush(&mut self, out: &mut Vec<Datagram>) {
        let Some((run, mut payload)) = self.held.take() else { return };
        let bytes = packet_of(&mut payload, Run::MAX_LEN);
        self.buffers.give_back(payload);
        let gso_mss = run.gso_mss();
        let header = run.into_header();
        let (payload, checksum) = (bytes.into(), Checksum::Offloaded);
        out.push(Datagram { header, payload, gso_mss, checksum });
    }
}

fn is_intact(packet: &[u8], checksum: Checksum) -> bool {
    match checksum {
        Checksum::Offloaded => true,
        Checksum::Complete => tcp_checksum_holds(packet),
    }
}

/// A packet as it is.
fn alone(packet: &[u8], checksum: Checksum) -> Datagram {
    let (header, payload) = if packet.len() <= SHORT {
        (SmallVec::from_slice(packet), Payload::new())
    } else {
        (SmallVec::new(), Bytes::copy_from_slice(packet).into())
    };
    Datagram { header, payload, gso_mss: None, checksum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use manypath_base::{Mss, SeqNum};
    use manypath_wire::{Ecn, Flags, IpHeader, Options, Packet, Segment, Transport};
    use std::net::Ipv4Addr;

    const MSS: usize = 1_000;

    fn packet(seq: u32, change: impl FnOnce(&mut Packet, &mut Segment)) -> Vec<u8> {
        let addr = |host| Ipv4Addr::new(10, 0, 0, host).into();
        let (src, dst) = (addr(1), addr(2));
        let ip = IpHeader { src, dst, ecn: Ecn::Ect0, dscp: 0, hop_limit: 64, flow_label: 0 };
        let payload = (0..MSS).map(|n| u8::try_from(n % 251).expect("below 251"));
        let mut segment = Segment {
            src_port: 1,
            dst_port: 2,
            seq: SeqNum(seq),
            ack: SeqNum(1),
            flags: Flags::ACK,
            window: 100,
            urgent: 0,
            options: Options::default(),
            payload: Bytes::from_iter(payload).into(),
        };
        let mut packet = Packet { ip, transport: segment.clone().into() };
        change(&mut packet, &mut segment);
        packet.transport = segment.into();
        let d = packet.emit(None, Checksum::Complete);
        [&d.header[..], &d.payload.to_vec()].concat()
    }

    fn plain(seq: u32) -> Vec<u8> {
        packet(seq, |_, _| ())
    }

    fn join(packets: &[Vec<u8>]) -> Vec<Datagram> {
        let (mut joiner, mut out) = (Joiner::new(), Vec::new());
        packets.iter().for_each(|packet| joiner.push(packet, Checksum::Complete, &mut out));
        joiner.flush(&mut out);
        out
    }

    fn segment(d: &Datagram) -> Segment {
        match Packet::parse(d).expect("it is whole").transport {
            Transport::Tcp(segment) => *segment,
            Transport::Icmp(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn neighbours_become_one_piece() {
        let out = join(&[plain(1), plain(1_001), plain(2_001)]);
        assert_eq!((out.len(), out[0].gso_mss), (1, Some(Mss(1_000))));
        let whole = segment(&out[0]);
        assert_eq!((whole.seq, whole.payload.len()), (SeqNum(1), 3 * MSS));
        assert_eq!(whole.payload.chunks().len(), 1, "the reader gets it at once");
        let each = segment(&join(&[plain(1)])[0]).payload.to_vec();
        assert_eq!(whole.payload.to_vec(), each.repeat(3));
    }

    /// What a sender must hear of, or a receiver answer to, is not joined away.
    #[test]
    fn gaps_marks_and_changed_windows_stay_visible() {
        let changes: [(&str, Vec<u8>); 7] = [
            ("a gap", plain(2_001)),
            ("the same again", plain(1)),
            ("a mark", packet(1_001, |packet, _| packet.ip.ecn = Ecn::Ce)),
            ("a window", packet(1_001, |_, segment| segment.window = 99)),
            ("an acknowledgment", packet(1_001, |_, segment| segment.ack = SeqNum(2))),
            ("another flow", packet(1_001, |_, segment| segment.src_port = 3)),
            ("a reduced window", packet(1_001, |_, segment| segment.flags |= Flags::CWR)),
        ];
        for (what, second) in changes {
            let out = join(&[plain(1), second]);
            assert_eq!(out.len(), 2, "{what}");
            assert_eq!(segment(&out[0]), segment(&join(&[plain(1)])[0]), "{what}");
        }
    }

    #[test]
    fn damaged_packets_are_left_as_they_are() {
        let mut damaged = plain(1_001);
        *damaged.last_mut().expect("not empty") ^= 1;
        let out = join(&[plain(1), damaged, plain(2_001)]);
        assert_eq!(out.len(), 3);
        assert!(Packet::parse(&out[1]).is_err(), "and refused by the stack");
    }

    #[test]
    fn a_push_is_given_out_without_waiting_and_short_ones_have_no_memory_of_their_own() {
        let (mut joiner, mut out) = (Joiner::new(), Vec::new());
        joiner.push(&packet(1, |_, s| s.flags |= Flags::PSH), Checksum::Complete, &mut out);
        assert_eq!(out.len(), 1);
        let ack = packet(1, |_, s| s.payload = Payload::new());
        joiner.push(&ack, Checksum::Complete, &mut out);
        assert_eq!((out.len(), out[1].payload.len()), (2, 0));
        assert_eq!(segment(&out[1]).flags, Flags::ACK);
    }
}
