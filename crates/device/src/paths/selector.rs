//! By what the network knows to which path a packet belongs, where all paths have the same
//! addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What packets of a path have that those of the others have not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathSelector {
    /// They leave by an interface, or by one of its next hops.
    Interface {
        /// The interface.
        name: String,
        /// To whom they go there.
        next_hop: NextHop,
    },
    /// A firewall mark: what it means, rules of this host say (`ip rule add fwmark ..`).
    Mark(u32),
    /// A flow label, 20 bits (RFC 6437): networks that spread flows over equal paths (ECMP) take
    /// each label for a flow. IPv4 has none.
    FlowLabel(u32),
    /// A differentiated services codepoint, six bits (RFC 2474 §3), for networks that route by it.
    Dscp(u8),
}

impl PathSelector {
    /// The interface, where it is one.
    pub(super) fn interface(&self) -> Option<&str> {
        match self {
            Self::Interface { name, .. } => Some(name),
            Self::Mark(_) | Self::FlowLabel(_) | Self::Dscp(_) => None,
        }
    }

    /// The statement of nftables that gives it to packets; none where routes do it.
    pub(super) fn statement(&self) -> Option<Vec<String>> {
        match self {
            Self::Interface { .. } => None,
            Self::Mark(mark) => Some(vec![format!("meta mark set {mark:#x}")]),
            Self::FlowLabel(label) => Some(vec![format!("ip6 flowlabel set {label:#x}")]),
            Self::Dscp(dscp) => {
                Some(["ip", "ip6"].map(|ip| format!("{ip} dscp set {dscp:#x}")).to_vec())
            }
        }
    }
}

/// To whom packets go that leave by an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// The gateway of the interface's default route; where it has none the destinations are taken
    /// for neighbours.
    Found,
    /// This gateway.
    Gateway(IpAddr),
    /// The neighbour with this link address.
    Mac(Mac),
}

/// A link address of six bytes (IEEE 802 MAC-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A text is no link address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a link address, as 02:00:00:00:00:01")]
pub struct NotAMac;

impl FromStr for Mac {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let byte = |text: &str| u8::from_str_radix(text, 16).map_err(|_| NotAMac);
        let bytes: Vec<u8> = text.split(':').map(byte).collect::<Result<_, _>>()?;
        bytes.try_into().map(Self).map_err(|_| NotAMac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_address_is_read_as_it_is_written() {
        let mac = Mac([2, 0, 0, 0xab, 0, 1]);
        assert_eq!(mac.to_string(), "02:00:00:ab:00:01");
        assert_eq!(mac.to_string().parse(), Ok(mac));
        for wrong in ["02:00:00:ab:00", "02:00:00:ab:00:01:02", "10.1.0.1", "fe80::1", ""] {
            assert_eq!(wrong.parse::<Mac>(), Err(NotAMac), "{wrong}");
        }
    }
}
