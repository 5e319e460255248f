//! The pages that people read: every relative link leads to a file, and `path.rs#name` to a function.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages of `docs`, those of the RFCs too, and those at the top.
fn pages() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/rfc"].map(|folder| root().join(folder));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("it exists"));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "md")).collect()
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
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        count += links(&page).count();
        let folder = path.parent().expect("it lies in a folder");
        assert_eq!(faults(folder, &page), Vec::<String>::new(), "{}", path.display());
    }
    assert!(count > 700, "only {count} links");
}

/// What is said to be tested against other implementations has a test that exists.
#[test]
fn every_row_of_interop_names_a_test() {
    let page = fs::read_to_string(root().join("docs/interop.md")).unwrap();
    let tests = |row: &str| links(row).filter(|link| link.contains(".rs#")).count();
    let rows = page.lines().filter(|row| row.starts_with("| ") && row.contains("]("));
    let nameless: Vec<&str> = rows.clone().filter(|row| tests(row) == 0).collect();
    assert_eq!(nameless, Vec::<&str>::new());
    assert!(rows.count() > 60, "rows are found");
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
    assert_eq!(faults(&root().join("docs/rfc"), &page), expected);
}
