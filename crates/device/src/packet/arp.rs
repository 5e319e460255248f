//! Questions and answers about link addresses in IPv4 (RFC 826).

use std::net::Ipv4Addr;

use super::frame::{self, BROADCAST};
use crate::Mac;

/// Ethernet, IPv4, and the lengths of their addresses.
const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// A message: who says something, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arp {
    /// Whether it asks.
    pub(super) asks: bool,
    /// Addresses of whoever speaks.
    pub(super) sender: (Mac, Ipv4Addr),
    /// The address asked for, or that of whoever asked.
    pub(super) target: Ipv4Addr,
}

impl Arp {
    /// `None` if it is not about IPv4 on Ethernet, or ends too early.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (kind, rest) = body.split_first_chunk::<6>()?;
        let (operation, rest) = rest.split_first_chunk::<2>()?;
        let (&mac, rest) = rest.split_first_chunk::<6>()?;
        let (&sender, rest) = rest.split_first_chunk::<4>()?;
        let target = *rest.get(6..)?.first_chunk::<4>()?;
        let asks = match u16::from_be_bytes(*operation) {
            REQUEST => true,
            REPLY => false,
            _ => return None,
        };
        (*kind == KIND).then_some(Self {
            asks,
            sender: (Mac(mac), sender.into()),
            target: target.into(),
        })
    }

    /// The whole frame, to `to`, or to everyone.
    pub(super) fn frame(&self, to: Option<Mac>) -> Vec<u8> {
        let (mac, sender) = self.sender;
        let operation = if self.asks { REQUEST } else { REPLY };
        let link = frame::header(to.unwrap_or(BROADCAST), mac, frame::ARP);
        let target_mac = to.unwrap_or(Mac([0; 6]));
        [
            &link[..],
            &KIND,
            &operation.to_be_bytes(),
            &mac.0,
            &sender.octets(),
            &target_mac.0,
            &self.target.octets(),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);

    #[test]
    fn a_message_is_written_and_read() {
        let sender = (MAC, Ipv4Addr::new(10, 0, 0, 7));
        let arp = Arp { asks: true, sender, target: Ipv4Addr::new(10, 0, 0, 1) };
        let frame = arp.frame(None);
        assert_eq!(frame[..6], [0xff; 6]);
        let (kind, body) = frame::parse(&frame).expect("it is a frame");
        assert_eq!((kind, Arp::parse(body)), (frame::ARP, Some(arp)));
        assert!((0..body.len()).all(|n| Arp::parse(&body[..n]).is_none()), "cut short");
    }
}
