//! Vectors against those of sentence-transformers and transformers themselves, written down in `tests/`.
//!
//! `minilm.jsonl` was made with sentence-transformers 2.7 and the weights of all-MiniLM-L6-v2, one text at a time; `xlmr.jsonl` with
//! transformers 4.41 and the weights that [`weights`] computes.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Reference {
    text: String,
    vector: Vec<f32>,
}

fn references(lines: &str) -> Vec<Reference> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The model whose weights the tests need; none where `tests/run` said that it could not be fetched.
fn minilm() -> Option<Model> {
    if std::env::var_os("TERTULIA_SKIP_MODEL").is_some() {
        return None;
    }
    let folder = std::env::var_os("TERTULIA_TEST_MODEL").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/tertulia-models/all-MiniLM-L6-v2")
    });
    Some(Model::load(&folder, &Prefixes::default()).unwrap())
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    let length = |vector: &[f32]| vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>() / length(one) / length(other)
}

/// Each text alone and all of them together have the vectors of the reference.
fn agree(model: &Model, references: &[Reference]) {
    let texts: Vec<_> = references.iter().map(|reference| Embeddable::query(&reference.text)).collect();
    let together = model.embed(&texts).unwrap();
    for ((text, batched), reference) in texts.iter().zip(&together).zip(references) {
        let alone = &model.embed(std::slice::from_ref(text)).unwrap()[0];
        for (vector, way) in [(alone, "alone"), (batched, "among others")] {
            let near = cosine(vector, &reference.vector);
            assert!(near > 0.999_9, "{near} {way}: {}", reference.text);
            let length: f32 = vector.iter().map(|value| value * value).sum();
            assert!((length - 1.0).abs() < 1e-5, "{length}: {}", reference.text);
        }
    }
}

#[test]
fn texts_that_have_nothing_to_do_with_each_other_are_far_apart_by_minilm() {
    let Some(model) = minilm() else { return };
    assert!(model.unrelated().abs() < 0.1, "{}", model.unrelated());
    let two =
        [Embedding::from(vec![1.0, 0.0]), Embedding::from(vec![0.6, 0.8]), Embedding::from(vec![0.0, 1.0])];
    assert!((average_cosine(&two) - 1.4 / 3.0).abs() < 1e-6);
    assert_eq!((average_cosine(&two[..1]), average_cosine(&[])), (0.0, 0.0));
}

#[test]
fn vectors_of_minilm_are_those_of_sentence_transformers() {
    let Some(model) = minilm() else { return };
    assert_eq!((model.dimensions(), model.tokens_max()), (384, 256));
    let references = references(include_str!("tests/minilm.jsonl"));
    assert_eq!(references.len(), 20);
    agree(&model, &references);
    for (text, is_read) in
        [("Where is it?", true), ("أين طلبي", false), ("水が届きません", false), ("где", false)]
    {
        assert_eq!(model.reads(text), is_read, "{text}");
    }
    let texts =
        [Embeddable::query("Where is it?"), Embeddable::query("أين طلبي"), Embeddable::query("Here.")];
    let meanings = model.meanings(&texts).unwrap();
    assert_eq!(meanings.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(meanings[2].as_deref(), model.embed(&texts[2..]).unwrap().first().map(|vector| &**vector));
}

/// A small XLM-RoBERTa in a folder, with weights that a formula gives.
fn xlmr(folder: &Path) {
    let config = include_str!("tests/xlmr_config.json");
    std::fs::write(folder.join("config.json"), config).unwrap();
    std::fs::write(folder.join("tokenizer.json"), include_str!("tests/xlmr_tokenizer.json")).unwrap();
    candle_core::safetensors::save(&weights(), folder.join("model.safetensors")).unwrap();
}

/// A number from -1 to 1 that a seed gives: SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
fn unit(seed: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Drawn by the place of a number within its tensor, and of its tensor among all by name.
fn weights() -> HashMap<String, Tensor> {
    let (hidden, inner) = (32, 48);
    let mut shapes = vec![
        ("embeddings.LayerNorm.bias".to_owned(), vec![hidden]),
        ("embeddings.LayerNorm.weight".to_owned(), vec![hidden]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![42, hidden]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![1, hidden]),
        ("embeddings.word_embeddings.weight".to_owned(), vec![192, hidden]),
    ];
    for layer in 0..2 {
        for (name, out, width) in [
            ("attention.output.dense", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.query", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("intermediate.dense", inner, hidden),
            ("output.dense", hidden, inner),
        ] {
            shapes.push((format!("encoder.layer.{layer}.{name}.weight"), vec![out, width]));
            shapes.push((format!("encoder.layer.{layer}.{name}.bias"), vec![out]));
        }
        for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
            shapes.push((format!("encoder.layer.{layer}.{name}.weight"), vec![hidden]));
            shapes.push((format!("encoder.layer.{layer}.{name}.bias"), vec![hidden]));
        }
    }
    shapes.sort();
    let tensor = |(n, (name, shape)): (usize, (String, Vec<usize>))| {
        let numbers = (0_u64..).take(shape.iter().product()).map(|k| {
            let drawn = unit(n as u64 * 1_000_003 + k);
            let number = match &name {
                name if name.ends_with("LayerNorm.weight") => 1.0 + 0.1 * drawn,
                name if name.ends_with("bias") => drawn * 0.05,
                name if name.contains("embeddings") => drawn,
                _ => drawn * 0.5,
            };
            number as f32
        });
        (name.clone(), Tensor::from_vec(numbers.collect::<Vec<f32>>(), shape, &Device::Cpu).unwrap())
    };
    shapes.into_iter().enumerate().map(tensor).collect()
}

#[test]
fn vectors_of_xlm_roberta_are_those_of_transformers() {
    let folder = tempfile::tempdir().unwrap();
    xlmr(folder.path());
    let model = Model::load(folder.path(), &Prefixes::default()).unwrap();
    assert_eq!(model.tokens_max(), 40, "two positions are taken");
    agree(&model, &references(include_str!("tests/xlmr.jsonl")));
}

#[test]
fn prefixes_of_the_card_tell_questions_from_passages() {
    let folder = tempfile::tempdir().unwrap();
    xlmr(folder.path());
    let prompts = r#"{"prompts": {"query": "query: ", "passage": "passage: "}}"#;
    std::fs::write(folder.path().join("config_sentence_transformers.json"), prompts).unwrap();
    let model = Model::load(folder.path(), &Prefixes::default()).unwrap();
    let bare = references(include_str!("tests/xlmr.jsonl"));
    let text = &bare[0].text;
    let vectors = model.embed(&[Embeddable::query(text), Embeddable::passage(text)]).unwrap();
    assert!(cosine(&vectors[0], &vectors[1]) < 0.999);
    assert!(cosine(&vectors[0], &bare[0].vector) < 0.999);
    // The files win over the configuration, which wins over nothing.
    let configured = Prefixes { query: "passage: ".into(), passage: "query: ".into() };
    let model = Model::load(folder.path(), &configured).unwrap();
    assert_eq!(model.embed(&[Embeddable::query(text)]).unwrap()[0], vectors[0]);
    std::fs::remove_file(folder.path().join("config_sentence_transformers.json")).unwrap();
    let model = Model::load(folder.path(), &configured).unwrap();
    assert_eq!(model.embed(&[Embeddable::query(text)]).unwrap()[0], vectors[1]);
}

#[test]
fn a_model_that_changed_has_another_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    xlmr(folder.path());
    let fingerprint = || Model::load(folder.path(), &Prefixes::default()).unwrap().fingerprint().to_owned();
    let first = fingerprint();
    assert_eq!((first.len(), fingerprint()), (16, first.clone()));
    std::fs::write(folder.path().join("sentence_bert_config.json"), r#"{"max_seq_length": 20}"#).unwrap();
    assert_ne!(fingerprint(), first);
}

#[test]
fn a_file_that_is_missing_or_of_another_model_is_named() {
    type Change = fn(&Path);
    let changes: [(Change, &str); 5] = [
        (|folder| std::fs::remove_file(folder.join("model.safetensors")).unwrap(), "model.safetensors"),
        (|folder| std::fs::remove_file(folder.join("tokenizer.json")).unwrap(), "tokenizer.json"),
        (|folder| std::fs::write(folder.join("tokenizer.json"), "{}").unwrap(), "is not a tokenizer"),
        (|folder| std::fs::write(folder.join("model.safetensors"), "no").unwrap(), "model.safetensors"),
        (
            |folder| {
                let config = include_str!("tests/xlmr_config.json").replace("192", "100");
                std::fs::write(folder.join("config.json"), config).unwrap();
            },
            "has a token 191",
        ),
    ];
    for (change, named) in changes {
        let folder = tempfile::tempdir().unwrap();
        xlmr(folder.path());
        change(folder.path());
        let refused = Model::load(folder.path(), &Prefixes::default()).err().unwrap().to_string();
        assert!(refused.contains(named), "{refused}");
    }
}

#[test]
fn many_tokens_go_through_in_parts_and_none_is_left_out() {
    let sequences: Vec<Vec<u32>> = [1_000, 1_000, 100, 3_000, 5].map(|length| vec![0; length]).to_vec();
    let lengths: Vec<Vec<usize>> =
        parts(&sequences).map(|part| part.iter().map(Vec::len).collect()).collect();
    assert_eq!(lengths, [vec![1_000, 1_000], vec![100], vec![3_000], vec![5]]);
    assert_eq!(parts(&[]).count(), 0);
}
