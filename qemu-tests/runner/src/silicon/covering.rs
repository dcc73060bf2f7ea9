// SPDX-License-Identifier: GPL-2.0

//! Few sets in which each two things are together, and each is without the other.

/// Sets of `count` things (32 at most), as bits of a word: for each two things there is a set with
/// both, and one with each of them alone.
///
/// A thing is in more than half of the sets, so that any two meet, and no two are in the same ones.
pub(super) fn pairs(count: usize) -> Vec<u32> {
    let choices = |sets: u32| (0..1_u32 << sets).filter(move |of| of.count_ones() == sets / 2 + 1);
    let Some(sets) = (1..=16).find(|sets| choices(*sets).count() >= count) else {
        return Vec::new();
    };
    let members: Vec<u32> = choices(sets).take(count).collect();
    let set = |number: u32| {
        let things = members.iter().enumerate();
        things.fold(0, |set, (thing, of)| set | (of >> number & 1) << thing)
    };
    (0..sets).map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn each_two_are_together_and_each_without_the_other() {
        for count in [1, 2, 3, 7, 19, 32] {
            let sets = pairs(count);
            for first in 0..count {
                for second in (0..count).filter(|second| *second != first) {
                    let has = |wanted: u32| {
                        let mask = 1 << first | 1 << second;
                        sets.iter().any(|set| set & mask == wanted)
                    };
                    assert!(
                        has(1 << first | 1 << second),
                        "{count}: {first} with {second}"
                    );
                    assert!(has(1 << first), "{count}: {first} without {second}");
                }
            }
            assert!(sets.len() <= 7, "{count} things take {} sets", sets.len());
        }
    }
}
