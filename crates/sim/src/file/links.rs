//! From a link in a file to what it does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use manypath_base::Rate;

use super::error::Wrong;
use super::schema::{Aqm, Preset, Way};
use super::units::Room;
use crate::{CoDel, Discipline, GilbertElliott, Limit, LinkConfig, Loss, Red, Trace, Transmitter};

impl Preset {
    /// Rate in kilobits per second, delay one way in milliseconds, queue in packets and loss in
    /// parts per million. The first two are those of NSDI 2011, §5 (Wischik et al.), with the
    /// buffers that it found; the others are round numbers of their kind.
    const fn numbers(self) -> (u64, u64, u64, u32) {
        match self {
            Self::Wifi => (14_400, 10, 50, 10_000),
            Self::ThreeG => (2_100, 75, 250, 0),
            Self::Lte => (30_000, 25, 500, 0),
            Self::Satellite => (20_000, 300, 1_000, 1_000),
        }
    }

    fn config(self) -> LinkConfig {
        let (kbps, delay, packets, ppm) = self.numbers();
        LinkConfig {
            transmitter: Transmitter::Constant(Rate::from_bits_per_sec(kbps * 1_000)),
            delay: Duration::from_millis(delay),
            limit: Limit::Packets(packets),
            loss: if ppm == 0 { Loss::None } else { Loss::Bernoulli { ppm } },
            ..LinkConfig::default()
        }
    }
}

impl Way {
    /// Both directions. `key` is where the link stands in the file, and `folder` where traces are
    /// looked for.
    pub(super) fn both(&self, key: &str, folder: &Path) -> Result<[LinkConfig; 2], Wrong> {
        let there = self.apply(LinkConfig::default(), key, folder)?;
        let back = match &self.back {
            None => there.clone(),
            Some(back) => {
                let queue = back.queue.or(self.queue);
                let back = Self { queue, ..(**back).clone() };
                back.apply(there.clone(), &format!("{key}.back"), folder)?
            }
        };
        Ok([there, back])
    }

    /// This, and what it does not say as `base` has it. A preset stands for all that it sets, and
    /// of two keys for the same thing the one that is said here replaces the other.
    pub(super) fn over(&self, base: &Self) -> Self {
        let (said, mut base) = (self.clone(), base.clone());
        let whole = said.preset.is_some();
        if whole || said.rate.is_some() || said.trace.is_some() {
            (base.rate, base.trace) = (None, None);
        }
        if whole || said.loss.is_some() || said.burst_loss.is_some() {
            (base.loss, base.burst_loss) = (None, None);
        }
        if whole {
            (base.delay, base.queue) = (None, None);
        }
        Self {
            ends: said.ends,
            preset: said.preset.or(base.preset),
            rate: said.rate.or(base.rate),
            trace: said.trace.or(base.trace),
            delay: said.delay.or(base.delay),
            queue: said.queue.or(base.queue),
            aqm: said.aqm.or(base.aqm),
            mark_from: said.mark_from.or(base.mark_from),
            mark: said.mark.or(base.mark),
            loss: said.loss.or(base.loss),
            burst_loss: said.burst_loss.or(base.burst_loss),
            reorder: said.reorder.or(base.reorder),
            reorder_delay: said.reorder_delay.or(base.reorder_delay),
            duplicate: said.duplicate.or(base.duplicate),
            bunch: said.bunch.or(base.bunch),
            middlebox: said.middlebox.or(base.middlebox),
            back: match (said.back, base.back) {
                (Some(said), Some(base)) => Some(Box::new(said.over(&base))),
                (said, base) => said.or(base),
            },
        }
    }

    /// Changes what this says and leaves the rest.
    fn apply(&self, base: LinkConfig, key: &str, folder: &Path) -> Result<LinkConfig, Wrong> {
        let mut config = self.preset.map_or(base, Preset::config);
        if let Some(speed) = self.rate {
            config.transmitter = speed.0.map_or(Transmitter::Unlimited, Transmitter::Constant);
        }
        if let Some(name) = &self.trace {
            config.transmitter = recorded(name, key, folder)?;
        }
        if let Some(delay) = self.delay {
            config.delay = delay.0;
        }
        let rate = rate(&config.transmitter);
        let limit = |room: Room, config: &LinkConfig| room.limit(rate, config.delay * 2);
        if let Some(room) = self.queue {
            config.limit = limit(room, &config);
        }
        if let Some(room) = self.mark_from {
            config.ecn_threshold = Some(limit(room, &config));
        }
        config.mark_ppm = self.mark.map_or(config.mark_ppm, |c| c.0);
        config.loss = self.loss(config.loss);
        if let Some(aqm) = &self.aqm {
            config.discipline = aqm.discipline();
        }
        config.reorder_ppm = self.reorder.map_or(config.reorder_ppm, |c| c.0);
        config.reorder_delay = self.reorder_delay.map_or(config.reorder_delay, |t| t.0);
        config.duplicate_ppm = self.duplicate.map_or(config.duplicate_ppm, |c| c.0);
        config.bunch = self.bunch.map_or(config.bunch, |t| t.0);
        Ok(config)
    }

    fn loss(&self, base: Loss) -> Loss {
        match (&self.burst_loss, self.loss) {
            (Some(burst), _) => Loss::GilbertElliott(GilbertElliott {
                to_bad: burst.to_bad.0,
                to_good: burst.to_good.0,
                loss_good: burst.loss_good.map_or(0, |c| c.0),
                loss_bad: burst.loss_bad.0,
            }),
            (None, Some(chance)) if chance.0 == 0 => Loss::None,
            (None, Some(chance)) => Loss::Bernoulli { ppm: chance.0 },
            (None, None) => base,
        }
    }
}

/// The constant rate of a transmitter.
pub(super) fn rate(transmitter: &Transmitter) -> Option<Rate> {
    match transmitter {
        Transmitter::Constant(rate) => Some(*rate),
        Transmitter::Unlimited | Transmitter::Recorded(_) => None,
    }
}

fn recorded(name: &str, key: &str, folder: &Path) -> Result<Transmitter, Wrong> {
    let key = format!("{key}.trace");
    let path = folder.join(name);
    let wrong =
        |error: &dyn std::fmt::Display| Wrong::new(&key, format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(&error))?;
    let trace = Trace::parse(&text).map_err(|error| wrong(&error))?;
    Ok(Transmitter::Recorded(Arc::new(trace)))
}

impl Aqm {
    fn discipline(&self) -> Discipline {
        match self {
            Self::RandomTail { packets } => Discipline::RandomTail { packets: *packets },
            Self::Red { min, max, chance } => {
                Discipline::Red(Red { min: min.0, max: max.0, max_ppm: chance.0, weight: 9 })
            }
            Self::CoDel { target, interval } => {
                let CoDel { target: t, interval: i } = CoDel::default();
                Discipline::CoDel(CoDel {
                    target: target.map_or(t, |t| t.0),
                    interval: interval.map_or(i, |i| i.0),
                })
            }
        }
    }
}
