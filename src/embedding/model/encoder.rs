//! The layers of BERT (<https://arxiv.org/abs/1810.04805>): what each token means among the others of its text.
//!
//! The texts of one call lie behind each other in one matrix, a row for each token, and none is padded: each attends to its own
//! rows only, so that it is the same alone and among others.

use candle_core::{CpuStorage, DType, Device, InplaceOp1, InplaceOp2, Layout, Result, Tensor, bail};
use candle_nn::VarBuilder;

use super::card::{Card, Family};
use super::ops::{self, Activation};

/// The weights of a model, read from safetensors.
pub(super) struct Encoder {
    words: Tensor,
    positions: Tensor,
    /// Added to each token: all are of the first type.
    kind: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    first_position: u32,
}

impl Encoder {
    /// Reads `model.safetensors`, whatever the names of its tensors begin with.
    pub(super) fn new(safetensors: Vec<u8>, card: &Card) -> Result<Self> {
        let all = VarBuilder::from_buffered_safetensors(safetensors, DType::F32, &Device::Cpu)?;
        let prefixes = ["", "bert.", "roberta.", "0.auto_model."];
        let is_there =
            |prefix: &&str| all.contains_tensor(&format!("{prefix}embeddings.word_embeddings.weight"));
        let Some(prefix) = prefixes.into_iter().find(is_there) else {
            bail!("there is no tensor 'embeddings.word_embeddings.weight'")
        };
        let own = if prefix.is_empty() { all } else { all.pp(prefix.trim_end_matches('.')) };
        let (dimensions, embeddings) = (card.dimensions, own.pp("embeddings"));
        let table = |name: &str, rows: usize| embeddings.get((rows, dimensions), &format!("{name}.weight"));
        let layers = (0..card.layers).map(|n| Layer::new(&own.pp(format!("encoder.layer.{n}")), card));
        Ok(Self {
            words: table("word_embeddings", card.vocabulary)?,
            positions: table("position_embeddings", card.positions)?,
            kind: table("token_type_embeddings", card.types)?.get(0)?.to_vec1()?,
            norm: Norm::new(&embeddings.pp("LayerNorm"), card)?,
            layers: layers.collect::<Result<_>>()?,
            first_position: match card.family {
                Family::Bert => 0,
                Family::Roberta => card.pad + 1,
            },
        })
    }

    /// The vectors of all tokens of all sequences, a row each.
    pub(super) fn run(&self, sequences: &[Vec<u32>]) -> Result<Vec<f32>> {
        let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
        let positions = sequences.iter().flat_map(|sequence| (self.first_position..).take(sequence.len()));
        let rows = |ids: Vec<u32>, table: &Tensor| {
            let count = ids.len();
            table.index_select(&Tensor::from_vec(ids, count, &Device::Cpu)?, 0)
        };
        let mut hidden = rows(sequences.concat(), &self.words)?;
        hidden.inplace_op1(&InPlace(|rows: &mut [f32]| ops::add_bias(rows, &self.kind)))?;
        self.norm.after_adding(&hidden, &rows(positions.collect(), &self.positions)?)?;
        for layer in &self.layers {
            hidden = layer.run(&hidden, &lengths)?;
        }
        hidden.flatten_all()?.to_vec1()
    }
}

struct Layer {
    /// Query, key and value beside each other.
    attention: Linear,
    heads: usize,
    joined: Linear,
    joined_norm: Norm,
    up: Linear,
    activation: Activation,
    down: Linear,
    down_norm: Norm,
}

impl Layer {
    fn new(weights: &VarBuilder<'_>, card: &Card) -> Result<Self> {
        let (dimensions, inner) = (card.dimensions, card.inner);
        let own = weights.pp("attention.self");
        let parts = ["query", "key", "value"].map(|name| Linear::new(&own.pp(name), dimensions, dimensions));
        let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(Self {
            attention: Linear::beside(&parts)?,
            heads: card.heads,
            joined: Linear::new(&weights.pp("attention.output.dense"), dimensions, dimensions)?,
            joined_norm: Norm::new(&weights.pp("attention.output.LayerNorm"), card)?,
            up: Linear::new(&weights.pp("intermediate.dense"), dimensions, inner)?,
            activation: card.activation,
            down: Linear::new(&weights.pp("output.dense"), inner, dimensions)?,
            down_norm: Norm::new(&weights.pp("output.LayerNorm"), card)?,
        })
    }

    fn run(&self, hidden: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let all = self.attention.run(hidden)?;
        let mut start = 0;
        let mut seen = Vec::with_capacity(lengths.len());
        for length in lengths {
            seen.push(self.attend(&all.narrow(0, start, *length)?)?);
            start += length;
        }
        let joined = self.joined.run(&Tensor::cat(&seen, 0)?)?;
        self.joined_norm.after_adding(&joined, hidden)?;
        let inner = self.up.run(&joined)?;
        inner.inplace_op1(&InPlace(|rows: &mut [f32]| self.activation.apply(rows)))?;
        let down = self.down.run(&inner)?;
        self.down_norm.after_adding(&down, &joined)?;
        Ok(down)
    }

    /// What the tokens of one text make of each other, a row each.
    fn attend(&self, own: &Tensor) -> Result<Tensor> {
        let (tokens, width) = own.dims2()?;
        let dimensions = width / 3;
        let size = dimensions / self.heads;
        // A matrix for each head.
        let split = |part: usize| {
            own.narrow(1, part * dimensions, dimensions)?
                .reshape((tokens, self.heads, size))?
                .transpose(0, 1)?
                .contiguous()
        };
        let weights = split(0)?.matmul(&split(1)?.t()?)?;
        #[expect(clippy::cast_precision_loss, reason = "some tens of dimensions")]
        let scale = 1.0 / (size as f32).sqrt();
        weights.inplace_op1(&InPlace(|rows: &mut [f32]| ops::softmax(rows, tokens, scale)))?;
        weights.matmul(&split(2)?)?.transpose(0, 1)?.reshape((tokens, dimensions))
    }
}

/// A matrix, and what is added to each row.
struct Linear {
    /// A column for each number that comes out.
    weight: Tensor,
    bias: Vec<f32>,
}

impl Linear {
    fn new(weights: &VarBuilder<'_>, width_in: usize, width_out: usize) -> Result<Self> {
        let weight = weights.get((width_out, width_in), "weight")?;
        let bias = weights.get(width_out, "bias")?.to_vec1()?;
        Ok(Self { weight: weight.t()?.contiguous()?, bias })
    }

    /// Several that take the same, as one.
    fn beside(parts: &[Self]) -> Result<Self> {
        let weights: Vec<_> = parts.iter().map(|part| &part.weight).collect();
        let bias = parts.iter().flat_map(|part| part.bias.iter().copied()).collect();
        Ok(Self { weight: Tensor::cat(&weights, 1)?.contiguous()?, bias })
    }

    fn run(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = rows.matmul(&self.weight)?;
        rows.inplace_op1(&InPlace(|rows: &mut [f32]| ops::add_bias(rows, &self.bias)))?;
        Ok(rows)
    }
}

/// Brings rows to a common mean and variance.
struct Norm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    fn new(weights: &VarBuilder<'_>, card: &Card) -> Result<Self> {
        // As the first checkpoints of BERT name them, which were made with TensorFlow.
        let [gamma, beta] =
            if weights.contains_tensor("gamma") { ["gamma", "beta"] } else { ["weight", "bias"] };
        let read = |name| weights.get(card.dimensions, name)?.to_vec1();
        Ok(Self { gamma: read(gamma)?, beta: read(beta)?, epsilon: card.epsilon })
    }

    /// Adds `others` to `rows` and norms the sum, in place.
    fn after_adding(&self, rows: &Tensor, others: &Tensor) -> Result<()> {
        let Self { gamma, beta, epsilon } = self;
        rows.inplace_op2(
            others,
            &InPlace(|rows: &mut [f32], others: &[f32]| {
                ops::add_and_norm(rows, others, gamma, beta, *epsilon);
            }),
        )
    }
}

/// A function of the numbers of a tensor, which lie without gaps.
struct InPlace<F>(F);

impl<F: Fn(&mut [f32])> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        "in place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        (self.0)(numbers_mut(storage, layout)?);
        Ok(())
    }
}

impl<F: Fn(&mut [f32], &[f32])> InplaceOp2 for InPlace<F> {
    fn name(&self) -> &'static str {
        "in place with another"
    }

    fn cpu_fwd(
        &self,
        storage: &mut CpuStorage,
        layout: &Layout,
        other: &CpuStorage,
        its: &Layout,
    ) -> Result<()> {
        (self.0)(numbers_mut(storage, layout)?, numbers(other, its)?);
        Ok(())
    }
}

fn numbers_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&mut all[start..end]),
        _ => bail!("not 32 bits each, or with gaps"),
    }
}

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&all[start..end]),
        _ => bail!("not 32 bits each, or with gaps"),
    }
}
