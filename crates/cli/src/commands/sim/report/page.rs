//! The page around the plots: one file that needs nothing else.

use std::fmt::Write as _;

use super::charts::figures;
use super::groups::RULE;
use super::input::Run;
use super::plot::{escaped, short};

/// Colours by number, for a light page and for a dark one; neighbours differ in lightness too.
const COLOURS: [(&str, &str); 8] = [
    ("#2a78d6", "#3987e5"),
    ("#eb6834", "#d95926"),
    ("#1baf7a", "#199e70"),
    ("#eda100", "#c98500"),
    ("#4a3aa7", "#9085e9"),
    ("#e87ba4", "#d55181"),
    ("#008300", "#008300"),
    ("#e34948", "#e66767"),
];

const STYLE: &str = "
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 1340px;
  background: var(--page); color: var(--ink); }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .3rem; }
p, summary { color: var(--soft); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 520px), 1fr));
  gap: 1rem; }
figure { margin: 0; padding: .8rem; background: var(--card); border: 1px solid var(--grid);
  border-radius: 8px; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: .4rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 11px; fill: var(--soft); }
.grid { stroke: var(--grid); } .whisker { stroke: var(--ink); stroke-width: 1.5; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .band { opacity: .18; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .4rem 0 0;
  padding: 0; font-size: 13px; }
.legend i { display: inline-block; width: 14px; height: 4px; border-radius: 2px;
  margin-right: .4rem; vertical-align: middle; }
table { border-collapse: collapse; font-size: 13px; } td { padding: .1rem 1.2rem .1rem 0; }
td + td { text-align: right; font-variant-numeric: tabular-nums; }
";

/// The whole page.
pub(super) fn page(runs: &[Run]) -> String {
    let mut titles: Vec<&str> = runs.iter().map(|run| run.title.as_str()).collect();
    titles.dedup();
    let title = escaped(&titles.join("; "));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{title}</title>\n<style>{}{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p>{RULE}</p>\n",
        colours()
    );
    for run in runs {
        section(&mut out, run, titles.len() > 1);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn colours() -> String {
    let themes = |number: usize| -> String {
        let of = |(i, (light, dark)): (usize, &(&str, &str))| {
            format!("--c{i}: {}; ", if number == 0 { light } else { dark })
        };
        COLOURS.iter().enumerate().map(of).collect()
    };
    let mut out = format!(
        ":root {{ color-scheme: light dark; --page: #f7f7f5; --card: #ffffff; --ink: #1c1c1a; \
         --soft: #5c5b57; --grid: #e4e3df; {}}}\n\
         @media (prefers-color-scheme: dark) {{ :root {{ --page: #161615; --card: #1f1f1d; \
         --ink: #f2f1ed; --soft: #b5b3ac; --grid: #3a3935; {}}} }}\n",
        themes(0),
        themes(1)
    );
    for i in 0..COLOURS.len() {
        // Writing to a string cannot fail.
        let _ok = writeln!(
            out,
            ".s{i} {{ stroke: var(--c{i}); }} .f{i} {{ fill: var(--c{i}); }} \
             .b{i} {{ background: var(--c{i}); }}"
        );
    }
    out
}

fn section(out: &mut String, run: &Run, with_title: bool) {
    let Run { title, case, seed, values, series, events } = run;
    let title = if with_title { format!("{}: ", escaped(title)) } else { String::new() };
    // Writing to a string cannot fail.
    let _ok = writeln!(
        out,
        "<section>\n<h2>{title}case {}, seed {seed}</h2>\n<p>{} flows, {} links, {events} events, \
         {} moments</p>\n<div class=\"plots\">",
        escaped(case),
        series.flows.len(),
        series.links.len() / 2,
        series.at.len()
    );
    if series.at.is_empty() {
        out.push_str("<p>No moments were taken down: run with --sample, or set sample.</p>\n");
    }
    figures(series, values).iter().for_each(|figure| out.push_str(figure));
    let _ok = writeln!(
        out,
        "</div>\n<details><summary>All {} values (rates in Mb/s, times in ms, losses shares)\
         </summary><table>",
        values.len()
    );
    for (name, value) in values {
        let _ok = writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", escaped(name), short(*value));
    }
    out.push_str("</table></details>\n</section>\n");
}
