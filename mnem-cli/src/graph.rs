//! The drawing beside a log: a column for each line of commits that is open.
//!
//! Commits come children first. Each stands in the column that waits for it; columns that wait for the same commit meet
//! there. After a merge a further column opens for each further parent.

use mnem::CommitId;

/// The columns that are open, and what each waits for.
#[derive(Default)]
pub(crate) struct Graph {
    columns: Vec<CommitId>,
}

/// One commit, drawn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// Lines before the commit: columns that meet in it.
    pub(crate) before: Vec<String>,
    /// The line of the commit itself, padded.
    pub(crate) at: String,
    /// Lines after it: columns that open.
    pub(crate) after: Vec<String>,
}

impl Graph {
    /// Draws the next commit.
    pub(crate) fn next(&mut self, id: CommitId, parents: &[CommitId], mark: char) -> Drawn {
        let at = match self.columns.iter().position(|waited| *waited == id) {
            Some(at) => at,
            None => {
                self.columns.push(id);
                self.columns.len() - 1
            }
        };
        let width_before = self.columns.len();
        let before = self.meet(at, id);
        let mut line = self.lines('│');
        line[2 * at] = mark;
        let after = self.open(at, parents);
        let width = 2 * width_before.min(line.len().div_ceil(2)).max(self.columns.len()).max(1) - 1;
        line.resize(line.len().max(width), ' ');
        Drawn { before, at: line.into_iter().collect(), after }
    }

    /// Brings all columns that wait for a commit to where it stands.
    fn meet(&mut self, at: usize, id: CommitId) -> Vec<String> {
        let meeting: Vec<usize> =
            (0..self.columns.len()).filter(|column| *column != at && self.columns[*column] == id).collect();
        let Some(last) = meeting.last().copied() else { return Vec::new() };
        let mut line = self.lines('│');
        line[2 * at] = '├';
        for (place, drawn) in line.iter_mut().enumerate().take(2 * last).skip(2 * at + 1) {
            *drawn = match *drawn {
                '│' if meeting.contains(&(place / 2)) => '┴',
                '│' => '┼',
                _ => '─',
            };
        }
        line[2 * last] = '╯';
        for column in meeting.into_iter().rev() {
            self.columns.remove(column);
        }
        vec![line.into_iter().collect()]
    }

    /// Lets the column wait for the first parent, and opens one for each other that is not waited for.
    fn open(&mut self, at: usize, parents: &[CommitId]) -> Vec<String> {
        let Some((first, others)) = parents.split_first() else {
            let is_last = at + 1 == self.columns.len();
            self.columns.remove(at);
            // What stands to the right moves to the left: that has to be seen.
            return if is_last { Vec::new() } else { vec![self.shifted(at)] };
        };
        self.columns[at] = *first;
        let mut after = Vec::new();
        for other in others {
            let (to, corner) = match self.columns.iter().position(|waited| waited == other) {
                Some(to) => (to, if to > at { '┤' } else { '├' }),
                None => {
                    self.columns.push(*other);
                    (self.columns.len() - 1, '╮')
                }
            };
            if to == at {
                continue;
            }
            let mut line = self.lines('│');
            let (left, right) = (at.min(to), at.max(to));
            for place in &mut line[2 * left + 1..2 * right] {
                *place = if *place == '│' { '┼' } else { '─' };
            }
            line[2 * at] = if to > at { '├' } else { '┤' };
            line[2 * to] = corner;
            after.push(line.into_iter().collect());
        }
        after
    }

    fn shifted(&self, at: usize) -> String {
        let mut line: String = "│ ".repeat(at);
        line.push_str(&" ╱".repeat(self.columns.len() - at));
        line
    }

    fn lines(&self, c: char) -> Vec<char> {
        let mut line = vec![' '; (2 * self.columns.len()).saturating_sub(1)];
        line.iter_mut().step_by(2).for_each(|place| *place = c);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mnem::{Cid, Codec};

    fn id(name: &str) -> CommitId {
        CommitId::new(Cid::of(Codec::Raw, name.as_bytes()))
    }

    #[track_caller]
    fn draws(commits: &[(&str, &[&str])], drawing: &[&str]) {
        let mut graph = Graph::default();
        let mut lines = Vec::new();
        for (name, parents) in commits {
            let parents: Vec<CommitId> = parents.iter().map(|parent| id(parent)).collect();
            let drawn = graph.next(id(name), &parents, '○');
            lines.extend(drawn.before);
            lines.push(format!("{}  {name}", drawn.at));
            lines.extend(drawn.after);
        }
        assert_eq!(lines, drawing);
    }

    #[test]
    fn one_line_is_one_column() {
        draws(&[("b", &["a"]), ("a", &[])], &["○  b", "○  a"]);
    }

    #[test]
    fn a_merge_opens_a_column_that_closes_where_both_meet() {
        let commits: &[(&str, &[&str])] = &[("d", &["b", "c"]), ("c", &["a"]), ("b", &["a"]), ("a", &[])];
        draws(commits, &["○    d", "├─╮", "│ ○  c", "○ │  b", "├─╯", "○  a"]);
    }

    #[test]
    fn three_columns_meet_in_one_commit() {
        let commits: &[(&str, &[&str])] =
            &[("e", &["b", "c", "d"]), ("b", &["a"]), ("c", &["a"]), ("d", &["a"]), ("a", &[])];
        draws(commits, &["○      e", "├─╮", "├─┼─╮", "○ │ │  b", "│ ○ │  c", "│ │ ○  d", "├─┴─╯", "○  a"]);
    }

    #[test]
    fn a_merge_of_what_is_waited_for_joins_its_column() {
        let commits: &[(&str, &[&str])] =
            &[("d", &["c", "b"]), ("c", &["b", "a"]), ("b", &["a"]), ("a", &[])];
        draws(commits, &["○    d", "├─╮", "○ │    c", "├─┼─╮", "├─╯ │", "○ │  b", "├─╯", "○  a"]);
    }
}
