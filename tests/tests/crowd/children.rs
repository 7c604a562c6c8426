//! Processes that write until they are killed, and what they say.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Tells a child where to write.
pub(crate) const PLACE: &str = "MNEM_TEST_PLACE";

/// Processes at one place. All of them are killed when it goes.
pub(crate) struct Crowd {
    test: String,
    url: String,
    children: Vec<Writer>,
    lines: Arc<Mutex<Vec<String>>>,
    until: Instant,
    next: usize,
}

struct Writer {
    process: Child,
    listener: JoinHandle<()>,
}

impl Crowd {
    pub(crate) fn start(test: &str, url: &str, count: usize, limit: Duration) -> Crowd {
        let (test, url) = (test.to_owned(), url.to_owned());
        let lines = Arc::default();
        let mut crowd =
            Crowd { test, url, children: Vec::new(), lines, until: Instant::now() + limit, next: 0 };
        (0..count).for_each(|_| crowd.spawn());
        crowd
    }

    fn spawn(&mut self) {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", &self.test, "--include-ignored", "--nocapture", "--test-threads", "1"])
            .env(PLACE, &self.url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let lines = Arc::clone(&self.lines);
        let listener = thread::spawn(move || listen(output, &lines));
        self.children.push(Writer { process, listener });
    }

    /// Waits until so many commits were acknowledged.
    pub(crate) fn wait_for(&mut self, commits: usize) {
        while self.lines.lock().unwrap().len() < commits {
            assert!(Instant::now() < self.until, "{} of {commits} commits", self.lines.lock().unwrap().len());
            for child in &mut self.children {
                assert_eq!(child.process.try_wait().unwrap(), None, "a writer ended by itself");
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills one, wherever it is in its work, and starts another.
    pub(crate) fn replace_one(&mut self) {
        // Steps by a number that is prime to any small count: all come to it in turn.
        self.next = (self.next + 5) % self.children.len();
        let killed = self.children.swap_remove(self.next);
        finish(killed);
        self.spawn();
    }

    /// Kills all and returns what they said.
    pub(crate) fn end(mut self) -> Vec<String> {
        self.children.drain(..).for_each(finish);
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended already is gone as well.
            let _ = child.process.kill();
            let _ = child.process.wait();
        }
    }
}

fn finish(mut writer: Writer) {
    writer.process.kill().unwrap();
    writer.process.wait().unwrap();
    writer.listener.join().unwrap();
}

/// Takes the lines that are marked with `!`. One that the kill cut short does not count.
fn listen(output: ChildStdout, lines: &Mutex<Vec<String>>) {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        if let Some(said) = line.strip_prefix('!').and_then(|said| said.strip_suffix('\n')) {
            lines.lock().unwrap().push(said.to_owned());
        }
        line.clear();
    }
}
