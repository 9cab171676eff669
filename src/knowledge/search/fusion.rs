//! What words say of an entry and what a model says of its meaning, as one score. Pure.

/// How much of a score is the cosine, where there is one; the rest is what the words say. Of the development data, 0.7 to 0.8 find
/// the most paraphrases and passages; ranks alone, without scores, find fewer than either.
const COSINE_SHARE: f32 = 0.75;

/// One score, 0 to 1, of that of the words and the cosine. An entry whose meaning is not known, or a query, is scored by its words
/// alone.
pub(super) fn fused(lexical: f32, cosine: Option<f32>) -> f32 {
    match cosine {
        Some(cosine) => COSINE_SHARE.mul_add(cosine.clamp(0.0, 1.0), (1.0 - COSINE_SHARE) * lexical),
        None => lexical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_count_and_words_alone_where_there_is_no_meaning() {
        for (lexical, cosine, expected) in [
            (1.0, Some(1.0), 1.0),
            (0.0, Some(0.0), 0.0),
            (0.5, Some(0.9), 0.8),
            (0.5, Some(-0.3), 0.125),
            (0.4, None, 0.4),
        ] {
            assert!((fused(lexical, cosine) - expected).abs() < 1e-6, "{lexical} {cosine:?}");
        }
    }
}
