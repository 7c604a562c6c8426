//! A restore that is killed at any moment: run again, it ends with the whole repository, or says that it is there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use common::Shell;

#[test]
fn a_restore_that_is_killed_at_any_moment_is_finished_by_the_next() {
    let shell = Shell::new();
    let mut lines = "{\"schema\":\"mnem.graph/1\"}\n".to_owned();
    for number in 0..1500_u32 {
        let id = format!("01a1fd8c-6900-7c1e-a5d0-{number:012}");
        writeln!(lines, "{{\"node\":\"{id}\",\"labels\":[\"Note\"],\"props\":{{\"n\":{number}}}}}").unwrap();
    }
    std::fs::write(shell.folder().join("lines.jsonl"), lines).unwrap();
    shell.ok("mnem init");
    shell.ok("mnem import lines.jsonl");
    shell.ok("mnem backup kept");
    let (mut cut_off, mut done) = (0, 0);
    for round in 0..10_u64 {
        let mut restore = shell
            .mnem()
            .args(["restore", "kept", &format!("again-{round}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round * round * 3));
        restore.kill().unwrap();
        restore.wait().unwrap();
        let was_there = shell.folder().join(format!("again-{round}/.mnem/store")).exists();
        let again = shell.run(&format!("mnem restore kept again-{round} --json"));
        if was_there {
            assert_eq!(again.exit, 1, "{}", again.err);
            assert!(again.err.contains("exists") && again.err.contains("hint"), "{}", again.err);
            done += 1;
        } else {
            assert_eq!(again.exit, 0, "{}", again.err);
            cut_off += 1;
        }
        let stats = shell.run(&format!("mnem -R again-{round} stats --json")).json();
        assert_eq!(stats[0]["nodes"], 1500, "round {round}");
        let left: Vec<_> =
            std::fs::read_dir(shell.folder().join(format!("again-{round}/.mnem"))).unwrap().collect();
        assert!(left.len() <= 2, "{left:?}");
    }
    println!("{cut_off} cut off, {done} done before");
}
