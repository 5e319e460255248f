//! The algorithms by name, as users select them.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::{Blest, MinRtt, RoundRobin, Scheduler};

/// A scheduling algorithm, not yet at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// [`MinRtt`]: the fastest path with room.
    LowestRtt,
    /// [`RoundRobin`]: paths take turns.
    RoundRobin,
    /// [`Blest`]: the fastest path, and slower ones only where they do not block it.
    Blest,
}

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: [Self; 3] = [Self::LowestRtt, Self::RoundRobin, Self::Blest];

    /// The name users select it by; [`Scheduler::name`] of what [`Algorithm::build`] makes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LowestRtt => "lowest-rtt",
            Self::RoundRobin => "round-robin",
            Self::Blest => "blest",
        }
    }

    /// A shorter name that is understood as well; where there is none, the name.
    #[must_use]
    pub const fn alias(self) -> &'static str {
        match self {
            Self::LowestRtt => "minrtt",
            Self::RoundRobin => "rr",
            Self::Blest => self.name(),
        }
    }

    /// A scheduler for one connection or flow.
    #[must_use]
    pub fn build(self) -> Box<dyn Scheduler> {
        match self {
            Self::LowestRtt => Box::new(MinRtt),
            Self::RoundRobin => Box::new(RoundRobin::default()),
            Self::Blest => Box::new(Blest),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        let found = Self::ALL.into_iter().find(|a| a.name() == name || a.alias() == name);
        found.ok_or_else(|| UnknownAlgorithm { name: name.to_owned() })
    }
}

/// No scheduler has this name; the message lists those there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm {
    /// The name that was asked for.
    pub name: String,
}

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown scheduler {:?}: choose one of", self.name)?;
        for (i, algorithm) in Algorithm::ALL.iter().enumerate() {
            write!(f, "{} {algorithm}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownAlgorithm {}

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

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let error = "random".parse::<Algorithm>().expect_err("not among them");
        let message = "unknown scheduler \"random\": choose one of lowest-rtt, round-robin, blest";
        assert_eq!(error.to_string(), message);
    }
}
