//! Search by nearness on the command line.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod common;

use common::Shell;

#[test]
fn what_is_recorded_is_embedded_and_found_at_two_moments() {
    let shell = Shell::new();
    for line in [
        "mnem init --time 2026-10-01",
        "mnem config set embedder hash-ngram/1",
        "mnem add Machine name=Engine does='weaves algebra' --time 2026-10-02",
        "mnem add Machine name=Loom does='weaves cloth' --time 2026-10-02",
        "mnem set Machine/Engine does='composes music' --time 2026-10-09",
    ] {
        shell.ok(line);
    }
    let now = shell.run("mnem search --like 'composing pieces of music' -n 1");
    assert!(now.out.contains("Machine/Engine  composes music"), "{now:?}");
    assert!(now.err.contains("by hash-ngram/1, which knows letters, not meaning"), "{now:?}");
    let then = shell.run("mnem search --like 'weaving algebra' -n 1 --at '*2026-10-04'");
    assert!(then.out.contains("Machine/Engine  weaves algebra"), "{then:?}");
    let hits = shell.run("mnem search --like music --json").json();
    assert_eq!(hits.len(), 2);
    assert_eq!(hits[0]["by"], "hash-ngram/1");
    assert!(hits[0]["score"].as_f64() > hits[1]["score"].as_f64());
    let none = shell.ok("mnem search --like music --label Nobody");
    assert_eq!(none, "");

    shell.ok("mnem schema declare does text --words");
    let both = shell.run("mnem search cloth --like 'weaves' --json -n 1").json();
    assert_eq!(
        (&both[0]["by"], &both[0]["title"]),
        (&"words and hash-ngram/1".into(), &"Machine/Loom".into())
    );
}

#[test]
fn a_program_makes_vectors_and_numbers_are_searched_by_hand() {
    let shell = Shell::with_story();
    let early = shell.run("mnem search --like Ada");
    assert_eq!(early.exit, 1, "{early:?}");
    assert!(early.err.contains("mnem embed"), "{early:?}");
    let script = "while read -r line; do echo \"{\\\"vector\\\":[${#line}, 10]}\"; done\n";
    std::fs::write(shell.folder().join("embed.sh"), script).unwrap();
    let said = shell.ok("mnem embed --embedder 'lengths=sh embed.sh'");
    assert_eq!(said, "lengths: 3 new vectors, 3 nodes\n");
    assert_eq!(shell.ok("mnem embed --embedder 'lengths=sh embed.sh'"), "lengths: 0 new vectors, 3 nodes\n");
    let near = shell.ok("mnem search --vector '[1, 20]' --embedder lengths -n 1");
    assert!(near.contains("Person/Ada"), "{near}");
    let wrong = shell.run("mnem search --vector '[1]' --embedder lengths");
    assert!(wrong.err.contains("it has 1 numbers, not 2"), "{wrong:?}");
    assert_eq!(shell.run("mnem search --vector music --embedder lengths").exit, 2);
    assert_eq!(shell.run("mnem search").exit, 2);
    assert_eq!(shell.run("mnem embed --embedder what").exit, 2);
    assert_ne!(shell.run("mnem embed --embedder 'x=/nowhere/at-all'").exit, 0);
}

#[test]
fn the_tour_takes_a_sentence_of_ones_own() {
    let shell = Shell::new();
    let said = shell.ok("mnem tour --text \"the engine weaves, doesn't it\"");
    assert!(said.contains("8 Your own sentence."), "{said}");
    assert!(said.contains("1.00  Note/"), "{said}");
}
