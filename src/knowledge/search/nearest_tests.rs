use super::*;

/// A vector of unit length that a seed gives.
fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut drawn = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut vector: Vec<f32> = (0..dimensions).map(|_| drawn()).collect();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

fn exact(all: &[(i64, Vec<f32>)], vector: &[f32], count: usize) -> Vec<i64> {
    let cosine = |other: &[f32]| vector.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let mut by_cosine: Vec<_> = all.iter().map(|(row, other)| (cosine(other), *row)).collect();
    by_cosine.sort_by(|one, other| other.0.total_cmp(&one.0));
    by_cosine.into_iter().take(count).map(|(_, row)| row).collect()
}

#[test]
fn the_nearest_are_those_of_an_exact_comparison() {
    for (count, dimensions) in [(1, 384), (100, 30), (2_000, 384), (5_000, 100)] {
        let all: Vec<_> = (0..count).map(|n| (n * 3, vector(i64::unsigned_abs(n), dimensions))).collect();
        let mut nearest = Nearest::default();
        assert!(all.iter().all(|(row, vector)| nearest.put(*row, vector, 1)));
        let (mut found, mut wanted) = (0, 0);
        for asked in 0..50 {
            let asked = vector(1_000_000 + asked, dimensions);
            let best = nearest.best(&asked, 10, |_| true);
            assert!(best.windows(2).all(|two| two[0].1 >= two[1].1));
            let exact = exact(&all, &asked, 10);
            wanted += exact.len();
            found += best.iter().filter(|(row, _)| exact.contains(row)).count();
        }
        assert!(found * 1_000 >= wanted * 999, "{found} of {wanted} among {count}");
    }
}

#[test]
fn vectors_are_added_replaced_and_removed_in_place() {
    let mut nearest = Nearest::default();
    let all: Vec<_> = (0..600).map(|n| (n, vector(i64::unsigned_abs(n) + 1, 40))).collect();
    for (row, vector) in &all {
        nearest.put(*row, vector, 1);
    }
    for row in (0..600).filter(|row| row % 2 == 0) {
        nearest.remove(row);
    }
    nearest.remove(12_345);
    assert_eq!(nearest.rows().count(), 300);
    let moved = vector(77_777, 40);
    nearest.put(599, &moved, 1);
    for (row, vector) in all.iter().filter(|(row, _)| row % 2 == 1) {
        let asked = if *row == 599 { &moved } else { vector };
        let best = nearest.best(asked, 1, |_| true);
        assert_eq!(best[0].0, *row);
        assert!((best[0].1 - 1.0).abs() < 1e-4);
    }
    assert_eq!(nearest.cosine(0, &moved), None);
    assert!(nearest.cosine(599, &moved).unwrap() > 0.999);
}

#[test]
fn vectors_of_other_dimensions_are_refused_and_find_nothing() {
    let mut nearest = Nearest::default();
    assert!(nearest.best(&[1.0], 3, |_| true).is_empty());
    assert!(nearest.put(1, &[1.0, 0.0], 1));
    assert!(!nearest.put(2, &[1.0, 0.0, 0.0], 1));
    assert!(nearest.best(&[1.0], 3, |_| true).is_empty());
    assert_eq!(nearest.cosine(1, &[1.0]), None);
    nearest.remove(1);
    assert!(nearest.put(2, &[1.0, 0.0, 0.0], 1), "none is left that has two");
}
#[test]
fn a_row_with_several_vectors_is_found_once_by_the_nearest_and_only_admitted_ones_are_found() {
    for count in [100, 1_000] {
        let mut nearest = Nearest::default();
        for row in 0..count {
            let ways: Vec<f32> = (0..3).flat_map(|way| vector(row * 3 + way + 1, 32)).collect();
            assert!(nearest.put(i64::try_from(row).unwrap(), &ways, 3));
        }
        let asked = vector(7 * 3 + 2 + 1, 32);
        let best = nearest.best(&asked, 5, |_| true);
        assert_eq!(best[0].0, 7);
        assert!((best[0].1 - 1.0).abs() < 1e-4 && (nearest.cosine(7, &asked).unwrap() - 1.0).abs() < 1e-4);
        assert_eq!(best.iter().filter(|(row, _)| *row == 7).count(), 1);
        let odd = nearest.best(&asked, 20, |row| row % 2 == 0);
        assert!(odd.len() == 20 && odd.iter().all(|(row, _)| row % 2 == 0), "{odd:?}");
        for row in (0..count).filter(|row| row % 3 != 0) {
            nearest.remove(i64::try_from(row).unwrap());
        }
        for row in (0..count).step_by(3) {
            let asked = vector(row * 3 + 1 + 1, 32);
            assert_eq!(nearest.best(&asked, 1, |_| true)[0].0, i64::try_from(row).unwrap());
        }
    }
}
#[test]
fn an_entry_with_many_ways_leaves_room_for_others() {
    let mut nearest = Nearest::default();
    let asked = vector(1, 32);
    for row in 0..2 {
        let ways: Vec<f32> = (0..65).flat_map(|_| asked.clone()).collect();
        nearest.put(row, &ways, 65);
    }
    for row in 2..302 {
        nearest.put(row, &vector(row.unsigned_abs() + 10, 32), 1);
    }
    let best = nearest.best(&asked, 30, |_| true);
    assert_eq!(best.len(), 30);
    assert_eq!((best[0].0, best[1].0), (0, 1));
    let alone = nearest.best(&asked, 30, |row| row < 2);
    assert_eq!(alone.len(), 2);
}

#[test]
#[cfg(feature = "usearch")]
fn beyond_some_vectors_a_graph_finds_most_of_the_nearest_and_all_that_changed_since() {
    let mut nearest = Nearest::default();
    nearest.limit(1_000);
    let all: Vec<_> = (0..3_000).map(|row| (row, vector(i64::unsigned_abs(row) + 1, 32))).collect();
    all.iter().for_each(|(row, vector)| assert!(nearest.put(*row, vector, 1)));
    nearest.refresh();
    // While it is made, too.
    nearest.put(5_000, &vector(99_000, 32), 1);
    nearest.graph.wait();
    assert!(nearest.graph.candidates(&all[0].1, (10, 1), |_| true).is_some());
    let (mut found, mut wanted) = (0, 0);
    for seed in 0..50 {
        let asked = vector(1_000_000 + seed, 32);
        let exact = exact(&all, &asked, 10);
        let best = nearest.best(&asked, 10, |_| true);
        wanted += exact.len();
        found += best.iter().filter(|(row, _)| exact.contains(row)).count();
    }
    assert!(found * 100 >= wanted * 90, "{found} of {wanted}");
    // What changes after it was made: one is new, one means something else, one is gone.
    nearest.put(6_000, &vector(98_000, 32), 1);
    nearest.put(7, &vector(97_000, 32), 1);
    nearest.remove(8);
    for (seed, row) in [(99_000, 5_000), (98_000, 6_000), (97_000, 7), (3, 2)] {
        let best = nearest.best(&vector(seed, 32), 3, |_| true);
        assert!(best[0].0 == row && best[0].1 > 0.999, "{row}: {best:?}");
    }
    for (row, seed) in [(7, 8), (8, 9)] {
        let best = nearest.best(&vector(seed, 32), 3, |_| true);
        assert!(
            best[0].1 < 0.999 && best.iter().all(|(found, _)| *found != row || row == 7),
            "{row}: {best:?}"
        );
    }
    // Where few are admitted, all of them are found.
    let few = nearest.best(&vector(3, 32), 5, |row| (2_996..3_000).contains(&row));
    assert_eq!(few.len(), 4);
    // A new one is made when much has changed.
    (0..2_000).for_each(|row| assert!(nearest.put(row, &vector(i64::unsigned_abs(row) + 50_000, 32), 1)));
    nearest.refresh();
    nearest.graph.wait();
    assert_eq!(nearest.best(&vector(50_700, 32), 1, |_| true)[0].0, 700);
    // And none is kept where there are few.
    (0..2_500).for_each(|row| nearest.remove(row));
    nearest.refresh();
    assert!(nearest.graph.candidates(&all[0].1, (10, 1), |_| true).is_none());
}

#[test]
#[cfg(feature = "usearch")]
fn what_is_near_in_many_ways_and_what_has_changed_hide_no_other_from_a_graph() {
    let mut nearest = Nearest::default();
    nearest.limit(1_000);
    for row in 0..2_000 {
        assert!(nearest.put(row, &vector(row.unsigned_abs() + 1, 32), 1));
    }
    let asked = vector(4_242, 32);
    let ways: Vec<f32> = (0..90).flat_map(|_| asked.clone()).collect();
    assert!(nearest.put(9_000, &ways, 90));
    nearest.refresh();
    nearest.graph.wait();
    assert!((0..50).all(|row| nearest.put(row, &vector(row.unsigned_abs() + 70_000, 32), 1)));
    let rows = |mut scored: Vec<(i64, f32)>| -> Vec<i64> {
        scored.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        scored.into_iter().take(20).map(|(row, _)| row).collect()
    };
    let exact = rows(nearest.of_scan(&asked, 20, |_| true));
    let found = rows(nearest.best(&asked, 20, |_| true));
    assert!(found.iter().filter(|row| exact.contains(row)).count() >= 18, "{found:?} {exact:?}");
    // Some less do not make it go.
    (0..60).for_each(|row| nearest.remove(row));
    nearest.limit(2_080);
    nearest.refresh();
    assert!(nearest.graph.is_begun());
    nearest.limit(4_000);
    nearest.refresh();
    assert!(!nearest.graph.is_begun());
}
