//! The features of a text that the embedder and the classifier count: its words and the pieces of its words.

/// FNV-1a's offset and prime for 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): a fixed, named hash, so that a
/// vector means the same in every build.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The kind of a feature, so that a word and an equal piece differ.
#[derive(Clone, Copy)]
pub(in crate::knowledge) enum Kind {
    /// A whole word.
    Word = 1,
    /// Three or four characters of a word, its edges marked.
    Piece = 2,
    /// Two neighbouring words.
    Pair = 3,
    /// Something that normalisation takes away: a question mark, few words.
    Cue = 4,
}

/// The hash of one feature.
pub(in crate::knowledge) fn hash(kind: Kind, parts: &[&str]) -> u64 {
    let mut state = step(FNV_OFFSET, kind as u8);
    for part in parts {
        state = part.bytes().fold(step(state, 0), step);
    }
    // FNV's low bits are weak in short inputs; this is the finaliser of MurmurHash3.
    state ^= state >> 33;
    state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^ (state >> 33)
}

const fn step(state: u64, byte: u8) -> u64 {
    (state ^ byte as u64).wrapping_mul(FNV_PRIME)
}

/// The hashes of all words and of their pieces of three and four characters.
pub(in crate::knowledge) fn words_and_pieces(words: &[String]) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(words.len() * 12);
    let mut padded = String::new();
    let mut starts = Vec::new();
    for word in words {
        hashes.push(hash(Kind::Word, &[word]));
        padded.clear();
        padded.push(' ');
        padded.push_str(word);
        padded.push(' ');
        starts.clear();
        starts.extend(padded.char_indices().map(|(at, _)| at));
        starts.push(padded.len());
        for length in [3, 4] {
            for edges in starts.windows(length + 1) {
                hashes.push(hash(Kind::Piece, &[&padded[edges[0]..edges[length]]]));
            }
        }
    }
    hashes
}

/// The hashes of all pairs of neighbouring words.
pub(in crate::knowledge) fn pairs(words: &[String]) -> impl Iterator<Item = u64> {
    words.windows(2).map(|pair| hash(Kind::Pair, &[&pair[0], &pair[1]]))
}

/// How often each feature occurs, dampened (1 + ln n), folded into `dimensions` with a sign from the hash, so that
/// collisions cancel out on average. Sorted by dimension; of unit length unless empty.
pub(in crate::knowledge) fn fold(mut hashes: Vec<u64>, dimensions: usize) -> Vec<(usize, f32)> {
    hashes.sort_unstable();
    let mut folded: Vec<(usize, f32)> = Vec::with_capacity(hashes.len());
    for same in hashes.chunk_by(PartialEq::eq) {
        let (hash, count) = (same[0], same.len());
        #[expect(clippy::cast_precision_loss, reason = "a text has at most some thousand features")]
        let weight = 1.0 + (count as f32).ln();
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        // `dimensions` is a small power of two: the remainder is its low bits.
        let dimension = usize::try_from(hash % dimensions as u64).unwrap_or(0);
        folded.push((dimension, sign * weight));
    }
    folded.sort_unstable_by_key(|(dimension, _)| *dimension);
    folded.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    let length = folded.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
    if length > f32::EPSILON {
        folded.iter_mut().for_each(|(_, weight)| *weight /= length);
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_between_characters_of_any_script() {
        let one = words_and_pieces(&["ماء".to_owned()]);
        assert_eq!(one.len(), 1 + 3 + 2, "a word, three pieces of three, two of four");
        assert_eq!(words_and_pieces(&["a".to_owned()]).len(), 1 + 1);
    }

    #[test]
    fn the_hash_is_fixed() {
        // Worked out apart from this code: a vector or a count that was stored must mean the same in every build.
        assert_eq!(hash(Kind::Word, &["water"]), 0x4cfe_17e5_6cf5_8a71);
        assert_eq!(hash(Kind::Pair, &["ماء", "x"]), 0xdfc6_0d4b_7913_851e);
        assert_ne!(hash(Kind::Word, &["water"]), hash(Kind::Piece, &["water"]));
        assert_ne!(hash(Kind::Pair, &["ab", "c"]), hash(Kind::Pair, &["a", "bc"]));
    }

    #[test]
    fn folded_features_have_unit_length() {
        let folded = fold((0..500_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect(), 64);
        let length: f32 = folded.iter().map(|(_, weight)| weight * weight).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
        assert!(folded.windows(2).all(|two| two[0].0 < two[1].0));
        assert!(fold(Vec::new(), 64).is_empty());
    }
}
