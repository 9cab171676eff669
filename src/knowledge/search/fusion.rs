//! What words say of an entry and what a model says of its meaning, as one score. Pure.

/// How much of a score is the cosine, where there is one; the rest is what the words say. Of the development data, 0.7 to 0.8 find
/// the most paraphrases and passages; ranks alone, without scores, find fewer than either.
const COSINE_SHARE: f32 = 0.75;

/// Draws scores down so that the same threshold is as sure of them as of those by words alone. Questions about one thing have much
/// of their meaning in common, also where they ask something else: with half of the entries of the COVID questions taken away, one
/// reply in nine was wrong from 0.6 on by words, and without this from 0.7 on with a model (see docs/PERFORMANCE.md).
const CALIBRATION: f32 = 1.4;

/// What a cosine says beyond that of texts that have nothing to do with each other, by the same model.
pub(in crate::knowledge) fn beyond(cosine: f32, unrelated: f32) -> f32 {
    (cosine - unrelated) / (1.0 - unrelated).max(f32::EPSILON)
}

/// One score, 0 to 1, of that of the words and the cosine. An entry whose meaning is not known, or a query, is scored by its words
/// alone.
pub(in crate::knowledge) fn fused(lexical: f32, cosine: Option<f32>) -> f32 {
    match cosine {
        Some(cosine) => {
            let sum = COSINE_SHARE.mul_add(cosine.clamp(0.0, 1.0), (1.0 - COSINE_SHARE) * lexical);
            sum.powf(CALIBRATION)
        }
        None => lexical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_texts_have_in_common_says_nothing() {
        for (cosine, unrelated, expected) in
            [(1.0, 0.75, 1.0), (0.75, 0.75, 0.0), (0.875, 0.75, 0.5), (0.5, 0.75, -1.0), (0.3, 0.0, 0.3)]
        {
            assert!((beyond(cosine, unrelated) - expected).abs() < 1e-6, "{cosine} {unrelated}");
        }
    }

    #[test]
    fn both_count_and_words_alone_where_there_is_no_meaning() {
        for (lexical, cosine, expected) in [
            (1.0, Some(1.0), 1.0),
            (0.0, Some(0.0), 0.0),
            (0.5, Some(0.9), 0.732),
            (0.5, Some(-0.3), 0.054),
            (0.4, Some(0.8), 0.607),
            (0.4, None, 0.4),
        ] {
            assert!(
                (fused(lexical, cosine) - expected).abs() < 1e-3,
                "{lexical} {cosine:?} {}",
                fused(lexical, cosine)
            );
        }
    }
}
