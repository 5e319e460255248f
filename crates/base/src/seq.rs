//! Sequence numbers: points on a circle as they are on the wire, and the unwrapped offsets that
//! everything inside the stack counts with.
//!
//! **Invariant**: the circle types have no order ([`SeqNum`], [`DataSeq`]); the offset types
//! ([`SubflowOffset`], [`DataOffset`]) have one, never wrap, and cannot be mixed with each other.
//! An offset counts from the initial sequence number: 0 is the SYN (or the octet that
//! MP_CAPABLE occupies), 1 is the first byte of data.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

macro_rules! circle {
    ($(#[$doc:meta])* $name:ident, $int:ty, $signed:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(pub $int);

        impl $name {
            /// Whether `self` lies less than half the circle before `other`.
            #[must_use]
            pub const fn before(self, other: Self) -> bool {
                matches!(other.0.wrapping_sub(self.0), 1..=<$signed>::MAX_DISTANCE)
            }

            /// The point `n` further on the circle.
            #[must_use]
            pub const fn wrapping_add(self, n: $int) -> Self {
                Self(self.0.wrapping_add(n))
            }

            /// Bytes from `start` forward to `self`, or `None` if `self` lies behind `start`.
            #[must_use]
            pub const fn offset_from(self, start: Self) -> Option<$int> {
                let n = self.0.wrapping_sub(start.0);
                if n <= <$signed>::MAX_DISTANCE { Some(n) } else { None }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

/// Half a circle, as a constant that the macro can name.
trait Half<T> {
    const MAX_DISTANCE: T;
}
impl Half<u32> for i32 {
    const MAX_DISTANCE: u32 = 0x7fff_ffff;
}
impl Half<u64> for i64 {
    const MAX_DISTANCE: u64 = 0x7fff_ffff_ffff_ffff;
}

circle! {
    /// A TCP sequence number: a point on a circle of 2^32 (RFC 9293 §3.4).
    /// Not `Ord` on purpose: order exists only between points less than 2^31 apart.
    SeqNum, u32, i32
}
circle! {
    /// A data sequence number: a point on a circle of 2^64 (RFC 8684 §3.3.1).
    DataSeq, u64, i64
}

macro_rules! offset {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// The initial sequence number itself.
            pub const ZERO: Self = Self(0);

            /// `self - other`, or 0 where `other` lies ahead.
            #[must_use]
            pub const fn saturating_sub(self, other: Self) -> u64 {
                self.0.saturating_sub(other.0)
            }

            /// The larger of two offsets.
            #[must_use]
            pub const fn max(self, other: Self) -> Self {
                if self.0 >= other.0 { self } else { other }
            }

            /// The smaller of two offsets.
            #[must_use]
            pub const fn min(self, other: Self) -> Self {
                if self.0 <= other.0 { self } else { other }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl Add<u64> for $name {
            type Output = Self;
            fn add(self, n: u64) -> Self {
                Self(self.0 + n)
            }
        }

        impl AddAssign<u64> for $name {
            fn add_assign(&mut self, n: u64) {
                self.0 += n;
            }
        }

        /// Distance; the right side must not lie ahead (checked in debug builds).
        impl Sub for $name {
            type Output = u64;
            fn sub(self, other: Self) -> u64 {
                debug_assert!(self >= other, "{self:?} - {other:?}");
                self.0.saturating_sub(other.0)
            }
        }

        impl From<$name> for u64 {
            fn from(v: $name) -> u64 {
                v.0
            }
        }
    };
}

offset! {
    /// Bytes from the initial sequence number of one TCP flow, unwrapped; the SSN of a DSS
    /// mapping is its low half (RFC 8684 §3.3.1).
    SubflowOffset
}
offset! {
    /// Bytes from the initial data sequence number of a connection, unwrapped.
    DataOffset
}

impl SubflowOffset {
    /// The sequence number on the wire of this offset, given the initial one.
    #[must_use]
    pub fn seq(self, isn: SeqNum) -> SeqNum {
        isn.wrapping_add(self.low())
    }

    /// The low 32 bits, as a DSS mapping carries them.
    #[must_use]
    pub const fn low(self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// The offset nearest to `near` whose sequence number is `seq`; `None` if that would lie
    /// before the initial one.
    #[must_use]
    pub fn from_seq(seq: SeqNum, isn: SeqNum, near: Self) -> Option<Self> {
        Self::from_low(seq.0.wrapping_sub(isn.0), near)
    }

    /// The offset nearest to `near` with these low 32 bits (a subflow sequence number of a DSS
    /// mapping); `None` if that would lie before the initial one.
    #[must_use]
    pub fn from_low(low: u32, near: Self) -> Option<Self> {
        near.0.checked_add_signed(i64::from(low.wrapping_sub(near.low()).cast_signed())).map(Self)
    }
}

impl DataOffset {
    /// The data sequence number on the wire of this offset, given the initial one.
    #[must_use]
    pub const fn seq(self, idsn: DataSeq) -> DataSeq {
        idsn.wrapping_add(self.0)
    }

    /// The offset nearest to `near` whose 8-byte number is `seq`; `None` if it would lie before
    /// the initial one.
    #[must_use]
    pub fn from_seq(seq: DataSeq, idsn: DataSeq, near: Self) -> Option<Self> {
        let offset = seq.0.wrapping_sub(idsn.0);
        near.0.checked_add_signed(offset.wrapping_sub(near.0).cast_signed()).map(Self)
    }

    /// The offset nearest to `near` whose number has these low 32 bits: how a 4-byte data
    /// sequence number or DATA_ACK is read (RFC 8684 §3.3.1).
    #[must_use]
    pub fn from_seq32(seq: u32, idsn: DataSeq, near: Self) -> Option<Self> {
        let expected = near.seq(idsn).0;
        let [a, b, c, d, ..] = expected.to_le_bytes();
        let delta = seq.wrapping_sub(u32::from_le_bytes([a, b, c, d])).cast_signed();
        near.0.checked_add_signed(i64::from(delta)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn before_is_defined_for_less_than_half_the_circle() {
        assert!(SeqNum(u32::MAX).before(SeqNum(0)));
        assert!(!SeqNum(0).before(SeqNum(0)));
        assert!(!SeqNum(0).before(SeqNum(0x8000_0000)));
        assert!(DataSeq(u64::MAX).before(DataSeq(5)));
        assert_eq!(SeqNum(3).offset_from(SeqNum(u32::MAX)), Some(4));
        assert_eq!(SeqNum(u32::MAX).offset_from(SeqNum(3)), None);
    }

    #[test]
    fn numbers_before_the_initial_one_have_no_offset() {
        assert_eq!(SubflowOffset::from_seq(SeqNum(9), SeqNum(10), SubflowOffset(1)), None);
        assert_eq!(DataOffset::from_seq(DataSeq(9), DataSeq(10), DataOffset(1)), None);
        assert_eq!(DataOffset::from_seq32(9, DataSeq(10), DataOffset(1)), None);
    }

    proptest! {
        #[test]
        fn an_offset_survives_the_wire(
            isn: u32, idsn: u64, at in 0u64..1 << 60, drift in -0x3fff_ffffi64..0x3fff_ffff,
        ) {
            let near = at.saturating_add_signed(drift);
            let seq = SubflowOffset(at).seq(SeqNum(isn));
            prop_assert_eq!(
                SubflowOffset::from_seq(seq, SeqNum(isn), SubflowOffset(near)),
                Some(SubflowOffset(at))
            );
            let data = DataOffset(at).seq(DataSeq(idsn));
            prop_assert_eq!(
                DataOffset::from_seq(data, DataSeq(idsn), DataOffset(near)),
                Some(DataOffset(at))
            );
            let low = u32::try_from(data.0 & 0xffff_ffff).unwrap();
            prop_assert_eq!(
                DataOffset::from_seq32(low, DataSeq(idsn), DataOffset(near)),
                Some(DataOffset(at))
            );
        }
    }
}
