//! Bounds-checked reading in either byte order.

use bytes::Bytes;

/// Byte order of a file or section: that of the host that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// What is left of a block. Every method returns `None` where too little is left.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    left: Bytes,
    order: Order,
}

impl Fields {
    pub(super) fn new(left: Bytes, order: Order) -> Self {
        Self { left, order }
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    pub(super) fn take(&mut self, n: usize) -> Option<Bytes> {
        (n <= self.left.len()).then(|| self.left.split_to(n))
    }

    /// `n` bytes and the padding to the next multiple of four, as far as it is there.
    pub(super) fn take_padded(&mut self, n: usize) -> Option<Bytes> {
        let out = self.take(n)?;
        let padding = n.next_multiple_of(4) - n;
        self.take(padding.min(self.left.len()))?;
        Some(out)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let order = self.order;
        self.array().map(|bytes| order.u16(bytes))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let order = self.order;
        self.array().map(|bytes| order.u32(bytes))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    /// The options that follow the fixed fields: code and value. What does not fit ends the list.
    pub(super) fn options(mut self) -> impl Iterator<Item = (u16, Bytes)> {
        std::iter::from_fn(move || {
            let (code, len) = (self.u16()?, self.u16()?);
            let value = self.take_padded(usize::from(len))?;
            (code != 0).then_some((code, value))
        })
    }
}
