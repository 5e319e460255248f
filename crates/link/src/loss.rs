//! Loss on the wire at work.

use manypath_base::Rng;

use crate::config::{GilbertElliott, Loss, MILLION};

/// Which state bursty loss is in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    bad: bool,
}

impl State {
    /// Whether the next packet vanishes.
    pub(crate) fn loses(&mut self, loss: Loss, rng: &mut Rng) -> bool {
        match loss {
            Loss::None => false,
            Loss::Bernoulli { ppm } => rng.chance(ppm.into(), MILLION),
            Loss::GilbertElliott(model) => self.bursty(model, rng),
        }
    }

    fn bursty(&mut self, model: GilbertElliott, rng: &mut Rng) -> bool {
        let turn = if self.bad { model.to_good } else { model.to_bad };
        self.bad ^= rng.chance(turn.into(), MILLION);
        let loss = if self.bad { model.loss_bad } else { model.loss_good };
        rng.chance(loss.into(), MILLION)
    }
}
