//! Long output goes through a pager, if somebody sits at a terminal.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

/// A running pager. Dropping it waits until the reader has closed it.
pub(crate) struct Pager(Child);

impl Pager {
    /// Starts `command`, or what `PAGER` names, or `less`. `None` if there is none.
    pub(crate) fn start(command: Option<&str>) -> Option<Pager> {
        let usual = std::env::var("PAGER").ok();
        let command = command.or(usual.as_deref()).unwrap_or("less");
        let mut words = command.split_whitespace();
        let program = words.next().filter(|program| *program != "cat")?;
        // Leaves short output on the screen, passes colours on, and keeps the screen at the end.
        let flags = if program == "less" && command.trim() == "less" { &["-FRX"][..] } else { &[] };
        let child = Command::new(program).args(words).args(flags).stdin(Stdio::piped()).spawn();
        child.ok().map(Pager)
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0.stdin {
            Some(stdin) => stdin.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.stdin.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        // Closing its input is how the pager hears of the end.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
