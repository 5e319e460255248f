//! The pages of `docs/rfc`: every relative link leads to a file, and `path.rs#name` to a function.

use std::fs;
use std::path::{Path, PathBuf};

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rfc")
}

/// Targets of the links in a page.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// What is wrong with a link of a page in `dir`.
fn fault(dir: &Path, link: &str) -> Option<String> {
    let (path, name) = link.split_once('#').map_or((link, None), |(path, name)| (path, Some(name)));
    if path.contains("://") || path.is_empty() {
        return None;
    }
    let Ok(text) = fs::read_to_string(dir.join(path)) else {
        return Some(format!("{link}: no such file"));
    };
    let name = name.filter(|_| path.ends_with(".rs"))?;
    let there = text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<"));
    (!there).then(|| format!("{link}: no such function"))
}

fn faults(dir: &Path, page: &str) -> Vec<String> {
    links(page).filter_map(|link| fault(dir, link)).collect()
}

#[test]
fn every_link_of_every_page_holds() {
    let mut count = 0;
    for entry in fs::read_dir(pages()).expect("docs/rfc exists") {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "md") {
            let page = fs::read_to_string(&path).unwrap();
            count += links(&page).count();
            assert_eq!(faults(&pages(), &page), Vec::<String>::new(), "{}", path.display());
        }
    }
    assert!(count > 200, "only {count} links");
}

#[test]
fn wrong_links_are_found() {
    let own = "../../crates/mptcp/tests/rfc_pages.rs";
    let page = format!(
        "[a]({own}) [b]({own}#wrong_links_are_found) [c](https://example.org/x.rs#y)\n\
         | [d]({own}#no_such_test) | [e](../../nowhere.rs) | [f]({own}#wrong_links) |"
    );
    let expected = [
        format!("{own}#no_such_test: no such function"),
        "../../nowhere.rs: no such file".to_owned(),
        format!("{own}#wrong_links: no such function"),
    ];
    assert_eq!(faults(&pages(), &page), expected);
}
