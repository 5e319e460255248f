//! Identifiers. Each meaning is a type of its own.

use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id! {
    /// A path as its owner names it: a path of one flow, or a subflow seen by a scheduler.
    PathId, u32
}
id! {
    /// A subflow of one connection, numbered from 0 in the order of creation and never reused.
    SubflowId, u32
}
id! {
    /// A network interface of the host that runs the stack: where packets leave and come in.
    IfaceId, u32
}
id! {
    /// Address identifier of RFC 8684 §3.4: 0 is the address of the initial subflow.
    AddrId, u8
}
id! {
    /// Locally unique name of a connection: the top 32 bits of SHA-256 of a key (RFC 8684 §3.2).
    Token, u32
}

impl From<SubflowId> for PathId {
    fn from(id: SubflowId) -> Self {
        Self(id.0)
    }
}

impl From<PathId> for SubflowId {
    fn from(id: PathId) -> Self {
        Self(id.0)
    }
}

/// A key of RFC 8684 §3.1. It authenticates every later subflow, so `Debug` hides it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub [u8; 8]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_key_never_shows_in_debug_output() {
        assert_eq!(format!("{:?}", Key([0xab; 8])), "Key(hidden)");
    }
}
