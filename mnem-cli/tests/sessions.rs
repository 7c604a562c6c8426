//! Sessions at a terminal, kept as they are to look: every command in a page is run, and its output compared.
//!
//! A page is Markdown. In its `console` blocks `$ ` begins a command; what follows is its output, stdout and stderr as
//! they come, and `(exit N)` where it is not done. All blocks of a page are one session in one folder. What differs in
//! every run, ids and the time of day, is compared by its shape. `MNEM_SESSIONS=write` writes the pages anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::Shell;

fn pages(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut pages: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    assert!(!pages.is_empty(), "{} has pages", folder.display());
    pages
}

/// Runs a page, and returns it as it would be written now.
fn run(page: &str) -> String {
    let shell = Shell::new();
    let mut written = String::new();
    let mut in_session = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_session = line == "```console";
        }
        match line.strip_prefix("$ ") {
            Some(command) if in_session => {
                written.push_str(line);
                written.push('\n');
                let done = shell.run(&format!("{{ {command}\n}} 2>&1"));
                // Where the folder lies differs in every run, and is nobody's business.
                written.push_str(&done.out.replace(shell.folder().to_str().unwrap(), "~"));
                if done.exit != 0 {
                    written.push_str(&format!("(exit {})\n", done.exit));
                }
            }
            _ if in_session && line != "```console" => {}
            _ => {
                written.push_str(line);
                written.push('\n');
            }
        }
    }
    written
}

/// Replaces what differs in every run.
fn shape(text: &str) -> String {
    let mut shaped = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.') {
            word.push(c);
            continue;
        }
        shaped.push_str(&shape_of_word(&word));
        word.clear();
        shaped.push(c);
    }
    shaped.trim_end().replace("in N.N s", "in TIME")
}

fn shape_of_word(word: &str) -> String {
    if let Some(word) = word.strip_suffix(':') {
        return shape_of_word(word) + ":";
    }
    let is_base32 = |text: &str| text.bytes().all(|c| c.is_ascii_lowercase() || (b'2'..=b'7').contains(&c));
    let bytes = word.as_bytes();
    let is_uuid = word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let is_clock =
        bytes.len() == 5 && bytes[2] == b':' && bytes.iter().filter(|c| c.is_ascii_digit()).count() == 4;
    let is_seconds = word.split_once('.').is_some_and(|(whole, rest)| {
        !rest.is_empty() && [whole, rest].iter().all(|part| part.bytes().all(|c| c.is_ascii_digit()))
    });
    match () {
        () if is_uuid => "UUID".to_owned(),
        () if word.starts_with("bafy") && word.len() == 59 && is_base32(word) => "CID".to_owned(),
        () if word.len() == 8 && is_base32(word) && matches!(bytes[0], b'a'..=b'h') => "SHORTID".to_owned(),
        // The name of a backup.
        () if word.len() == 12 && bytes.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) => {
            "BACKUP".to_owned()
        }
        // Times to the microsecond are those of the run; others were asked for.
        () if word.ends_with('Z') && word.contains('T') && word.contains('.') => "MOMENT".to_owned(),
        () if is_clock => "HH:MM".to_owned(),
        () if is_seconds => "N.N".to_owned(),
        () => word.to_owned(),
    }
}

fn check(path: &Path) {
    let page = fs::read_to_string(path).unwrap();
    let now = run(&page);
    if shape(&now) == shape(&page) {
        return;
    }
    if std::env::var("MNEM_SESSIONS").is_ok_and(|mode| mode == "write") {
        fs::write(path, now).unwrap();
        return;
    }
    let differs = |(now, then): (&str, &str)| shape(now) != shape(then);
    let line = now
        .lines()
        .zip(page.lines())
        .position(differs)
        .unwrap_or(now.lines().count().min(page.lines().count()));
    let at = |text: &str| text.lines().skip(line.saturating_sub(2)).take(8).collect::<Vec<_>>().join("\n");
    panic!("{}:{}\n--- page\n{}\n--- now\n{}", path.display(), line + 1, at(&page), at(&now));
}

fn check_all(folder: &str) {
    let pages = pages(folder);
    std::thread::scope(|scope| {
        let running: Vec<_> = pages.iter().map(|page| scope.spawn(|| check(page))).collect();
        for (page, one) in pages.iter().zip(running) {
            assert!(one.join().is_ok(), "{} is as it runs", page.display());
        }
    });
}

#[test]
fn sessions_are_as_they_were() {
    check_all("tests/sessions");
}

#[test]
fn the_guide_says_what_happens() {
    check_all("../docs/guide");
}

#[test]
fn the_tour_ends_well_and_soon() {
    let shell = Shell::new();
    let started = std::time::Instant::now();
    let said = shell.ok("mnem tour");
    assert!(said.lines().last().unwrap().starts_with("tour ok: "), "{said}");
    assert!(started.elapsed().as_secs() < 10, "the tour takes less than 10 s");
    let left = fs::read_dir(shell.folder()).unwrap().count();
    assert_eq!(left, 0, "it leaves nothing behind");
}

#[test]
fn what_differs_in_every_run_is_compared_by_its_shape() {
    let page = "[main cu7ydn5s] + Person/Ada  01a1fd8c-6900-7c1e-a5d0-93b1f2c7e604 at 10:04 in 0.4 s";
    assert_eq!(shape(page), "[main SHORTID] + Person/Ada  UUID at HH:MM in TIME");
    assert_eq!(
        shape("moved to cu7ydn5s: it is at cu7ydn5t there"),
        "moved to SHORTID: it is at SHORTID there"
    );
    assert_eq!(shape("born 1815 -> 1816, 2026-10-01"), "born 1815 -> 1816, 2026-10-01");
}

#[test]
fn a_page_that_says_something_else_is_noticed() {
    let page = "```console\n$ echo a && exit 3\na\n(exit 3)\n```\n";
    assert_eq!(run(page), page);
    assert_ne!(run(&page.replace("exit 3)", "exit 4)")), page.replace("exit 3)", "exit 4)"));
    assert_ne!(run(&page.replace("\na\n", "\nb\n")), page.replace("\na\n", "\nb\n"));
}
