//! What is shown: the one place that decides between people and programs, on colour, and on the pager.
//!
//! Commands hand over [`Record`]s: things that can be written as JSON and as text. A stream is one record after the other.

mod pager;
mod text;

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::{Map, Value as Json, json};

use crate::args::{ColorChoice, Global};
use crate::failure::Failure;
use pager::Pager;
pub(crate) use text::{Paint, Text, counted};

/// Fields of a JSON object, in the order they are written in.
pub(crate) type Fields = Map<String, Json>;

/// Something that can be shown.
pub(crate) trait Record {
    /// Says what the JSON form is, with its version: `mnem.log/1`.
    fn schema(&self) -> &'static str;
    /// Writes the fields of the JSON form.
    fn fields(&self, fields: &mut Fields);
    /// Writes the form for people: whole lines.
    fn text(&self, text: &mut Text);
}

/// Where all output goes.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    color: bool,
    color_of_errors: bool,
    may_page: bool,
    sink: Sink,
}

enum Sink {
    Plain(io::BufWriter<io::Stdout>),
    Paged(Pager),
}

impl Output {
    /// Looks at the flags, the environment and the terminal.
    pub(crate) fn new(global: &Global) -> Output {
        let out_is_terminal = io::stdout().is_terminal();
        Output {
            json: global.json,
            quiet: global.quiet,
            color: wants_color(global.color, out_is_terminal) && !global.json,
            color_of_errors: wants_color(global.color, io::stderr().is_terminal()) && !global.json,
            may_page: out_is_terminal && !global.no_pager && !global.json,
            sink: Sink::Plain(io::BufWriter::new(io::stdout())),
        }
    }

    /// Starts the pager, if there is a terminal and nobody forbids it: before long output.
    pub(crate) fn page(&mut self, command: Option<&str>) {
        if self.may_page
            && let Some(pager) = Pager::start(command)
        {
            self.sink = Sink::Paged(pager);
        }
    }

    /// Shows what was asked for.
    pub(crate) fn data(&mut self, record: &impl Record) -> Result<(), Failure> {
        if self.json {
            let mut fields = Fields::new();
            fields.insert("schema".into(), json!(record.schema()));
            record.fields(&mut fields);
            return self.write(&format!("{}\n", Json::Object(fields)));
        }
        let mut text = Text::new(self.color);
        record.text(&mut text);
        self.write(text.as_str())
    }

    /// Says whether somebody sits at stderr to see how far long work is.
    pub(crate) fn wants_progress(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal()
    }

    /// Shows what was done: nothing of it if quiet is asked for.
    pub(crate) fn report(&mut self, record: &impl Record) -> Result<(), Failure> {
        if self.quiet && !self.json { Ok(()) } else { self.data(record) }
    }

    /// Says what to do next. Programs read it in no form.
    pub(crate) fn hint(&mut self, hint: &str) -> Result<(), Failure> {
        if self.quiet || self.json {
            return Ok(());
        }
        self.flush()?;
        write_hint(hint, self.color_of_errors);
        Ok(())
    }

    /// Says why a command was not done.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        // What was shown before the failure stays in front of it.
        let _ = self.finish();
        if self.json {
            return Output::json_failure(failure);
        }
        let mut text = Text::new(self.color_of_errors);
        text.painted(Paint::Bad, "error").plain(": ").plain(&failure.message).end();
        for cause in &failure.causes {
            text.plain("  caused by: ").plain(cause).end();
        }
        // The hint names one that is alone.
        for candidate in failure.candidates.iter().filter(|_| failure.candidates.len() > 1) {
            text.plain("  ").plain(candidate).end();
        }
        eprint!("{}", text.as_str());
        if let Some(hint) = &failure.hint {
            write_hint(hint, self.color_of_errors);
        }
    }

    /// Says to a program why a command was not done.
    pub(crate) fn json_failure(failure: &Failure) {
        let mut fields = Fields::new();
        fields.insert("schema".into(), json!("mnem.error/1"));
        fields.insert("code".into(), json!(failure.code));
        fields.insert("message".into(), json!(failure.message));
        if !failure.causes.is_empty() {
            fields.insert("causes".into(), json!(failure.causes));
        }
        if let Some(hint) = &failure.hint {
            fields.insert("hint".into(), json!(hint));
        }
        if !failure.candidates.is_empty() {
            fields.insert("candidates".into(), json!(failure.candidates));
        }
        fields.insert("exit".into(), json!(failure.exit as u8));
        eprintln!("{}", Json::Object(fields));
    }

    /// Writes bytes as they are: generated files.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.sink {
            Sink::Plain(out) => out.write_all(bytes)?,
            Sink::Paged(pager) => pager.write_all(bytes)?,
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.raw(text.as_bytes())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.sink {
            Sink::Plain(out) => out.flush()?,
            Sink::Paged(pager) => pager.flush()?,
        }
        Ok(())
    }

    /// Brings everything out, and waits until the pager is closed.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.sink = Sink::Plain(io::BufWriter::new(io::stdout()));
        Ok(())
    }
}

fn write_hint(hint: &str, color: bool) {
    let mut text = Text::new(color);
    text.painted(Paint::Hint, "hint").plain(": ").plain(hint).end();
    eprint!("{}", text.as_str());
}

fn wants_color(choice: ColorChoice, is_terminal: bool) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if is_set("NO_COLOR") => false,
        ColorChoice::Auto => {
            let forced =
                std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
            forced || is_terminal
        }
    }
}
