//! How much arrives between losses, from which OLIA reads the quality of a path.
//!
//! **Owns** the two runs of draft-khalili-mptcp-congestion-control §3: since the last loss, and
//! between the last two. **Invariant**: losses of one episode end one run.

/// Bytes acknowledged without a loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    /// Since the last loss.
    pub(crate) since: u64,
    /// Between the last two losses.
    pub(crate) between: u64,
    /// `between` before the last loss, until that is taken back or the next comes.
    before: Option<u64>,
}

impl Runs {
    pub(crate) fn on_delivered(&mut self, bytes: u32) {
        self.since += u64::from(bytes);
    }

    /// A loss ends the run.
    pub(crate) fn on_loss(&mut self) {
        self.before = Some(self.between);
        self.between = core::mem::take(&mut self.since);
    }

    /// The last loss was none: the run goes on.
    pub(crate) fn on_spurious(&mut self) {
        if let Some(before) = self.before.take() {
            self.since += self.between;
            self.between = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_taken_back_joins_the_runs_and_only_once() {
        let mut runs = Runs::default();
        for bytes in [500, 300] {
            runs.on_delivered(bytes);
            runs.on_loss();
        }
        runs.on_delivered(40);
        runs.on_spurious();
        assert_eq!((runs.since, runs.between), (340, 500));
        runs.on_spurious();
        assert_eq!((runs.since, runs.between), (340, 500));
    }
}
