//! MPTCP options (RFC 8684 §3): TCP option kind 30, one file for each subtype.
//!
//! ```text
//! +---------+--------+-------+---------------------+
//! | kind 30 | length |subtype| subtype's own data  |
//! +---------+--------+-------+---------------------+
//!                     4 bits
//! ```
//!
//! **Owns** the subtypes' forms. **Invariant**: an option of a form that its subtype does not have
//! is kept as unknown, whole, and makes nothing else unreadable. **Leaves out** keys, tokens and
//! HMACs beyond their bytes.

mod add_addr;
mod capable;
mod dss;
mod fail;
mod fastclose;
mod join;
mod prio;
mod remove_addr;
mod reset;

pub use add_addr::AddAddr;
pub use capable::{CapableFlags, MpCapable};
pub use dss::{Dss, DssMapping, DssNumber};
pub use fail::MpFail;
pub use fastclose::FastClose;
pub use join::MpJoin;
pub use prio::MpPrio;
pub use remove_addr::RemoveAddr;
pub use reset::{MpTcpRst, ResetReason};

use smallvec::SmallVec;

use crate::options::{OptionWriter, keep_first};
use crate::{Error, Reader};

/// The four bits that name an MPTCP option (RFC 8684 §7.2).
#[derive(Clone, Copy)]
enum Subtype {
    Capable,
    Join,
    Dss,
    AddAddr,
    RemoveAddr,
    Prio,
    Fail,
    FastClose,
    Reset,
}

impl Subtype {
    /// The subtype of an option body, if the stack knows it.
    fn of(body: &[u8]) -> Option<Self> {
        match body.first()? >> 4 {
            0x0 => Some(Self::Capable),
            0x1 => Some(Self::Join),
            0x2 => Some(Self::Dss),
            0x3 => Some(Self::AddAddr),
            0x4 => Some(Self::RemoveAddr),
            0x5 => Some(Self::Prio),
            0x6 => Some(Self::Fail),
            0x7 => Some(Self::FastClose),
            0x8 => Some(Self::Reset),
            _ => None,
        }
    }

    /// The first octet of the body: subtype and the four bits beside it.
    fn octet(self, low: u8) -> u8 {
        let code = match self {
            Self::Capable => 0x0,
            Self::Join => 0x1,
            Self::Dss => 0x2,
            Self::AddAddr => 0x3,
            Self::RemoveAddr => 0x4,
            Self::Prio => 0x5,
            Self::Fail => 0x6,
            Self::FastClose => 0x7,
            Self::Reset => 0x8,
        };
        code << 4 | low & LOW
    }
}

/// The four bits beside the subtype.
const LOW: u8 = 0x0f;

/// The MPTCP options of one segment: at most one of each subtype, the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MptcpOptions {
    /// MP_CAPABLE.
    pub capable: Option<MpCapable>,
    /// MP_JOIN.
    pub join: Option<MpJoin>,
    /// DSS.
    pub dss: Option<Dss>,
    /// ADD_ADDR.
    pub add_addr: Option<AddAddr>,
    /// REMOVE_ADDR.
    pub remove_addr: Option<RemoveAddr>,
    /// MP_PRIO.
    pub prio: Option<MpPrio>,
    /// MP_FAIL.
    pub fail: Option<MpFail>,
    /// MP_FASTCLOSE.
    pub fastclose: Option<FastClose>,
    /// MP_TCPRST.
    pub reset: Option<MpTcpRst>,
    /// Subtypes that the stack does not know, with everything behind kind and length.
    pub unknown: SmallVec<[SmallVec<[u8; 38]>; 0]>,
}

impl MptcpOptions {
    pub(crate) const KIND: u8 = 30;

    /// Whether there is no MPTCP option.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let mut empty = true;
        self.for_each_len(&mut |_| empty = false);
        empty
    }

    /// Whether there is more than DSS: a segment that only signals is no sign of congestion where
    /// it repeats an acknowledgment (RFC 8684 §4).
    #[must_use]
    pub fn signals(&self) -> bool {
        let (mut all, mut dss) = (0, 0);
        self.for_each_len(&mut |_| all += 1);
        self.dss.iter().for_each(|_| dss += 1);
        all > dss
    }

    /// Takes in one option: what follows kind and length.
    pub(crate) fn read(&mut self, body: &[u8]) {
        if self.read_known(body).is_err() {
            self.unknown.push(SmallVec::from_slice(body));
        }
    }

    fn read_known(&mut self, body: &[u8]) -> Result<(), Error> {
        match Subtype::of(body).ok_or(Error::BadOption)? {
            Subtype::Capable => {
                keep_first(&mut self.capable, Reader::whole(body, MpCapable::parse)?);
            }
            Subtype::Join => keep_first(&mut self.join, Reader::whole(body, MpJoin::parse)?),
            Subtype::Dss => keep_first(&mut self.dss, Reader::whole(body, Dss::parse)?),
            Subtype::AddAddr => {
                keep_first(&mut self.add_addr, Reader::whole(body, AddAddr::parse)?);
            }
            Subtype::RemoveAddr => {
                keep_first(&mut self.remove_addr, Reader::whole(body, RemoveAddr::parse)?);
            }
            Subtype::Prio => keep_first(&mut self.prio, Reader::whole(body, MpPrio::parse)?),
            Subtype::Fail => keep_first(&mut self.fail, Reader::whole(body, MpFail::parse)?),
            Subtype::FastClose => {
                keep_first(&mut self.fastclose, Reader::whole(body, FastClose::parse)?);
            }
            Subtype::Reset => keep_first(&mut self.reset, Reader::whole(body, MpTcpRst::parse)?),
        }
        Ok(())
    }

    /// The length of every option, kind and length included.
    pub(crate) fn for_each_len(&self, f: &mut impl FnMut(usize)) {
        let Self {
            capable,
            join,
            dss,
            add_addr,
            remove_addr,
            prio,
            fail,
            fastclose,
            reset,
            unknown,
        } = self;
        capable.iter().for_each(|o| f(o.wire_len()));
        join.iter().for_each(|o| f(o.wire_len()));
        dss.iter().for_each(|o| f(o.wire_len()));
        add_addr.iter().for_each(|o| f(o.wire_len()));
        remove_addr.iter().for_each(|o| f(o.wire_len()));
        prio.iter().for_each(|o| f(o.wire_len()));
        fail.iter().for_each(|_| f(MpFail::LEN));
        fastclose.iter().for_each(|_| f(FastClose::LEN));
        reset.iter().for_each(|_| f(MpTcpRst::LEN));
        unknown.iter().for_each(|body| f(2 + body.len()));
    }

    /// Writes every option, in the order of the subtypes.
    pub(crate) fn emit(&self, w: &mut OptionWriter<'_, '_>) -> Result<(), Error> {
        if let Some(o) = &self.capable {
            w.put_then_pad(Self::KIND, o.wire_len(), |w| o.emit(w))?;
        }
        if let Some(o) = &self.join {
            w.put_then_pad(Self::KIND, o.wire_len(), |w| o.emit(w))?;
        }
        if let Some(o) = &self.dss {
            w.put_then_pad(Self::KIND, o.wire_len(), |w| o.emit(w))?;
        }
        if let Some(o) = &self.add_addr {
            w.put_then_pad(Self::KIND, o.wire_len(), |w| o.emit(w))?;
        }
        if let Some(o) = &self.remove_addr {
            w.put_then_pad(Self::KIND, o.wire_len(), |w| o.emit(w))?;
        }
        if let Some(o) = &self.prio {
            w.put_then_pad(Self::KIND, o.wire_len(), |w| o.emit(w))?;
        }
        if let Some(o) = &self.fail {
            w.put_then_pad(Self::KIND, MpFail::LEN, |w| o.emit(w))?;
        }
        if let Some(o) = &self.fastclose {
            w.put_then_pad(Self::KIND, FastClose::LEN, |w| o.emit(w))?;
        }
        if let Some(o) = &self.reset {
            w.put_then_pad(Self::KIND, MpTcpRst::LEN, |w| o.emit(w))?;
        }
        for body in &self.unknown {
            w.put_then_pad(Self::KIND, 2 + body.len(), |w| w.bytes(body))?;
        }
        Ok(())
    }
}
