//! What a program can check of order and honesty: who uses whom, that docs point at what is there, that every promise
//! is tested, that every test runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mnem::testing::promises;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// All files of the workspace, relative to it, without what is generated.
fn files() -> Vec<PathBuf> {
    let root = root();
    let mut found = Vec::new();
    let mut next = vec![root.clone()];
    while let Some(folder) = next.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if matches!(name, ".git" | "target" | "corpus" | "artifacts") {
                continue;
            }
            if path.is_dir() {
                next.push(path);
            } else {
                found.push(path.strip_prefix(&root).unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "the workspace was not found");
    found
}

fn with_extension(extension: &str) -> Vec<PathBuf> {
    files().into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of `[dependencies]` in a manifest.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if section == "dependencies" {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            found.push(&line[..end]);
        }
    }
    found
}

#[test]
fn crates_use_only_what_they_may() {
    let allowed = BTreeMap::from([
        ("mnem-core", vec![]),
        ("mnem-ann", vec!["mnem-core"]),
        ("mnem-vfs", vec![]),
        ("mnem-backend-simple", vec!["mnem-core", "mnem-vfs"]),
        ("mnem-backend-redb", vec!["mnem-core"]),
        ("mnem-backend-native", vec!["mnem-core", "mnem-vfs"]),
        (
            "mnem",
            vec![
                "mnem-ann",
                "mnem-core",
                "mnem-vfs",
                "mnem-backend-simple",
                "mnem-backend-redb",
                "mnem-backend-native",
            ],
        ),
        ("mnem-cli", vec!["mnem", "mnem-core"]),
        (
            "tests",
            vec![
                "mnem",
                "mnem-core",
                "mnem-vfs",
                "mnem-backend-simple",
                "mnem-backend-redb",
                "mnem-backend-native",
            ],
        ),
    ]);
    let manifest = read(Path::new("Cargo.toml"));
    let members = manifest.lines().find(|line| line.starts_with("members")).unwrap();
    let members: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    assert_eq!(members, allowed.keys().copied().collect(), "a new crate: say here what it may use");
    for (member, allowed) in allowed {
        let manifest = read(&Path::new(member).join("Cargo.toml"));
        for used in dependencies(&manifest).into_iter().filter(|name| name.starts_with("mnem")) {
            assert!(allowed.contains(&used), "{member} may not use {used}");
        }
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member} has the lints of the workspace");
    }
}

/// The headings of a document.
fn headings(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim())
        .collect()
}

#[test]
fn links_in_the_docs_lead_somewhere() {
    let mut checked = 0;
    for path in with_extension("md") {
        let text = read(&path);
        let folder = root().join(path.parent().unwrap());
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            // These two folders come with the issues that fill them.
            if file.starts_with("fuzz/") || file.starts_with("benches/") {
                continue;
            }
            assert!(folder.join(file).exists(), "{}: {target} is not there", path.display());
            if !anchor.is_empty() {
                let other = fs::read_to_string(folder.join(file)).unwrap();
                let slug = |heading: &str| heading.to_lowercase().replace(' ', "-").replace([',', '.'], "");
                assert!(headings(&other).into_iter().any(|heading| slug(heading) == anchor), "{target}");
            }
            checked += 1;
        }
    }
    assert!(checked > 5, "the docs have links");
}

#[test]
fn paths_in_the_docs_are_there() {
    let tops: BTreeSet<String> =
        files().iter().filter_map(|path| Some(path.iter().next()?.to_str()?.to_owned())).collect();
    let mut checked = 0;
    for path in with_extension("md") {
        for word in read(&path).split('`').skip(1).step_by(2) {
            let is_generated = ["target", "corpus", "artifacts"].iter().any(|name| word.contains(name));
            let is_path = word.contains('/')
                && !is_generated
                && tops.contains(word.split('/').next().unwrap())
                && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if is_path {
                assert!(root().join(word).exists(), "{}: `{word}` is not there", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 5, "the docs name files");
}

#[test]
fn code_points_at_headings_that_are_there() {
    // Sections that come with the code that points at them, later than this test.
    let awaited = ["Index rows", "Names"];
    let docs = ["FORMAT.md", "DURABILITY.md"];
    let mut checked = 0;
    for doc in docs {
        let text = read(&Path::new("docs").join(doc));
        let headings = headings(&text);
        for path in with_extension("rs") {
            // A reference may be broken over two lines of a comment.
            let code = read(&path).replace("\n//! ", " ").replace("\n/// ", " ");
            for rest in code.split(&format!("{doc}, \"")).skip(1) {
                let heading = rest.split('"').next().unwrap();
                if heading.contains(['{', '\\']) || awaited.contains(&heading) {
                    continue;
                }
                assert!(headings.contains(heading), "{}: {doc} has no \"{heading}\"", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 3, "the code points at the docs");
}

#[test]
fn every_promise_of_a_port_has_a_check_and_every_check_a_promise() {
    let mut promised = BTreeSet::new();
    for path in with_extension("rs").into_iter().filter(|path| path.starts_with("mnem-core/src/port")) {
        for line in read(&path).lines() {
            let Some(rest) = line.strip_prefix("///  ") else { continue };
            let number = rest.split(' ').next().unwrap();
            let is_number = number.len() >= 2
                && number.starts_with(|c: char| c.is_ascii_uppercase())
                && number[1..].chars().all(|c| c.is_ascii_digit());
            if is_number {
                assert!(promised.insert(number.to_lowercase()), "{number} is promised twice");
            }
        }
    }
    assert!(promised.len() >= 32, "the ports were read");
    let checked: BTreeSet<String> =
        promises().iter().map(|promise| promise.name.split('_').next().unwrap().to_owned()).collect();
    assert_eq!(promised, checked);
}

#[test]
fn every_file_of_a_crate_is_compiled() {
    for path in with_extension("rs") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
        let Some(at) = parts.iter().position(|part| *part == "src") else { continue };
        if parts.len() == at + 2 && matches!(name, "lib" | "main") {
            continue;
        }
        if name == "main" && parts.get(at + 1) == Some(&"bin") {
            continue; // cargo finds programs by their place
        }
        // `a/mod.rs` is declared where `a` lies, `a/b.rs` in `a/mod.rs`, and what lies in `src` in `lib.rs`.
        let folder = path.parent().unwrap();
        let (declared, module) = if name == "mod" {
            (folder.parent().unwrap(), folder.file_name().unwrap().to_str().unwrap())
        } else {
            (folder, name)
        };
        let parents = [declared.join("mod.rs"), declared.join("lib.rs"), declared.join("main.rs")];
        let declares = |parent: &PathBuf| {
            root().join(parent).exists()
                && read(parent).lines().any(|line| line.trim().ends_with(&format!("mod {module};")))
        };
        assert!(parents.iter().any(declares), "{} is compiled by nobody", path.display());
    }
}

#[test]
fn every_test_file_is_run() {
    for path in with_extension("toml").into_iter().filter(|path| !path.starts_with("fuzz")) {
        for switched_off in ["autotests = false", "test = false", "harness = false"] {
            assert!(!read(&path).contains(switched_off), "{}: {switched_off}", path.display());
        }
    }
    // A file beside the tests is one; a folder is one if it has a `main.rs`, else somebody's module.
    for path in with_extension("rs") {
        let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
        let is_test_file = parts.len() == 3 && parts[1] == "tests";
        assert!(
            !is_test_file
                || read(&path).contains("#[test]")
                || read(&path).contains("conformance!")
                || read(&path).contains("proptest!"),
            "{} tests nothing",
            path.display()
        );
    }
}

#[test]
fn every_fixture_is_used() {
    let code: String = with_extension("rs").iter().map(|path| read(path)).collect();
    for path in files().into_iter().filter(|path| path.starts_with("tests/fixtures")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(code.contains(name), "{} is read by no test", path.display());
    }
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let homes = ["/home", "/root", "/Users", "/work"].map(|home| format!("{home}/"));
    for path in files() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for home in &homes {
            for (at, _) in text.match_indices(home.as_str()) {
                // Part of a longer path is something else.
                let before = text[..at].chars().next_back().unwrap_or(' ');
                let is_start = !(before.is_alphanumeric() || ".-_/~".contains(before));
                assert!(!is_start, "{} names {home}", path.display());
            }
        }
    }
}

/// The code of a file without comments, and without its tests, which may use what they like.
fn without_tests(code: &str) -> String {
    let code = code.split("#[cfg(test)]").next().unwrap_or(code);
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn core_has_no_files_clocks_threads_environment_or_terminal() {
    let words = [
        "std::fs",
        "std::env",
        "std::net",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant",
        "println!",
        "eprint",
    ];
    for path in with_extension("rs").into_iter().filter(|path| path.starts_with("mnem-core/src")) {
        let code = read(&path);
        let used = words.iter().find(|word| without_tests(&code).contains(**word));
        assert!(used.is_none() || path.ends_with("tests.rs"), "{} uses {}", path.display(), used.unwrap());
    }
}

#[test]
fn files_are_reached_through_the_seam_alone() {
    let through_the_seam = |path: &Path| {
        path.starts_with("mnem-backend-simple/src")
            || path.starts_with("mnem-backend-native/src")
            || (path.starts_with("mnem-vfs/src") && !path.ends_with("real.rs"))
    };
    for path in with_extension("rs").into_iter().filter(|path| through_the_seam(path)) {
        let code = read(&path);
        let around =
            ["std::fs", "fs::File", "rustix::fs"].iter().find(|word| without_tests(&code).contains(**word));
        assert!(around.is_none(), "{} goes around it with {}", path.display(), around.unwrap());
    }
}

#[test]
fn unsafe_code_is_where_a_decision_names_it() {
    let decisions: String = with_extension("md")
        .iter()
        .filter(|path| path.starts_with("docs/adr"))
        .map(|path| read(path))
        .collect();
    let word = ["un", "safe"].concat();
    let forms = ["{", "fn ", "impl ", "extern "].map(|form| format!("{word} {form}"));
    for path in with_extension("rs") {
        let code = read(&path);
        let uses = forms.iter().any(|form| code.contains(form.as_str()));
        let name = path.to_str().unwrap();
        assert!(!uses || decisions.contains(name), "{name}: no decision in docs/adr names it");
    }
    assert!(read(Path::new("Cargo.toml")).contains("unsafe_code = \"forbid\""));
}
