//! The two ends of a flow: as they are worked with, and as they are kept.

use alloc::boxed::Box;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, SocketAddr, SocketAddrV4};

use hashbrown::Equivalent;

/// The two ends of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FourTuple {
    /// This side.
    pub local: SocketAddr,
    /// The peer.
    pub remote: SocketAddr,
}

impl Hash for FourTuple {
    /// Of IPv4 in two words; every segment that comes is looked up by it.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { local, remote } = self;
        match (local.ip(), remote.ip()) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                state.write_u64(u64::from(u32::from(local)) << 32 | u64::from(u32::from(remote)));
            }
            (local, remote) => (local, remote).hash(state),
        }
        state.write_u32(u32::from(local.port()) << 16 | u32::from(remote.port()));
    }
}

/// A [`FourTuple`] as flows and tables keep it: of IPv4 in 16 bytes rather than 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends(Kept);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    V4(SocketAddrV4, SocketAddrV4),
    Other(Box<FourTuple>),
}

impl Ends {
    /// Both.
    #[must_use]
    pub fn tuple(&self) -> FourTuple {
        match &self.0 {
            Kept::V4(local, remote) => {
                FourTuple { local: (*local).into(), remote: (*remote).into() }
            }
            Kept::Other(tuple) => **tuple,
        }
    }

    /// This side.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        match &self.0 {
            Kept::V4(local, _) => (*local).into(),
            Kept::Other(tuple) => tuple.local,
        }
    }

    /// The ports of this side and of the peer.
    #[must_use]
    pub fn ports(&self) -> (u16, u16) {
        match &self.0 {
            Kept::V4(local, remote) => (local.port(), remote.port()),
            Kept::Other(tuple) => (tuple.local.port(), tuple.remote.port()),
        }
    }

    /// The peer.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        match &self.0 {
            Kept::V4(_, remote) => (*remote).into(),
            Kept::Other(tuple) => tuple.remote,
        }
    }
}

impl From<FourTuple> for Ends {
    fn from(tuple: FourTuple) -> Self {
        match tuple {
            FourTuple { local: SocketAddr::V4(local), remote: SocketAddr::V4(remote) } => {
                Self(Kept::V4(local, remote))
            }
            other => Self(Kept::Other(Box::new(other))),
        }
    }
}

impl Hash for Ends {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tuple().hash(state);
    }
}

impl Equivalent<Ends> for FourTuple {
    fn equivalent(&self, ends: &Ends) -> bool {
        *self == ends.tuple()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hashbrown::HashMap;

    #[test]
    fn ends_are_found_by_the_four_tuple_and_small() {
        let v4 = |port: u16| SocketAddr::from(([10, 0, 0, 1], port));
        let v6 = |port: u16| SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], port));
        let tuples = [(v4(1), v4(2)), (v4(2), v4(1)), (v6(1), v6(2)), (v6(2), v6(1))]
            .map(|(local, remote)| FourTuple { local, remote });
        let table: HashMap<Ends, FourTuple> = tuples.iter().map(|&t| (t.into(), t)).collect();
        assert_eq!(table.len(), tuples.len());
        assert!(tuples.iter().all(|t| table.get(t) == Some(t)));
        assert_eq!(size_of::<Ends>(), 16);
    }
}
