//! Plots as inline SVG, with colours that the page's style sheet gives.
//!
//! **Invariant**: every element that is opened is closed, and every text is escaped, so that the
//! page is well-formed XML.

use std::fmt::Write as _;

use super::groups::Line;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 40.0;

/// A plot of lines over one axis.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    pub(super) x_label: &'a str,
    pub(super) y_label: &'a str,
    /// Where the values of each line stand; as long as the longest line.
    pub(super) at: &'a [f64],
    pub(super) lines: &'a [Line],
}

/// One bar, with what is written at its end.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: f64,
    /// Smallest and largest of those that the bar stands for.
    pub(super) range: Option<(f64, f64)>,
    pub(super) note: String,
}

/// Text that may stand anywhere in the page.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // No such character may stand in XML.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// From values to places.
struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        let span = (self.to - self.from).max(f64::MIN_POSITIVE);
        self.start + (value - self.from) / span * (self.end - self.start)
    }
}

/// Round numbers from 0 (or `from`) to at least `most`, about five of them.
fn ticks(from: f64, most: f64) -> Vec<f64> {
    let span = (most - from).max(1e-9);
    let rough = span / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|&s| s >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let mut out = vec![(from / step).floor() * step];
    while out.last().is_some_and(|&last| last < most - step * 1e-6) {
        out.push(out[0] + step * out.iter().fold(0.0, |n, _| n + 1.0));
    }
    out
}

/// A number as short as it can be told from its neighbours on an axis.
pub(super) fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let trimmed =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    trimmed.to_owned()
}

impl Plot<'_> {
    /// The figure: a caption, the plot, and a legend.
    pub(super) fn figure(&self) -> String {
        let mut out = figure_start(self.title);
        let tops = self.lines.iter().flat_map(|line| {
            let band = line.band.iter().flatten().map(|(_, high)| *high);
            line.values.iter().flatten().copied().chain(band)
        });
        let y_ticks = ticks(0.0, tops.fold(0.0, f64::max));
        let (first, last) = (self.at.first().copied(), self.at.last().copied());
        let x_ticks = ticks(first.unwrap_or(0.0).min(0.0), last.unwrap_or(1.0));
        let edge = |ticks: &[f64]| (ticks[0], ticks[ticks.len() - 1]);
        let ((x0, _), (y0, y1)) = (edge(&x_ticks), edge(&y_ticks));
        let x = Scale { from: x0, to: last.unwrap_or(1.0), start: LEFT, end: WIDTH - RIGHT };
        let y = Scale { from: y0, to: y1, start: HEIGHT - BOTTOM, end: TOP };
        svg_start(&mut out, WIDTH, HEIGHT, self.title);
        for &tick in x_ticks.iter().filter(|&&tick| tick <= x.to) {
            let at = x.place(tick);
            line(&mut out, "grid", [at, TOP, at, HEIGHT - BOTTOM]);
            label(&mut out, "middle", [at, HEIGHT - BOTTOM + 16.0], &short(tick));
        }
        for &tick in &y_ticks {
            let at = y.place(tick);
            line(&mut out, "grid", [LEFT, at, WIDTH - RIGHT, at]);
            label(&mut out, "end", [LEFT - 6.0, at + 4.0], &short(tick));
        }
        label(&mut out, "middle", [(LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 6.0], self.x_label);
        label(&mut out, "start", [4.0, TOP - 12.0], self.y_label);
        for (number, line) in self.lines.iter().enumerate() {
            self.band(&mut out, number, line, (&x, &y));
            self.curve(&mut out, number, line, (&x, &y));
        }
        out.push_str("</svg>\n");
        legend(&mut out, self.lines.iter().map(|line| line.name.as_str()));
        out.push_str("</figure>\n");
        out
    }

    fn curve(&self, out: &mut String, number: usize, line: &Line, (x, y): (&Scale, &Scale)) {
        let mut path = String::new();
        let mut pen = 'M';
        for (&at, value) in self.at.iter().zip(&line.values) {
            let Some(value) = value else {
                pen = 'M';
                continue;
            };
            // Writing to a string cannot fail.
            let _ok = write!(path, "{pen}{:.1} {:.1}", x.place(at), y.place(*value));
            pen = 'L';
        }
        let name = escaped(&line.name);
        let _ok = writeln!(
            out,
            "<path class=\"line s{number}\" d=\"{path}\"><title>{name}</title></path>"
        );
    }

    fn band(&self, out: &mut String, number: usize, line: &Line, (x, y): (&Scale, &Scale)) {
        let points = self.at.iter().zip(&line.band).filter_map(|(&at, band)| Some((at, (*band)?)));
        let points: Vec<(f64, (f64, f64))> = points.collect();
        if points.is_empty() {
            return;
        }
        let above = points.iter().map(|&(at, (_, high))| (at, high));
        let below = points.iter().rev().map(|&(at, (low, _))| (at, low));
        let corners = above.chain(below);
        let corners = corners.map(|(at, v)| format!("{:.1},{:.1}", x.place(at), y.place(v)));
        let corners: Vec<String> = corners.collect();
        // Writing to a string cannot fail.
        let _ok =
            writeln!(out, "<polygon class=\"band f{number}\" points=\"{}\"/>", corners.join(" "));
    }
}

/// The figure: bars from the left, one below the other.
pub(super) fn bars(title: &str, unit: &str, bars: &[Bar]) -> String {
    const ROW: f64 = 26.0;
    const NAMES: f64 = 150.0;
    const NOTES: f64 = 175.0;
    let mut out = figure_start(title);
    let count = bars.iter().fold(0.0, |n, _| n + 1.0);
    let height = count * ROW + 30.0;
    let top = bars.iter().map(|bar| bar.range.map_or(bar.value, |r| r.1)).fold(0.0, f64::max);
    let x = Scale { from: 0.0, to: top, start: NAMES, end: WIDTH - NOTES };
    svg_start(&mut out, WIDTH, height, title);
    let mut row = 4.0;
    for (number, bar) in bars.iter().enumerate() {
        let middle = row + ROW / 2.0;
        let name: String = bar.name.chars().take(22).collect();
        label(&mut out, "end", [NAMES - 8.0, middle + 4.0], &name);
        // Writing to a string cannot fail.
        let _ok = writeln!(
            out,
            "<rect class=\"f{}\" x=\"{NAMES}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\">\
             <title>{}: {} {}</title></rect>",
            number.min(super::groups::MOST - 1),
            row + 4.0,
            (x.place(bar.value) - NAMES).max(1.0),
            ROW - 8.0,
            escaped(&bar.name),
            short(bar.value),
            escaped(unit)
        );
        if let Some((low, high)) = bar.range {
            line(&mut out, "whisker", [x.place(low), middle, x.place(high), middle]);
        }
        let end = x.place(bar.range.map_or(bar.value, |r| r.1)).max(NAMES);
        label(&mut out, "start", [end + 8.0, middle + 4.0], &bar.note);
        row += ROW;
    }
    label(&mut out, "start", [NAMES, height - 8.0], unit);
    out.push_str("</svg>\n</figure>\n");
    out
}

fn figure_start(title: &str) -> String {
    format!("<figure><figcaption>{}</figcaption>\n", escaped(title))
}

fn svg_start(out: &mut String, width: f64, height: f64, title: &str) {
    // Writing to a string cannot fail.
    let _ok = writeln!(
        out,
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        escaped(title)
    );
}

fn line(out: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    // Writing to a string cannot fail.
    let _ok = writeln!(
        out,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn label(out: &mut String, anchor: &str, [x, y]: [f64; 2], text: &str) {
    // Writing to a string cannot fail.
    let _ok = writeln!(
        out,
        "<text text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
        escaped(text)
    );
}

fn legend<'a>(out: &mut String, names: impl Iterator<Item = &'a str>) {
    out.push_str("<ul class=\"legend\">");
    for (number, name) in names.enumerate() {
        // Writing to a string cannot fail.
        let _ok = write!(out, "<li><i class=\"b{number}\"></i>{}</li>", escaped(name));
    }
    out.push_str("</ul>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers_that_reach_the_top() {
        assert_eq!(ticks(0.0, 9.3), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(0.0, 100.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert!(ticks(0.0, 0.0).len() < 10, "nothing to show is no endless axis");
        assert_eq!(
            [short(0.25), short(2.0), short(1234.5), short(0.0)],
            ["0.25", "2", "1234", "0"]
        );
    }

    #[test]
    fn a_line_has_gaps_where_there_is_no_value() {
        let values = vec![Some(1.0), None, Some(2.0), Some(3.0)];
        let lines = [Line { name: "a<b".to_owned(), values, band: Vec::new() }];
        let at = [0.0, 1.0, 2.0, 3.0];
        let plot = Plot { title: "t", x_label: "s", y_label: "Mb/s", at: &at, lines: &lines };
        let figure = plot.figure();
        let path = figure.split(" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
        assert!(figure.contains("a&lt;b") && !figure.contains("a<b"));
    }
}
