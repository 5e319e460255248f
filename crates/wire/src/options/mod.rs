//! The TCP options of one segment (RFC 9293 §3.1), parsed afresh for each segment. One file for
//! each option: its picture, `parse` and `emit`.
//!
//! **Owns** the list: order, alignment, what counts where an option stands twice. **Invariants**:
//! `len` is what `emit` writes; whatever was parsed can be emitted again. **Leaves out** whether
//! an option may stand on this segment.

mod fast_open;
mod mss;
mod sack;
mod timestamps;
mod user_timeout;
mod window_scale;

pub use sack::SackBlocks;
pub use timestamps::Timestamps;
pub use user_timeout::UserTimeout;

use smallvec::SmallVec;

use crate::{Error, MptcpOptions, Reader, Writer};

/// End of option list: nothing but padding follows.
const END: u8 = 0;
/// No operation: padding between options.
const NOP: u8 = 1;

/// An option that the stack does not know, kept so that it can be shown and sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOption {
    /// Kind.
    pub kind: u8,
    /// What follows kind and length.
    pub body: SmallVec<[u8; 38]>,
}

/// The options of one segment. Where an option stands twice, the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Maximum segment size (RFC 9293 §3.2), only on SYN.
    pub mss: Option<u16>,
    /// Window scale shift (RFC 7323 §2.2), only on SYN.
    pub window_scale: Option<u8>,
    /// SACK permitted (RFC 2018 §2), only on SYN.
    pub sack_permitted: bool,
    /// Timestamps (RFC 7323 §3.2).
    pub timestamps: Option<Timestamps>,
    /// SACK blocks (RFC 2018 §3).
    pub sack: SackBlocks,
    /// User timeout (RFC 5482).
    pub user_timeout: Option<UserTimeout>,
    /// Fast Open cookie, empty to ask for one (RFC 7413 §4.1.1).
    pub fast_open: Option<SmallVec<[u8; 16]>>,
    /// MPTCP (RFC 8684 §3).
    pub mptcp: MptcpOptions,
    /// Options that the stack does not know.
    pub unknown: SmallVec<[UnknownOption; 0]>,
}

impl Options {
    /// Bytes that a TCP header has for options: the data offset counts 15 words at most, of
    /// which the fixed header takes five (RFC 9293 §3.1).
    pub const MAX_LEN: usize = 40;

    /// Reads the option space of a TCP header.
    ///
    /// An option whose length does not fit its kind, or its MPTCP subtype, is kept as unknown:
    /// a segment must stay readable where a middlebox damaged one option (RFC 8684 §3.7 then
    /// falls back), and RFC 7413 §4.1.1 asks to ignore such options.
    ///
    /// # Errors
    /// [`Error::BadOption`] if an option's length is below 2 or goes beyond the header, so that
    /// nobody can say where the next one starts (RFC 9293 §3.1, MUST-7).
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut r = Reader::new(bytes);
        while let Ok(kind) = r.u8() {
            match kind {
                END => break,
                NOP => {}
                kind => options.read(kind, body(&mut r).ok_or(Error::BadOption)?),
            }
        }
        Ok(options)
    }

    fn read(&mut self, kind: u8, body: &[u8]) {
        if self.read_known(kind, body).is_err() {
            self.unknown.push(UnknownOption { kind, body: SmallVec::from_slice(body) });
        }
    }

    fn read_known(&mut self, kind: u8, body: &[u8]) -> Result<(), Error> {
        match kind {
            mss::KIND => keep_first(&mut self.mss, Reader::whole(body, mss::parse)?),
            window_scale::KIND => {
                keep_first(&mut self.window_scale, Reader::whole(body, window_scale::parse)?);
            }
            sack::PERMITTED_KIND => {
                Reader::whole(body, |_| Ok(()))?;
                self.sack_permitted = true;
            }
            sack::KIND => {
                let blocks = Reader::whole(body, sack::parse)?;
                if self.sack.is_empty() {
                    self.sack = blocks;
                }
            }
            Timestamps::KIND => {
                keep_first(&mut self.timestamps, Reader::whole(body, Timestamps::parse)?);
            }
            UserTimeout::KIND => {
                keep_first(&mut self.user_timeout, Reader::whole(body, UserTimeout::parse)?);
            }
            fast_open::KIND => {
                keep_first(&mut self.fast_open, Reader::whole(body, fast_open::parse)?);
            }
            MptcpOptions::KIND => self.mptcp.read(body),
            _ => return Err(Error::BadOption),
        }
        Ok(())
    }

    /// Bytes that [`Options::emit`] writes: a multiple of 4, above [`Options::MAX_LEN`] if the
    /// options do not fit.
    #[must_use]
    pub fn len(&self) -> usize {
        let (aligned, tight) = self.sizes();
        if aligned <= Self::MAX_LEN { aligned } else { tight }
    }

    /// Whether there is no option.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes with each option padded to words, and with padding only at the end.
    fn sizes(&self) -> (usize, usize) {
        let (mut aligned, mut tight) = (0, 0);
        self.for_each_len(|len| {
            aligned += len.next_multiple_of(4);
            tight += len;
        });
        (aligned, tight.next_multiple_of(4))
    }

    /// The length of every option. SACK permitted and timestamps count as one: together they
    /// fill three words.
    fn for_each_len(&self, mut f: impl FnMut(usize)) {
        let Self {
            mss,
            window_scale,
            sack_permitted,
            timestamps,
            sack,
            user_timeout,
            fast_open,
            mptcp,
            unknown,
        } = self;
        let permitted = if *sack_permitted { sack::PERMITTED_LEN } else { 0 };
        mss.iter().for_each(|_| f(mss::LEN));
        f(permitted + timestamps.map_or(0, |_| Timestamps::LEN));
        window_scale.iter().for_each(|_| f(window_scale::LEN));
        fast_open.iter().for_each(|cookie| f(fast_open::wire_len(cookie)));
        user_timeout.iter().for_each(|_| f(UserTimeout::LEN));
        mptcp.for_each_len(&mut f);
        if !sack.is_empty() {
            f(sack::wire_len(sack));
        }
        unknown.iter().for_each(|option| f(2 + option.body.len()));
    }

    /// Writes all options: what SYNs carry first, then timestamps, MPTCP, SACK and the unknown.
    ///
    /// Each is padded to whole words, as receivers' fast paths expect. **Choice:** where that
    /// takes more than [`Options::MAX_LEN`] bytes they stand close together instead, so that
    /// timestamps fit beside an ADD_ADDR with an IPv6 address and a port.
    ///
    /// # Errors
    /// [`Error::NoSpace`] if `w` has less room than [`Options::len`].
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), Error> {
        let start = w.len();
        let aligned = self.sizes().0 <= Self::MAX_LEN;
        let mut w = OptionWriter { w, aligned };
        self.emit_handshake(&mut w)?;
        self.mptcp.emit(&mut w)?;
        if !self.sack.is_empty() {
            let len = sack::wire_len(&self.sack);
            w.pad_then_put(sack::KIND, len, |w| sack::emit(&self.sack, w))?;
        }
        for UnknownOption { kind, body } in &self.unknown {
            w.put_then_pad(*kind, 2 + body.len(), |w| w.bytes(body))?;
        }
        let written = w.w.len() - start;
        w.w.fill(written.next_multiple_of(4) - written, NOP)
    }

    /// Everything that stands in front of MPTCP.
    fn emit_handshake(&self, w: &mut OptionWriter<'_, '_>) -> Result<(), Error> {
        if let Some(mss) = self.mss {
            w.put_then_pad(mss::KIND, mss::LEN, |w| mss::emit(mss, w))?;
        }
        if self.sack_permitted {
            let pad = self.timestamps.is_none();
            w.put(pad, sack::PERMITTED_KIND, sack::PERMITTED_LEN, |_| Ok(()))?;
        }
        if let Some(timestamps) = self.timestamps {
            let pad = !self.sack_permitted;
            w.put(pad, Timestamps::KIND, Timestamps::LEN, |w| timestamps.emit(w))?;
        }
        if let Some(shift) = self.window_scale {
            w.pad_then_put(window_scale::KIND, window_scale::LEN, |w| {
                window_scale::emit(shift, w)
            })?;
        }
        if let Some(cookie) = &self.fast_open {
            let len = fast_open::wire_len(cookie);
            w.put_then_pad(fast_open::KIND, len, |w| fast_open::emit(cookie, w))?;
        }
        if let Some(timeout) = self.user_timeout {
            w.put_then_pad(UserTimeout::KIND, UserTimeout::LEN, |w| timeout.emit(w))?;
        }
        Ok(())
    }
}

/// The body of an option that starts with its length, or `None` if that length is impossible.
fn body<'a>(r: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = usize::from(r.u8().ok()?).checked_sub(2)?;
    r.bytes(len).ok()
}

/// The first of several counts.
pub(crate) fn keep_first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

/// Writes kinds, lengths and the padding between options.
pub(crate) struct OptionWriter<'a, 'b> {
    w: &'a mut Writer<'b>,
    aligned: bool,
}

impl OptionWriter<'_, '_> {
    /// Writes an option of `len` bytes, kind and length included, so that it ends on a word.
    fn pad_then_put(
        &mut self,
        kind: u8,
        len: usize,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.put(true, kind, len, body)
    }

    /// Writes an option of `len` bytes, kind and length included, and pads behind it.
    pub(crate) fn put_then_pad(
        &mut self,
        kind: u8,
        len: usize,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.put(false, kind, len, body)?;
        self.pad(len)
    }

    fn put(
        &mut self,
        pad: bool,
        kind: u8,
        len: usize,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if pad {
            self.pad(len)?;
        }
        let start = self.w.len();
        self.w.u8(kind)?;
        self.w.u8(u8::try_from(len).map_err(|_| Error::NoSpace)?)?;
        body(self.w)?;
        debug_assert_eq!(self.w.len() - start, len, "kind {kind} says another length");
        Ok(())
    }

    fn pad(&mut self, len: usize) -> Result<(), Error> {
        if self.aligned { self.w.fill(len.next_multiple_of(4) - len, NOP) } else { Ok(()) }
    }
}
