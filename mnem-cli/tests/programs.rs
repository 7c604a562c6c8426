//! What programs rest on: the JSON of every command has the fields that docs/guide/json.md lists, errors have a word, an
//! exit code and a hint, and change nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use common::{Shell, commands};
use serde_json::Value as Json;

/// For each schema, the fields that are always there and those that may be.
fn schemas() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let page = include_str!("../../docs/guide/json.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `mnem.")).map(|line| {
        let mut cells = line.split('|').map(str::trim);
        let schema = format!("mnem.{}", cells.next().unwrap().trim_end_matches('`'));
        let fields: Vec<&str> = cells.next().unwrap().split(", ").collect();
        let (may, must): (Vec<&str>, Vec<&str>) = fields.into_iter().partition(|field| field.ends_with('?'));
        let must = must.into_iter().map(str::to_owned).collect();
        (schema, (must, may.into_iter().map(|field| field.trim_end_matches('?').to_owned()).collect()))
    });
    let schemas: BTreeMap<_, _> = rows.collect();
    assert!(schemas.len() > 20, "the page lists schemas");
    schemas
}

/// Checks an object against the page, and returns its schema.
#[track_caller]
fn check(object: &Json) -> String {
    let schema = object["schema"].as_str().unwrap_or_else(|| panic!("{object} names no schema"));
    let schemas = schemas();
    let (must, may) = schemas.get(schema).unwrap_or_else(|| panic!("{schema} is not on the page"));
    let found: BTreeSet<String> =
        object.as_object().unwrap().keys().filter(|name| *name != "schema").cloned().collect();
    assert!(must.is_subset(&found), "{schema} lacks {:?}", must.difference(&found));
    let known = must | may;
    assert!(found.is_subset(&known), "{schema} has {:?}", found.difference(&known));
    schema.to_owned()
}

/// Every command, in the order that a story needs, and what schema it answers in.
const WALK: &[(&str, &str)] = &[
    ("init", "mnem.init/1"),
    ("status", "mnem.status/1"),
    ("add Person name=Ada born=1815 --time 2026-10-01", "mnem.commit/1"),
    ("add Machine name=Engine --time 2026-10-02", "mnem.commit/1"),
    ("link Person/Ada described Machine/Engine year=1843 --time 2026-10-03", "mnem.commit/1"),
    ("set Person/Ada born=1816 died=1852 --time 2026-10-04", "mnem.commit/1"),
    ("set Person/Ada born=1816", "mnem.unchanged/1"),
    ("unset Person/Ada died --time 2026-10-05", "mnem.commit/1"),
    ("get Person/Ada", "mnem.node/1"),
    ("neighbors Person/Ada", "mnem.neighbor/1"),
    ("query Person", "mnem.node/1"),
    ("query --edges described", "mnem.edge/1"),
    ("query Person --count", "mnem.count/1"),
    ("query Person --explain", "mnem.explain/1"),
    ("history Person/Ada", "mnem.history/1"),
    ("blame Person/Ada", "mnem.blame/1"),
    ("log", "mnem.log/1"),
    ("show", "mnem.show/1"),
    ("diff", "mnem.diff/1"),
    ("diff main~2 --stat", "mnem.diff-stat/1"),
    ("tag v1", "mnem.tag/1"),
    ("tag", "mnem.tag/1"),
    ("branch drafts", "mnem.branch/1"),
    ("branch", "mnem.branch/1"),
    ("switch drafts", "mnem.switch/1"),
    ("branch letters", "mnem.branch/1"),
    ("branch --delete letters", "mnem.branch/1"),
    ("tag --delete v1", "mnem.tag/1"),
    ("set Person/Ada born=1817", "mnem.commit/1"),
    ("switch main", "mnem.switch/1"),
    ("set Person/Ada born=1818", "mnem.commit/1"),
    ("merge drafts --dry-run", "mnem.merge/1"),
    ("merge drafts", "mnem.merge/1"),
    ("conflicts", "mnem.conflict/1"),
    ("get Person/Ada", "mnem.node/1"),
    ("resolve Person/Ada born=1816", "mnem.commit/1"),
    ("cherry-pick drafts --dry-run", "mnem.merge/1"),
    ("revert main~2 --dry-run", "mnem.merge/1"),
    ("export", "mnem.graph/1"),
    ("export -o all.jsonl", "mnem.export/1"),
    ("rm Machine/Engine --dry-run", "mnem.unchanged/1"),
    ("unlink Person/Ada described Machine/Engine", "mnem.commit/1"),
    ("rm Machine/Engine", "mnem.commit/1"),
    ("import all.jsonl", "mnem.import/1"),
    ("schema declare born int --indexed", "mnem.property/1"),
    ("schema list", "mnem.property/1"),
    ("schema declare name text --words", "mnem.property/1"),
    ("search Ada", "mnem.hit/1"),
    ("embed --embedder hash-ngram/1", "mnem.embed/1"),
    ("search --like Augusta", "mnem.hit/1"),
    ("search Ada --like Augusta", "mnem.hit/1"),
    ("schema undeclare born", "mnem.property/1"),
    ("undo", "mnem.undo/1"),
    ("redo", "mnem.undo/1"),
    ("op log", "mnem.operation/1"),
    ("op revert $(mnem op log --json -n 1 | cut -d '\"' -f 8)", "mnem.op/1"),
    ("clone . copy", "mnem.clone/1"),
    ("remote add origin copy", "mnem.remote/1"),
    ("remote", "mnem.remote/1"),
    ("fetch", "mnem.fetch/1"),
    ("set Person/Ada born=1820", "mnem.commit/1"),
    ("push --dry-run", "mnem.push/1"),
    ("push", "mnem.push/1"),
    ("pull", "mnem.fetch/1"),
    ("export --car -o all.car", "mnem.archive/1"),
    ("import all.car", "mnem.fetch/1"),
    ("remote remove origin", "mnem.remote/1"),
    ("stats", "mnem.stats/1"),
    ("fsck", "mnem.fsck/1"),
    ("backup kept --dry-run", "mnem.backup-plan/1"),
    ("backup kept", "mnem.backup/1"),
    ("backup kept --list", "mnem.backup/1"),
    ("backup kept --verify", "mnem.verified/1"),
    ("restore kept again", "mnem.restore/1"),
    ("doctor --level blocks", "mnem.doctor/1"),
    ("doctor --superblocks", "mnem.doctor-shown/1"),
    ("doctor $(touch .mnem/store/notes.txt)", "mnem.ailment/1"),
    ("repair saved --dry-run", "mnem.repair-plan/1"),
    ("repair saved", "mnem.repair/1"),
    ("gc --keep-ops 1 --keep-days 0", "mnem.gc/1"),
    ("config set actor grace", "mnem.config/1"),
    ("config get actor", "mnem.setting/1"),
    ("config list", "mnem.setting/1"),
    ("config path", "mnem.config-file/1"),
    ("completions bash", "mnem.completions/1"),
    ("man get", "mnem.man/1"),
    ("tour", "mnem.tour/1"),
];

#[test]
fn every_command_answers_in_json_with_the_fields_of_its_schema() {
    let shell = Shell::new();
    let mut seen = BTreeSet::new();
    for (line, schema) in WALK {
        let done = shell.run(&format!("mnem {line} --json"));
        // Conflicts that are left to settle are no failure.
        assert!(matches!(done.exit, 0 | 3), "{line}\n{}{}", done.out, done.err);
        assert_eq!(done.err, "", "{line} has nothing to say beside its answer");
        let objects = done.json();
        assert!(!objects.is_empty(), "{line} answers");
        assert_eq!(check(&objects[0]), *schema, "{line}");
        // After its first line an export has lines of another form.
        if *schema != "mnem.graph/1" {
            objects.iter().for_each(|object| drop(check(object)));
        }
        seen.insert((*schema).to_owned());
    }
    let walked: BTreeSet<&str> = WALK.iter().filter_map(|(line, _)| line.split(' ').next()).collect();
    for command in commands(&shell) {
        assert!(walked.contains(command.as_str()), "`mnem {command} --json` is not walked");
    }
    // What only a failure, or a store with a fault in it, has to say.
    seen.extend(["mnem.error/1", "mnem.finding/1"].map(str::to_owned));
    assert_eq!(
        schemas().into_keys().collect::<BTreeSet<_>>(),
        seen,
        "the page lists what is there, and no more"
    );
}

/// Ways to go wrong: the line, the word for it, the exit code.
const WRONG: &[(&str, &str, i32)] = &[
    ("frob", "usage", 2),
    ("set Person/Ada", "usage", 2),
    ("set Person/Ada born", "usage", 2),
    ("set Person/Ada born=null", "usage", 2),
    ("add name=Ada", "usage", 2),
    ("get Person/Nobody", "unknown", 12),
    ("get 01a1fd8c-6900-7c1e-a5d0-93b1f2c7e604", "unknown", 12),
    ("get Person/Ada --at nowhere", "unknown", 12),
    ("get Person/Ada --at main~x", "bad-revision", 2),
    ("get Person/Ada --at main~99", "nothing-there", 12),
    ("get Person/Ada --at '*1999-01-01'", "nothing-there", 12),
    ("get Person/Twin", "ambiguous", 1),
    ("link Person/Ada described Person/Nobody", "unknown", 12),
    ("unlink Person/Ada knows Machine/Engine", "no-such-entity", 12),
    ("branch letters", "taken", 1),
    ("merge nowhere", "unknown", 12),
    ("resolve Person/Ada --ours", "not-in-conflict", 1),
    ("resolve Person/Ada", "usage", 2),
    ("branch 'a b'", "bad-name", 2),
    ("tag v1", "taken", 1),
    ("tag --delete v9", "unknown", 12),
    ("branch --delete main", "in-use", 1),
    ("switch nowhere", "unknown", 12),
    ("set Person/Ada born=1 --time yesterday", "usage", 2),
    ("set Person/Ada born=1 --time 1815-12-10", "time-too-far-ahead", 1),
    ("init", "exists", 1),
    ("config set wait soon", "usage", 2),
    ("config get nothing", "unknown", 12),
    ("config get pager", "unset", 12),
    ("query Person '=1'", "usage", 2),
    ("schema declare born integer", "usage", 2),
    ("schema undeclare nothing", "unknown", 12),
    ("fetch", "unknown", 12),
    ("push nowhere", "unknown", 12),
    ("pull nowhere", "unknown", 12),
    ("remote remove nowhere", "unknown", 12),
    ("remote add a/b .", "bad-name", 2),
    ("remote add other nowhere", "no-repository", 10),
    ("clone nowhere copy", "no-repository", 10),
    ("clone . .", "exists", 1),
    ("export --car --at main --without main -o x.car", "nothing-new", 1),
    ("import broken.car", "bad-archive", 1),
    ("import no-such-file", "io", 1),
    ("import wrong.jsonl", "bad-line", 1),
    ("man nothing", "unknown", 12),
    ("backup .", "unsuitable", 1),
    ("backup wrong.jsonl --list", "not-a-backup", 1),
    ("restore nowhere again", "unknown", 12),
    ("restore - --dry-run", "usage", 2),
    ("-R simple:other doctor", "unsupported", 1),
    ("-R nowhere status", "no-repository", 10),
    ("-R native:nowhere status", "missing", 10),
    ("-R what:ever status", "bad-url", 2),
];

#[test]
fn every_error_has_a_word_an_exit_code_and_a_hint_and_changes_nothing() {
    let shell = Shell::with_story();
    for time in ["2026-10-05", "2026-10-06"] {
        shell.ok(&format!("mnem add Person name=Twin --time {time}"));
    }
    std::fs::write(
        shell.folder().join("wrong.jsonl"),
        "{\"schema\":\"mnem.graph/1\"}\n{\"node\":1,\"x\":2}\n",
    )
    .unwrap();
    shell.ok("mnem export --car -o whole.car && head -c 500 whole.car > broken.car");
    let everything =
        || shell.ok("mnem log --json; mnem branch --json; mnem tag --json; mnem config list --json");
    let before = everything();
    for (line, code, exit) in WRONG {
        let done = shell.run(&format!("mnem {line} --json"));
        assert_eq!(done.exit, *exit, "{line}\n{}{}", done.out, done.err);
        assert_eq!(done.out, "", "{line} answers nothing");
        let error: Json =
            serde_json::from_str(&done.err).unwrap_or_else(|why| panic!("{line}: {why}\n{}", done.err));
        assert_eq!(check(&error), "mnem.error/1");
        assert_eq!(
            (error["code"].as_str(), error["exit"].as_i64()),
            (Some(*code), Some((*exit).into())),
            "{line}"
        );
        let needs_hint = !matches!(*code, "io" | "bad-name" | "bad-line");
        assert!(!needs_hint || error["hint"].is_string(), "{line} says what to do: {error}");
        let done = shell.run(&format!("mnem {line}"));
        assert_eq!(done.exit, *exit, "{line} for people");
        assert!(done.err.starts_with("error: "), "{line}: {}", done.err);
    }
    assert_eq!(everything(), before, "nothing changed");
}

/// The examples of a help text: from its head to its usage, without the words behind them.
fn examples(help: &str) -> Vec<String> {
    let head = help.split("Usage:").next().unwrap();
    let lines = head.lines().filter_map(|line| line.strip_prefix("  "));
    lines.map(|line| line.split("   ").next().unwrap().to_owned()).collect()
}

#[test]
fn the_help_of_every_command_has_examples_that_run() {
    let shell = Shell::with_story();
    for command in commands(&shell) {
        let help = shell.ok(&format!("mnem {command} -h"));
        let examples = examples(&help);
        assert!(!examples.is_empty(), "`mnem {command} -h` has an example");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "`mnem {command} -h` fits");
        for example in examples {
            assert!(example.starts_with("mnem "), "{example}");
            // Each in a repository of its own: they do not build on each other.
            let shell = if command == "init" { Shell::new() } else { Shell::with_story() };
            if command == "resolve" {
                shell
                    .ok("mnem set Person/Ada born=1814 && MNEM_BRANCH=letters mnem set Person/Ada born=1816");
                assert_eq!(shell.run("mnem merge letters").exit, 3);
            }
            if command == "import" {
                shell.ok("mnem export -o all.jsonl && mnem export --car -o all.car");
            }
            if matches!(command.as_str(), "fetch" | "push" | "pull") {
                shell.ok("mnem clone . copy && mnem remote add origin copy && mnem remote add backup copy");
            }
            if matches!(command.as_str(), "backup" | "restore") {
                shell.ok("mnem backup kept");
            }
            let done = shell.run(&example);
            assert_eq!(done.exit, 0, "{example}\n{}{}", done.out, done.err);
        }
        let page = shell.ok(&format!("mnem man {command}"));
        assert!(page.contains(".SH"), "there is a manual page of {command}");
    }
}

#[test]
fn what_is_exported_and_imported_is_the_same_state() {
    let shell = Shell::with_story();
    shell.ok("mnem export -o all.jsonl");
    shell.ok("mnem init copy");
    for round in 0..2 {
        let done = shell.run("mnem -R copy import all.jsonl --json").json();
        let expected = if round == 0 { (3, 1, 0) } else { (0, 0, 4) };
        let count = |name: &str| done[0][name].as_i64().unwrap();
        assert_eq!((count("nodes"), count("edges"), count("present")), expected);
    }
    let without_head = |text: String| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let (there, here) = (shell.ok("mnem -R copy export"), shell.ok("mnem export"));
    assert_eq!(without_head(there), without_head(here));
}

#[test]
fn an_import_names_the_line_that_it_cannot_take() {
    let shell = Shell::with_story();
    let head = r#"{"schema":"mnem.graph/1"}"#;
    let id = "01a1fd8c-6900-7c1e-a5d0-93b1f2c7e604";
    for (lines, says) in [
        (String::new(), "line 1: it is to say"),
        ("{}".to_owned(), "line 1: it is to say"),
        (format!("{head}\n\nnothing"), "line 3: it is no JSON"),
        (format!("{head}\n[]"), "line 2: it is no object"),
        (format!("{head}\n{{}}"), "line 2: it is neither"),
        (format!("{head}\n{{\"node\":\"x\"}}"), "line 2: `node` is to be an id"),
        (format!("{head}\n{{\"node\":\"{id}\",\"lables\":[]}}"), "line 2: `lables` means nothing here"),
        (format!("{head}\n{{\"node\":\"{id}\",\"props\":{{\"a\":null}}}}"), "line 2: `props`"),
        (
            format!("{head}\n{{\"edge\":\"{id}\",\"src\":\"{id}\",\"type\":\"x\",\"dst\":\"{id}\"}}"),
            "line 2: edge",
        ),
    ] {
        std::fs::write(shell.folder().join("lines.jsonl"), &lines).unwrap();
        let done = shell.run("mnem import lines.jsonl");
        assert_eq!(done.exit, 1, "{lines}\n{}", done.err);
        assert!(done.err.contains(says), "{lines}\n{}", done.err);
    }
    assert_eq!(shell.run("mnem stats --json").json()[0]["nodes"], 3, "nothing was recorded");
}

#[test]
fn two_programs_on_one_repository_wait_for_each_other() {
    for store in ["native", "redb", "simple"] {
        let shell = Shell::new();
        shell.ok(&format!("mnem init --store {store}"));
        let adding: Vec<_> = (0..4)
            .map(|n| shell.mnem().args(["add", "Note", &format!("n={n}"), "-q"]).spawn().unwrap())
            .collect();
        for mut one in adding {
            assert!(one.wait().unwrap().success(), "{store}");
        }
        assert_eq!(shell.run("mnem stats --json").json()[0]["nodes"], 4, "{store}");
    }
}

#[test]
fn commands_work_beside_a_program_that_has_the_repository_open() {
    let shell = Shell::new();
    shell.ok("mnem init --store native");
    let mut holder =
        shell.mnem().args(["import", "-"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    for n in 0..5 {
        shell.ok(&format!("mnem --wait 0 add Note n={n} -q"));
        assert_eq!(shell.run("mnem --wait 0 stats --json").json()[0]["nodes"], n + 1);
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(shell.run("mnem stats --json").json()[0]["nodes"], 5);
}

#[test]
fn whoever_will_not_wait_is_told_that_it_is_in_use() {
    // Whoever wants the store for itself. Several commands use a native one at once.
    let store = "redb";
    let shell = Shell::new();
    shell.ok(&format!("mnem init --store {store}"));
    // Imports from a pipe that stays open: it holds the repository.
    let mut holder =
        shell.mnem().args(["import", "-"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let done = (0..200)
        .map(|_| shell.run("mnem --wait 0 status --json"))
        .find(|done| done.exit != 0)
        .expect("the holder opens it soon");
    let error: Json = serde_json::from_str(&done.err).unwrap();
    assert_eq!((done.exit, error["code"].as_str()), (11, Some("locked")), "{store}");
    assert!(error["hint"].as_str().unwrap().contains("--wait"), "{store}");
    drop(holder.stdin.take());
    assert!(!holder.wait().unwrap().success(), "an empty import is refused");
    shell.ok("mnem status");
}
