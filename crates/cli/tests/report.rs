//! The page of `sim report`: well-formed, complete, and on its own.

mod common;

use std::process::Output;

use common::Folder;
use roxmltree::{Document, ParsingOptions};

const FILE: &str = r#"
title = "two links & a <crowd>"
duration = "6s"
warmup = "1s"

[link.a]
ends = ["client", "server"]
rate = "8Mbps"
delay = "10ms"

[link.b]
ends = ["client", "server"]
rate = "4Mbps"
delay = "30ms"

[flow.mp]
from = "client"
to = "server"

[flow.page]
from = "client"
to = "server"
workload.requests = { request = "300B", response = "20KB", gap = "100ms" }

[case.few]
[case.many.flow.crowd]
from = "client"
to = "server"
count = 12
tcp = true
"#;

struct Place(Folder);

impl Place {
    fn new(name: &str) -> Self {
        Self(Folder::new(&format!("report-{name}"), FILE))
    }

    fn run(&self, args: &[&str]) -> Output {
        self.0.sim().args(args).output().expect("it starts")
    }

    fn page(&self, args: &[&str]) -> String {
        let output = self.run(&[&["report"], args, &["-o", "page.html"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.0.read("page.html")
    }
}

/// Names in legends and at bars, by the caption of their figure.
fn shown(page: &Document<'_>, section: usize, caption: &str) -> Vec<String> {
    let sections = page.descendants().filter(|n| n.has_tag_name("section"));
    let section = sections.into_iter().nth(section).expect("a section");
    let figures = section.descendants().filter(|n| n.has_tag_name("figure"));
    let titled = |n: &roxmltree::Node<'_, '_>| {
        let mut captions = n.descendants().filter(|n| n.has_tag_name("figcaption"));
        captions.any(|n| n.text().is_some_and(|text| text.starts_with(caption)))
    };
    let figure = figures.into_iter().find(titled).unwrap_or_else(|| panic!("no {caption}"));
    let text = |n: roxmltree::Node<'_, '_>| {
        n.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect::<String>()
    };
    let legend = figure.descendants().filter(|n| n.has_tag_name("li")).map(text);
    let bars = figure.descendants().filter(|n| n.has_tag_name("rect")).map(text);
    let names: Vec<String> = legend.chain(bars).collect();
    let drawn = figure.descendants().filter(|n| n.has_tag_name("path"));
    for path in drawn {
        assert!(path.attribute("d").is_some_and(|d| d.contains('L')), "{caption}: nothing drawn");
    }
    names
}

fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).expect("the page is well-formed")
}

#[test]
fn a_page_shows_every_series_and_refers_to_nothing_else() {
    let place = Place::new("file");
    let text = place.page(&["x.toml"]);
    let page = parsed(&text);
    assert_eq!(shown(&page, 0, "Goodput of flows"), ["mp", "page"]);
    let subflows = ["mp sub0", "mp sub1", "page sub0", "page sub1"];
    for plot in ["Rates of subflows", "Congestion windows", "Round trips"] {
        assert_eq!(shown(&page, 0, plot), subflows);
    }
    // Acknowledgments wait for one another, too.
    assert_eq!(shown(&page, 0, "Queues"), ["a", "a.back", "b", "b.back"]);
    assert!(shown(&page, 0, "Shares")[0].starts_with("mp: "));
    assert!(shown(&page, 0, "Completion times")[0].starts_with("page ("));
    assert_eq!(shown(&page, 1, "Goodput of flows"), ["crowd.* (12)", "mp", "page"]);
    assert!(shown(&page, 1, "Shares")[0].starts_with("crowd.* (12): "));
    assert!(shown(&page, 1, "Goodput over flows")[0].starts_with("crowd.* (12)"));
    for outside in ["http", "//", "<script", "<link", "<img", "@import", "url(", "src="] {
        assert!(!text.contains(outside), "{outside}");
    }
    assert!(text.contains("prefers-color-scheme: dark"));
}

#[test]
fn results_make_the_same_page_as_their_experiment() {
    let place = Place::new("results");
    let output = place.run(&["run", "x.toml", "--sample", "0.024", "--json"]);
    place.0.write("x.json", output.stdout);
    assert_eq!(place.page(&["x.json"]), place.page(&["x.toml"]));
    let output = place.run(&["run", "x.toml", "--case", "few", "--json"]);
    place.0.write("bare.json", output.stdout);
    let text = place.page(&["bare.json"]);
    assert!(text.contains("No moments were taken down"), "it says why there are no lines");
    assert_eq!(shown(&parsed(&text), 0, "Shares").len(), 2);
}

#[test]
fn what_is_no_result_is_refused() {
    let place = Place::new("wrong");
    place.0.write("y.json", "{}");
    for (file, message) in [
        ("y.json", "expected what `manypath sim run FILE --json` prints"),
        ("none.json", "none.json: No such file"),
        ("none.toml", "none.toml: No such file"),
    ] {
        let output = place.run(&["report", file, "-o", "page.html"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(message), "{text}");
    }
}
