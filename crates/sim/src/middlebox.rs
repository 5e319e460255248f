//! What sits on a link and changes packets.

use std::fmt::Debug;

use manypath_wire::{Checksum, Datagram, MpCapable, MptcpOptions, Packet, Transport};

/// Changes packets of one link, or drops them.
pub trait Middlebox: Debug + Send {
    /// The packet that goes on, or `None`.
    fn pass(&mut self, datagram: Datagram) -> Option<Datagram>;
}

/// The middleboxes that can be named in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meddling {
    /// Takes every multipath option off.
    StripOptions,
    /// Drops SYNs that ask for multipath.
    DropCapableSyns,
    /// Drops everything that joins a connection.
    DropJoins,
}

impl Meddling {
    /// One at work.
    #[must_use]
    pub fn build(self) -> Box<dyn Middlebox> {
        Box::new(self)
    }
}

impl Middlebox for Meddling {
    fn pass(&mut self, datagram: Datagram) -> Option<Datagram> {
        let Ok(mut packet) = Packet::parse(&datagram) else { return Some(datagram) };
        let Transport::Tcp(segment) = &mut packet.transport else { return Some(datagram) };
        let options = &mut segment.options.mptcp;
        match self {
            Self::StripOptions => *options = MptcpOptions::default(),
            Self::DropCapableSyns if matches!(options.capable, Some(MpCapable::Syn { .. })) => {
                return None;
            }
            Self::DropJoins if options.join.is_some() => return None,
            Self::DropCapableSyns | Self::DropJoins => return Some(datagram),
        }
        Some(packet.emit(None, Checksum::Offloaded))
    }
}
