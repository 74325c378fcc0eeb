//! Mistakes that people make, and what the compiler says of each.
//!
//! `ui/` holds the mistakes that Plywood words itself, `ui/language/` those where Rust's own words are good. A line with
//! a mistake ends in `//~` and what the message must contain. The snapshots are compared by trybuild, under
//! `cargo check`; `TRYBUILD=overwrite cargo test -p plywood-tests --test ui` writes them anew.

use std::path::{Path, PathBuf};

const FOLDERS: [&str; 2] = ["ui", "ui/language"];

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cases: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("a folder of mistakes"))
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    cases.sort();
    cases
}

/// Each error of a snapshot: its message and the line it points at.
fn errors(snapshot: &str) -> Vec<(String, usize)> {
    let mut errors = Vec::new();
    let mut lines = snapshot.lines();
    while let Some(line) = lines.next() {
        let Some(message) = line.strip_prefix("error").filter(|rest| rest.starts_with([':', '['])) else { continue };
        let place = lines.find(|line| line.trim_start().starts_with("--> ui/")).expect("an error has a place");
        let number = place.rsplit(':').nth(1).and_then(|number| number.parse().ok()).expect("file:line:column");
        errors.push((message.to_owned(), number));
    }
    errors
}

#[test]
fn mistakes_are_compile_errors_in_plain_words() {
    let tests = trybuild::TestCases::new();
    for folder in FOLDERS {
        tests.compile_fail(format!("{folder}/*.rs"));
    }
}

/// One mistake would give two errors, an error would point elsewhere, or would not name the layer.
#[test]
fn every_mistake_is_one_error_on_its_own_line() {
    let cases = cases();
    assert!(cases.len() >= 80, "only {} mistakes", cases.len());
    for path in cases {
        let source = std::fs::read_to_string(&path).expect("a mistake");
        let snapshot = std::fs::read_to_string(path.with_extension("stderr")).expect("a snapshot");
        let mut expected: Vec<(usize, &str)> = source
            .lines()
            .enumerate()
            .filter_map(|(i, line)| Some((i + 1, line.split_once("//~")?.1.trim())))
            .collect();
        let mut errors = errors(&snapshot);
        expected.sort_unstable();
        errors.sort_by_key(|(_, line)| *line);
        let lines = |errors: &[(String, usize)]| errors.iter().map(|(_, line)| *line).collect::<Vec<_>>();
        let wanted: Vec<usize> = expected.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines(&errors), wanted, "{}: not one error a mistake:\n{snapshot}", path.display());
        for ((message, _), (_, part)) in errors.iter().zip(&expected) {
            assert!(message.contains(part), "{}: `{message}` does not say `{part}`", path.display());
        }
    }
}

/// A user would see typenum's inner types, or a warning beside the error.
#[test]
fn no_message_shows_inner_types() {
    for path in cases() {
        let snapshot = std::fs::read_to_string(path.with_extension("stderr")).expect("a snapshot");
        for inner in ["{Want}", "{Self}", "UInt", "UTerm", "B0", "B1", "typenum", "warning:"] {
            assert!(!snapshot.contains(inner), "{} shows {inner}:\n{snapshot}", path.display());
        }
    }
}

/// The README would promise another error than the compiler gives.
#[test]
fn the_readme_quotes_the_compiler() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("../README.md")).expect("the README");
    let snapshot = std::fs::read_to_string(root.join("ui/readme.stderr")).expect("a snapshot");
    let message = snapshot.lines().next().expect("a message");
    assert!(readme.contains(message), "the README does not quote `{message}`");
}
