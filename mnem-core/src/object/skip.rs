//! How far back a commit's skip link leads.

/// Returns the depth of the first-parent ancestor that a commit at `depth` links to, by Myers' skew-binary rule:
/// `depth` is written as a sum of the largest numbers 2^k - 1, and the last of them is how far the link leads. `None`
/// for the first commit.
///
/// Going back by the link where it does not lead too far, and to the parent otherwise, reaches any ancestor of a
/// commit at depth n in at most 2.5 log2(n) + 4 steps.
pub const fn skip_depth(depth: u64) -> Option<u64> {
    let mut rest = depth;
    let mut last = 0;
    while rest > 0 {
        // The largest 2^k - 1 that is at most `rest`.
        last = match rest.checked_add(1) {
            Some(next) => (1 << next.ilog2()) - 1,
            None => u64::MAX,
        };
        rest -= last;
    }
    if depth == 0 { None } else { Some(depth - last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks as a reader does.
    fn steps(from: u64, to: u64) -> u32 {
        let (mut at, mut steps) = (from, 0);
        while at > to {
            let skip = skip_depth(at).expect("above an ancestor");
            assert!(skip < at);
            at = if skip >= to { skip } else { at - 1 };
            steps += 1;
        }
        steps
    }

    fn bound(depth: u64) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 200")]
        let steps = (2.5 * (depth as f64).log2()) as u32;
        steps + 4
    }

    #[test]
    fn links_follow_the_skew_binary_rule() {
        // As pointers do: a link doubles where the two before it are equally long.
        let mut skip = vec![0u64];
        for depth in 1..5_000u64 {
            let at = |depth: u64| skip[usize::try_from(depth).expect("small")];
            let parent = depth - 1;
            let (once, twice) = (at(parent), at(at(parent)));
            skip.push(if parent - once == once - twice { twice } else { parent });
            assert_eq!(skip_depth(depth), skip.last().copied(), "{depth}");
        }
        assert_eq!(skip_depth(0), None);
        assert_eq!(skip_depth(u64::MAX), Some(0));
    }

    #[test]
    fn every_ancestor_is_near() {
        for from in 1..700 {
            for to in 0..from {
                assert!(steps(from, to) <= bound(from), "{from} to {to}: {}", steps(from, to));
            }
        }
    }

    #[test]
    fn far_ancestors_are_near() {
        let mut random = 1u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let from = (random >> 8) >> (random % 50) | 2;
            let to = random.rotate_left(31) % from;
            assert!(steps(from, to) <= bound(from), "{from} to {to}: {}", steps(from, to));
        }
    }
}
