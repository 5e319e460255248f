//! Progress on standard error, only where a person watches.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for a known number of steps.
pub(crate) fn steps(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = "{bar:30} {pos}/{len} {eta} left {msg}";
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    bar.set_style(style);
    bar
}

/// A bar for a transfer; of known length if `total` is.
pub(crate) fn transfer(total: Option<u64>, done: u64) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left {msg}",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec} {msg}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    bar.set_style(style);
    bar.set_position(done);
    bar.reset_eta();
    bar
}
