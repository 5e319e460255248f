//! The algorithms by name, as users select them.

use alloc::boxed::Box;
use core::fmt;
use core::str::FromStr;

use manypath_base::{UnknownName, by_name};

use crate::{
    Balia, Bbr, Config, Controller, Coupled, Cubic, Ewtcp, Lia, NewReno, Olia, WVegas,
    coupled_cubic,
};

/// A congestion control algorithm, not yet at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// [`NewReno`], each path on its own.
    NewReno,
    /// [`Cubic`], each path on its own.
    Cubic,
    /// [`Lia`], coupled over the paths of a connection.
    Lia,
    /// [`Olia`], coupled, moving window to the best paths.
    Olia,
    /// [`Balia`], coupled, between the two.
    Balia,
    /// [`WVegas`], coupled by delay.
    WVegas,
    /// [`Ewtcp`], each path the same part of a TCP.
    Ewtcp,
    /// [`Coupled`], all paths as one window.
    Coupled,
    /// [`coupled_cubic()`], coupled, and fast on long fat paths.
    CoupledCubic,
    /// [`Bbr`], each path on its own.
    Bbr,
}

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: [Self; 10] = [
        Self::NewReno,
        Self::Cubic,
        Self::Lia,
        Self::Olia,
        Self::Balia,
        Self::WVegas,
        Self::Ewtcp,
        Self::Coupled,
        Self::CoupledCubic,
        Self::Bbr,
    ];

    /// The name users select it by; [`Controller::name`] of what [`Algorithm::build`] makes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewReno => "reno",
            Self::Cubic => "cubic",
            Self::Lia => "lia",
            Self::Olia => "olia",
            Self::Balia => "balia",
            Self::WVegas => "wvegas",
            Self::Ewtcp => "ewtcp",
            Self::Coupled => "coupled",
            Self::CoupledCubic => "coupled-cubic",
            Self::Bbr => "bbr",
        }
    }

    /// A controller for one path.
    #[must_use]
    pub fn build(self, config: Config) -> Box<dyn Controller> {
        match self {
            Self::NewReno => Box::new(NewReno::new(config)),
            Self::Cubic => Box::new(Cubic::new(config)),
            Self::Lia => Box::new(Lia::new(config)),
            Self::Olia => Box::new(Olia::new(config)),
            Self::Balia => Box::new(Balia::new(config)),
            Self::WVegas => Box::new(WVegas::new(config)),
            Self::Ewtcp => Box::new(Ewtcp::new(config)),
            Self::Coupled => Box::new(Coupled::new(config)),
            Self::CoupledCubic => Box::new(coupled_cubic(config)),
            Self::Bbr => Box::new(Bbr::new(config)),
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
        by_name("congestion control", name, &Self::ALL, |a| [a.name()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use manypath_base::Mss;

    #[test]
    fn every_name_comes_back_and_is_the_controllers_own() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            assert_eq!(algorithm.build(Config::new(Mss(1460))).name(), algorithm.name());
        }
    }
}
