//! git, with each node as a file, and the edges that leave a node as files in a folder of its name. Commits come in by
//! `git fast-import`, a process each, reads by one `git cat-file --batch` that stays. `core.fsync=all`, so that a commit
//! is durable when it returns, as with the others.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Memory, Record};

struct Git {
    path: PathBuf,
    reader: Option<Reader>,
    bodies: Vec<String>,
    marked: String,
}

/// A process that answers which bytes a name stands for.
struct Reader {
    process: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

pub(crate) fn open(path: &Path) -> Box<dyn Memory> {
    let path = path.join("git");
    if !path.exists() {
        fs::create_dir_all(&path).expect("a folder");
        said(git(&path).args(["init", "-q", "--bare", "-b", "main"]));
    }
    Box::new(Git { path, reader: None, bodies: Vec::new(), marked: String::new() })
}

fn git(path: &Path) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync", "-c", "gc.auto=0", "-C"]).arg(path);
    // Nothing of the user's settings counts.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "bench").env(format!("GIT_{who}_EMAIL"), "bench@example.org");
    }
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().expect("git");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Folders of at most 256 entries, as git has for its own objects.
fn place(node: usize) -> String {
    format!("{:02x}/{:02x}/{node}", node / 256 % 256, node % 256)
}

impl Git {
    fn commit(&mut self, branch: &str, files: &[(String, String)]) {
        let mut input =
            format!("commit refs/heads/{branch}\ncommitter bench <bench@example.org> now\ndata 3\nset\n");
        if self.exists(branch) {
            let _ = writeln!(input, "from refs/heads/{branch}^0");
        }
        for (path, body) in files {
            let _ = write!(input, "M 100644 inline {path}\ndata {}\n{body}\n", body.len());
        }
        input.push_str("\ndone\n");
        let mut import = git(&self.path)
            .args(["fast-import", "--quiet", "--done", "--date-format=now"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("git");
        import.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("a pipe");
        assert!(import.wait().expect("git").success());
        // It keeps what it saw: the next question needs a new one.
        self.reader = None;
    }

    fn exists(&self, branch: &str) -> bool {
        let packed = fs::read_to_string(self.path.join("packed-refs")).unwrap_or_default();
        self.path.join("refs/heads").join(branch).exists() || packed.contains(branch)
    }

    fn ask(&mut self, name: &str) -> Option<Vec<u8>> {
        let path = &self.path;
        let reader = self.reader.get_or_insert_with(|| Reader::start(path));
        writeln!(reader.asks, "{name}").expect("a pipe");
        let mut line = String::new();
        reader.answers.read_line(&mut line).expect("a pipe");
        let length: usize = line.split_whitespace().nth(2)?.parse().ok()?;
        let mut bytes = vec![0; length + 1];
        reader.answers.read_exact(&mut bytes).expect("a pipe");
        Some(bytes)
    }

    fn set_on(&mut self, branch: &str, nodes: &[usize], seen: i64) {
        let files = nodes.iter().map(|node| (place(*node), format!("{}seen: {seen}\n", self.bodies[*node])));
        let files: Vec<_> = files.map(|(place, body)| (format!("nodes/{place}"), body)).collect();
        self.commit(branch, &files);
    }
}

impl Reader {
    fn start(path: &Path) -> Reader {
        let mut process = git(path)
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git");
        let asks = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Reader { process, asks, answers }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Memory for Git {
    fn add(&mut self, records: &[Record]) {
        let mut files = Vec::new();
        for record in records {
            let node = self.bodies.len();
            let body = format!("name: {}\ntext: {}\n", record.name, record.text);
            files.push((format!("nodes/{}", place(node)), body.clone()));
            if let Some(about) = record.about {
                files.push((format!("edges/{}/about-{about}", place(node)), String::new()));
            }
            self.bodies.push(body);
        }
        self.commit("main", &files);
    }

    fn set(&mut self, nodes: &[usize], seen: i64) {
        self.set_on("main", nodes, seen);
    }

    fn get(&mut self, node: usize) -> bool {
        self.ask(&format!("main:nodes/{}", place(node))).is_some()
    }

    fn neighbours(&mut self, node: usize) -> Option<usize> {
        Some(self.ask(&format!("main:edges/{}", place(node))).map_or(0, |_| 1))
    }

    fn by_name(&mut self, _: &str) -> Option<bool> {
        None
    }

    fn mark(&mut self) {
        self.marked = said(git(&self.path).args(["rev-parse", "main"]));
    }

    fn get_marked(&mut self, node: usize) -> bool {
        self.ask(&format!("{}:nodes/{}", self.marked, place(node))).is_some()
    }

    fn history(&mut self, node: usize) -> Option<usize> {
        let path = format!("nodes/{}", place(node));
        Some(said(git(&self.path).args(["log", "--format=%H", "main", "--", &path])).lines().count())
    }

    fn diff(&mut self) -> Option<usize> {
        let mut diff = git(&self.path);
        Some(said(diff.args(["diff-tree", "-r", "--name-only", &self.marked, "main"])).lines().count())
    }

    fn merge(&mut self, left: &[usize], right: &[usize]) -> Option<Duration> {
        said(git(&self.path).args(["branch", "side", "main"]));
        self.set_on("side", left, 100);
        self.set_on("main", right, 200);
        let start = Instant::now();
        let tree = said(git(&self.path).args(["merge-tree", "--write-tree", "main", "side"]));
        let commit =
            said(git(&self.path).args(["commit-tree", &tree, "-p", "main", "-p", "side", "-m", "merge"]));
        said(git(&self.path).args(["update-ref", "refs/heads/main", &commit]));
        Some(start.elapsed())
    }

    fn clone_to(&mut self, folder: &Path) -> Option<()> {
        // Objects are carried over one by one, as they are to another machine, not linked.
        said(git(&self.path).args(["clone", "-q", "--mirror", "--no-local", "."]).arg(folder));
        Some(())
    }
}
