//! Text for people: escapes what could drive their terminal, and paints.

use anstyle::{AnsiColor, Style};

/// What colour repeats. Every one of them also shows without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// New.
    Added,
    /// Changed.
    Changed,
    /// Gone.
    Removed,
    /// In conflict, or an error.
    Bad,
    /// An id.
    Id,
    /// The name of a branch or tag.
    Name,
    /// What to do next.
    Hint,
    /// Less important.
    Dim,
}

impl Paint {
    fn style(self) -> Style {
        let color = |color: AnsiColor| color.on_default();
        match self {
            Paint::Added => color(AnsiColor::Green),
            Paint::Changed => color(AnsiColor::Yellow),
            Paint::Removed => color(AnsiColor::Red),
            Paint::Bad => color(AnsiColor::Red).bold(),
            Paint::Id => color(AnsiColor::Magenta),
            Paint::Name => color(AnsiColor::Blue).bold(),
            Paint::Hint => color(AnsiColor::Cyan),
            Paint::Dim => Style::new().dimmed(),
        }
    }
}

/// Returns how many of something there are.
pub(crate) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Lines for people.
pub(crate) struct Text {
    color: bool,
    written: String,
}

impl Text {
    pub(crate) const fn new(color: bool) -> Text {
        Text { color, written: String::new() }
    }

    /// Adds text. Control characters in it, line ends included, are written out: what was stored drives no terminal.
    pub(crate) fn plain(&mut self, text: &str) -> &mut Text {
        for c in text.chars() {
            if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                self.written.extend(c.escape_default());
            } else {
                self.written.push(c);
            }
        }
        self
    }

    /// Adds text in a colour, where there are colours.
    pub(crate) fn painted(&mut self, paint: Paint, text: &str) -> &mut Text {
        if !self.color {
            return self.plain(text);
        }
        let style = paint.style();
        self.written.push_str(&style.render().to_string());
        self.plain(text);
        self.written.push_str(&style.render_reset().to_string());
        self
    }

    /// Adds what this program made, as it is, line ends and all.
    pub(crate) fn generated(&mut self, bytes: &[u8]) -> &mut Text {
        self.written.push_str(&String::from_utf8_lossy(bytes));
        self
    }

    /// Ends the line.
    pub(crate) fn end(&mut self) -> &mut Text {
        self.written.push('\n');
        self
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_drives_no_terminal() {
        let mut text = Text::new(false);
        text.plain("a\u{1b}[31m\nb\u{202e}é").end();
        assert_eq!(text.as_str(), "a\\u{1b}[31m\\nb\\u{202e}é\n");
    }

    #[test]
    fn colour_is_written_only_where_there_are_colours() {
        let painted = |color| Text::new(color).painted(Paint::Id, "x").as_str().to_owned();
        assert_eq!(painted(false), "x");
        assert!(painted(true).contains("\u{1b}["));
    }
}
