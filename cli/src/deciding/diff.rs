//! What differs between two texts, line by line. Pure.

/// A line of one text or of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side<'a> {
    /// In both.
    Both(&'a str),
    /// Only in the old one.
    Old(&'a str),
    /// Only in the new one.
    New(&'a str),
}

/// The most pairs of lines that are compared; beyond it all of the old one goes and all of the new one comes.
const PAIRS: usize = 4_000_000;

/// Every line of both texts, in order.
#[must_use]
pub fn diff<'a>(old: &'a str, new: &'a str) -> Vec<Side<'a>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let start = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let rest = old[start..].iter().rev().zip(new[start..].iter().rev());
    let end = rest.take_while(|(one, other)| one == other).count();
    let (gone, come) = (&old[start..old.len() - end], &new[start..new.len() - end]);
    let mut sides: Vec<Side<'a>> = old[..start].iter().map(|line| Side::Both(line)).collect();
    sides.extend(middle(gone, come));
    sides.extend(old[old.len() - end..].iter().map(|line| Side::Both(line)));
    sides
}

/// By the longest common subsequence.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Side<'a>> {
    if old.len().saturating_mul(new.len()) > PAIRS {
        return old
            .iter()
            .map(|line| Side::Old(line))
            .chain(new.iter().map(|line| Side::New(line)))
            .collect();
    }
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            common[i * width + j] = if one == other {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut sides) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        let both = i < old.len() && j < new.len() && old[i] == new[j];
        let goes =
            j == new.len() || i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1];
        if both {
            sides.push(Side::Both(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if goes {
            sides.push(Side::Old(old[i]));
            i += 1;
        } else {
            sides.push(Side::New(new[j]));
            j += 1;
        }
    }
    sides
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(lines: &[u8]) -> String {
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    proptest! {
        #[test]
        fn both_texts_are_whole_in_it(
            old in prop::collection::vec(0_u8..5, 0..40),
            new in prop::collection::vec(0_u8..5, 0..40),
        ) {
            let (old, new) = (text(&old), text(&new));
            let (mut left, mut right) = (String::new(), String::new());
            for side in diff(&old, &new) {
                let (Side::Both(line) | Side::Old(line) | Side::New(line)) = side;
                if !matches!(side, Side::New(_)) {
                    left += &format!("{line}\n");
                }
                if !matches!(side, Side::Old(_)) {
                    right += &format!("{line}\n");
                }
            }
            prop_assert_eq!((left, right), (old, new));
        }
    }

    #[test]
    fn what_stays_stays() {
        let sides = diff("a\nb\nc\nd\n", "a\nc\nx\nd\n");
        use Side::{Both, New, Old};
        assert_eq!(sides, [Both("a"), Old("b"), Both("c"), New("x"), Both("d")]);
        let large = "x\n".repeat(3000);
        assert_eq!(diff(&large, &"y\n".repeat(3000)).len(), 6000);
    }
}
