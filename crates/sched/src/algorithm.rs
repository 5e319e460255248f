//! The algorithms by name, as users select them.

use alloc::boxed::Box;
use core::fmt;
use core::str::FromStr;

use manypath_base::{UnknownName, by_name};

use crate::{
    Blest, Ecf, Handover, LeastLinger, MinRtt, Redundant, RoundRobin, Scheduler, Sttf, Weighted,
};

/// A scheduling algorithm, not yet at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// [`MinRtt`]: the fastest path with room.
    LowestRtt,
    /// [`RoundRobin`]: paths take turns.
    RoundRobin,
    /// [`Blest`]: the fastest path, and slower ones only where they do not block it.
    Blest,
    /// [`Ecf`]: slower paths only where that ends what is queued earlier.
    Ecf,
    /// [`Sttf`]: the earliest predicted delivery.
    Sttf,
    /// [`LeastLinger`]: what Linux does.
    LeastLinger,
    /// [`Weighted`]: turns in proportion to the paths' rates.
    Weighted,
    /// [`Redundant`]: everything on every path.
    Redundant,
    /// [`Handover`]: one path at a time.
    Handover,
}

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: [Self; 9] = [
        Self::LowestRtt,
        Self::RoundRobin,
        Self::Blest,
        Self::Ecf,
        Self::Sttf,
        Self::LeastLinger,
        Self::Weighted,
        Self::Redundant,
        Self::Handover,
    ];

    /// The name users select it by; [`Scheduler::name`] of what [`Algorithm::build`] makes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LowestRtt => "lowest-rtt",
            Self::RoundRobin => "round-robin",
            Self::Blest => "blest",
            Self::Ecf => "ecf",
            Self::Sttf => "sttf",
            Self::LeastLinger => "least-linger",
            Self::Weighted => "weighted",
            Self::Redundant => "redundant",
            Self::Handover => "handover",
        }
    }

    /// A shorter name that is understood as well; where there is none, the name.
    #[must_use]
    pub const fn alias(self) -> &'static str {
        match self {
            Self::LowestRtt => "minrtt",
            Self::RoundRobin => "rr",
            Self::LeastLinger => "linux",
            Self::Blest
            | Self::Ecf
            | Self::Sttf
            | Self::Weighted
            | Self::Redundant
            | Self::Handover => self.name(),
        }
    }

    /// A scheduler for one connection or flow.
    #[must_use]
    pub fn build(self) -> Box<dyn Scheduler> {
        match self {
            Self::LowestRtt => Box::new(MinRtt),
            Self::RoundRobin => Box::new(RoundRobin::default()),
            Self::Blest => Box::new(Blest::default()),
            Self::Ecf => Box::new(Ecf::default()),
            Self::Sttf => Box::new(Sttf),
            Self::LeastLinger => Box::new(LeastLinger::default()),
            Self::Weighted => Box::new(Weighted::default()),
            Self::Redundant => Box::new(Redundant),
            Self::Handover => Box::new(Handover::default()),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        by_name("scheduler", name, &Self::ALL, |a| [a.name(), a.alias()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_name_comes_back_and_is_the_schedulers_own() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            assert_eq!(algorithm.alias().parse(), Ok(algorithm));
            assert_eq!(algorithm.build().name(), algorithm.name());
        }
    }
}
