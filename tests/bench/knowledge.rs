//! How fast the knowledge base is searched: `cargo bench --bench knowledge`. By meaning alone, and by words and meaning, in bases of
//! two sizes. How many of the nearest are found at all is printed first.
#![expect(clippy::print_stdout, reason = "a benchmark answers on the terminal")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rusqlite::Connection;
use tertulia::knowledge::entries::{KNOWLEDGE_MIGRATION, import_unchecked};
use tertulia::knowledge::search::index::Searcher;
use tertulia::knowledge::vectors::{self, VectorSpace};
use tertulia_actors::domain::{Embedding, Entry, Filter, Language, Timestamp};
use tertulia_actors::ports::{Embedded, Search};

const MODEL: &str = "drawn";
const DIMENSIONS: usize = 384;
/// Questions that are asked in turn, so that none is remembered.
const QUESTIONS: usize = 2_048;
/// Questions whose nearest entries are compared with the exact ones.
const COMPARED: usize = 200;
const NEAREST: usize = 10;
/// How near a question lies to an entry, of what is random beside it.
const NEARNESS: f32 = 0.7;

/// A generator of numbers; the same for the same seed.
struct Draw(u64);

impl Draw {
    fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to 1.
    fn share(&mut self) -> f32 {
        (self.number() >> 40) as f32 / (1 << 24) as f32
    }

    /// A vector of unit length, nearly normally distributed.
    fn vector(&mut self) -> Vec<f32> {
        unit((0..DIMENSIONS).map(|_| (0..4).map(|_| self.share() - 0.5).sum()).collect())
    }

    /// A word; few of them are common, as in a language.
    fn word(&mut self) -> String {
        let rank = (self.share().powi(4) * 20_000.0) as usize;
        let syllables = [
            "ka", "lo", "mi", "ren", "tus", "bar", "shi", "pol", "ded", "gum", "fa", "wer", "ni", "quo",
            "zel", "hab",
        ];
        let mut word = String::new();
        let mut left = rank + syllables.len();
        while left > 0 {
            word.push_str(syllables[left % syllables.len()]);
            left /= syllables.len();
        }
        word
    }

    fn sentence(&mut self, words: u64) -> String {
        let count = words / 2 + self.number() % words;
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

/// A base of entries with drawn words and vectors, in memory.
struct Base {
    conn: Connection,
    searcher: Searcher,
    vectors: Vec<Embedding>,
    questions: Vec<(String, Embedding)>,
}

impl Base {
    fn new(size: usize) -> Self {
        let conn = Connection::open_in_memory().expect("a database");
        conn.execute_batch(KNOWLEDGE_MIGRATION).expect("tables");
        let mut draw = Draw(0x5eed);
        let entries: Vec<_> = (0..size)
            .map(|n| Entry::new(format!("e{n}"), Language::ENGLISH, draw.sentence(10), draw.sentence(25)))
            .collect();
        import_unchecked(&conn, &entries, Timestamp(0)).expect("imported");
        let drawn: Vec<Embedding> = (0..size).map(|_| draw.vector().into()).collect();
        let unembedded = vectors::unembedded(&conn, MODEL, 0, size).expect("rows");
        let embedded: Vec<_> = unembedded
            .into_iter()
            .zip(&drawn)
            .map(|(one, vector)| Embedded {
                row: one.row,
                texts: one.texts,
                vectors: vec![Some(vector.clone())],
            })
            .collect();
        assert_eq!(vectors::put(&conn, MODEL, &embedded).expect("kept"), size);
        let questions = (0..QUESTIONS).map(|n| {
            let near = n * 7_919 % size;
            let mixed =
                drawn[near].iter().zip(draw.vector()).map(|(a, b)| a * NEARNESS + b * (1.0 - NEARNESS));
            (draw.sentence(8), unit(mixed.collect()).into())
        });
        let questions = questions.collect();
        Self {
            conn,
            searcher: Searcher::new(Some(VectorSpace { model: MODEL.into(), unrelated: 0.0 })),
            vectors: drawn,
            questions,
        }
    }

    fn search(&mut self, search: &Search) -> Vec<String> {
        let hits = self.searcher.find(&self.conn, search).expect("found");
        hits.iter().map(|hit| hit.entry.id.clone()).collect()
    }

    /// The share of the exactly nearest entries that a search by meaning finds.
    fn recall(&mut self) -> f64 {
        let mut found = 0;
        for n in 0..COMPARED {
            let (_, vector) = self.questions[n].clone();
            let cosine =
                |other: &Embedding| other.iter().zip(&*vector).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let mut exact: Vec<_> = self.vectors.iter().map(cosine).enumerate().collect();
            exact.sort_by(|one, other| other.1.total_cmp(&one.1));
            let ids = self.search(&by_meaning(&vector));
            found += exact.iter().take(NEAREST).filter(|(n, _)| ids.contains(&format!("e{n}"))).count();
        }
        found as f64 / (COMPARED * NEAREST) as f64
    }
}

fn asked(text: &str, embedding: Option<Embedding>) -> Search {
    let filter = Filter { at: Some(Timestamp(0)), account: Some("100".into()), ..Filter::default() };
    Search { text: text.into(), embedding, language: None, filter, limit: NEAREST }
}

fn by_meaning(vector: &Embedding) -> Search {
    asked("", Some(vector.clone()))
}

fn knowledge(criterion: &mut Criterion) {
    for size in [10_000, 100_000] {
        let mut base = Base::new(size);
        println!("{size} entries: {:.4} of the {NEAREST} nearest are found", base.recall());
        let Base { conn, searcher, questions, .. } = &mut base;
        let mut group = criterion.benchmark_group(format!("search among {size} entries"));
        let mut measure = |name: &str, of: &dyn Fn(&(String, Embedding)) -> Search, among: usize| {
            let mut next = 0;
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    next = (next + 1) % among;
                    black_box(searcher.find(conn, &of(&questions[next])).expect("found"))
                });
            });
        };
        measure("by meaning", &|(_, vector)| by_meaning(vector), QUESTIONS);
        measure("by words", &|(text, _)| asked(text, None), QUESTIONS);
        measure("by words and meaning", &|(text, vector)| asked(text, Some(vector.clone())), QUESTIONS);
        measure("remembered", &|(text, vector)| asked(text, Some(vector.clone())), 100);
        group.finish();
    }
}

criterion_group!(benches, knowledge);
criterion_main!(benches);
