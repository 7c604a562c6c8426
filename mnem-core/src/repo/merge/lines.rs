//! Three texts as one, line by line.

/// How many pairs of lines are compared at most, after what is equal at both ends.
const PAIRS_MAX: usize = 1 << 22;

/// Makes the changes of both sides, where none touches or meets one of the other; `None` where one does, or if the texts
/// are too large to be compared.
pub(super) fn merge(base: &str, left: &str, right: &str) -> Option<String> {
    let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<&str>>();
    let (base, left, right) = (lines(base), lines(left), lines(right));
    let kept = [kept(&base, &left)?, kept(&base, &right)?];
    let mut merged = String::new();
    let (mut at, mut one, mut two) = (0, 0, 0);
    loop {
        // The next line that both sides kept; what lies before it is a change of one side, or of both.
        let stable = (at..base.len()).find_map(|at| Some((at, kept[0][at]?, kept[1][at]?)));
        let (next, next_one, next_two) = stable.unwrap_or((base.len(), left.len(), right.len()));
        let (was, is_one, is_two) = (&base[at..next], &left[one..next_one], &right[two..next_two]);
        let change = match () {
            () if is_one == is_two || is_two == was => is_one,
            () if is_one == was => is_two,
            () => return None,
        };
        change.iter().for_each(|line| merged.push_str(line));
        if stable.is_none() {
            return Some(merged);
        }
        merged.push_str(base[next]);
        (at, one, two) = (next + 1, next_one + 1, next_two + 1);
    }
}

/// Where each line of `base` is in `side`, in one order: as many as can be.
fn kept(base: &[&str], side: &[&str]) -> Option<Vec<Option<usize>>> {
    let head = base.iter().zip(side).take_while(|(a, b)| a == b).count();
    let rest = base.len().min(side.len()) - head;
    let tail = base.iter().rev().zip(side.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (from, to) = (&base[head..base.len() - tail], &side[head..side.len() - tail]);
    let mut kept: Vec<Option<usize>> = (0..head).map(Some).collect();
    kept.extend(longest(from, to)?.into_iter().map(|at| at.map(|at| at + head)));
    kept.extend((side.len() - tail..side.len()).map(Some));
    Some(kept)
}

/// The longest common run of lines, gaps allowed: of each line of `from`, where it is in `to`.
fn longest(from: &[&str], to: &[&str]) -> Option<Vec<Option<usize>>> {
    if from.len().checked_mul(to.len()).is_none_or(|pairs| pairs > PAIRS_MAX) {
        return None;
    }
    let width = to.len() + 1;
    // How many lines can be kept from here on, of both.
    let mut lengths = vec![0u32; (from.len() + 1) * width];
    for i in (0..from.len()).rev() {
        for j in (0..to.len()).rev() {
            lengths[i * width + j] = if from[i] == to[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let mut kept = vec![None; from.len()];
    let (mut i, mut j) = (0, 0);
    while i < from.len() && j < to.len() {
        if from[i] == to[j] {
            kept[i] = Some(j);
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    Some(kept)
}
