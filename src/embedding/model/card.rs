//! What the files of a model say of it.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ops::Activation;
use super::{ModelError, Prefixes, read, unfit};

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first token.
    First,
}

/// How positions of tokens are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    /// From 0: BERT.
    Bert,
    /// Behind the number of the token that pads: RoBERTa and XLM-RoBERTa.
    Roberta,
}

/// A model's shape and how it wants its texts.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Card {
    /// How positions are counted.
    pub family: Family,
    /// Numbers of a vector.
    pub dimensions: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Numbers between the two halves of a layer.
    pub inner: usize,
    /// Tokens that it has vectors for.
    pub vocabulary: usize,
    /// Positions that it has vectors for.
    pub positions: usize,
    /// Types of tokens that it has vectors for; the first one is used.
    pub types: usize,
    /// The number of the token that pads.
    pub pad: u32,
    /// Added to a variance, lest it be 0.
    pub epsilon: f32,
    /// How a layer bends its numbers.
    pub activation: Activation,
    /// How the vectors of the tokens become one.
    pub pooling: Pooling,
    /// Tokens of a text at the most, those at its ends included.
    pub tokens_max: usize,
    /// Whether texts are to be in lower case before they are cut, beside what the tokenizer does.
    pub lowercase: bool,
    /// What is put before texts.
    pub prefixes: Prefixes,
}

/// `config.json`, as transformers (<https://huggingface.co/docs/transformers>) writes it.
#[derive(Deserialize)]
struct Config {
    model_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default)]
    pad_token_id: u32,
    layer_norm_eps: f32,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

const fn two() -> usize {
    2
}

fn gelu() -> String {
    "gelu".into()
}

fn absolute() -> String {
    "absolute".into()
}

/// `sentence_bert_config.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    do_lower_case: bool,
}

/// `1_Pooling/config.json`.
#[derive(Deserialize)]
#[serde(default)]
struct PoolingConfig {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

impl Default for PoolingConfig {
    fn default() -> Self {
        Self {
            pooling_mode_cls_token: false,
            pooling_mode_mean_tokens: true,
            pooling_mode_max_tokens: false,
            pooling_mode_mean_sqrt_len_tokens: false,
            pooling_mode_weightedmean_tokens: false,
            pooling_mode_lasttoken: false,
        }
    }
}

/// `config_sentence_transformers.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PromptsConfig {
    prompts: Prompts,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Prompts {
    query: String,
    #[serde(alias = "document")]
    passage: String,
}

/// One row of `modules.json`.
#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
}

impl Card {
    /// Reads the files in a model's folder. All but `config.json` may be missing; then what sentence-transformers assumes holds:
    /// the mean, all tokens that there are positions for, no prefixes.
    ///
    /// # Errors
    /// A file cannot be read, or says what this program cannot do.
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        let main = folder.join("config.json");
        let config: Config = parse(&main, &read(&main)?)?;
        only_known_modules(&folder.join("modules.json"))?;
        let sentences: SentenceConfig = optional(&folder.join("sentence_bert_config.json"))?;
        let pooling_path = folder.join("1_Pooling").join("config.json");
        let pooling = pooling(&optional(&pooling_path)?).map_err(|what| unfit(&pooling_path, what))?;
        let prompts: PromptsConfig = optional(&folder.join("config_sentence_transformers.json"))?;
        let card = Self::of(&config, &sentences, pooling, prompts.prompts);
        card.map_err(|what| unfit(&main, what))
    }

    fn of(
        config: &Config,
        sentences: &SentenceConfig,
        pooling: Pooling,
        prompts: Prompts,
    ) -> Result<Self, String> {
        let family = family(&config.model_type)?;
        if config.position_embedding_type != "absolute" {
            return Err(format!(
                "positions are '{}'; only absolute ones are known",
                config.position_embedding_type
            ));
        }
        let (dimensions, heads) = (config.hidden_size, config.num_attention_heads);
        if heads == 0 || dimensions == 0 || !dimensions.is_multiple_of(heads) {
            return Err(format!("{dimensions} dimensions cannot be shared out among {heads} heads"));
        }
        let taken = match family {
            Family::Bert => 0,
            Family::Roberta => config.pad_token_id as usize + 1,
        };
        let positions = config.max_position_embeddings.saturating_sub(taken);
        let tokens_max = sentences.max_seq_length.unwrap_or(positions).min(positions);
        if tokens_max < 3 {
            return Err(format!("takes {tokens_max} tokens, of which a text needs 3"));
        }
        Ok(Self {
            family,
            dimensions,
            layers: config.num_hidden_layers,
            heads,
            inner: config.intermediate_size,
            vocabulary: config.vocab_size,
            positions: config.max_position_embeddings,
            types: config.type_vocab_size,
            pad: config.pad_token_id,
            epsilon: config.layer_norm_eps,
            activation: activation(&config.hidden_act)?,
            pooling,
            tokens_max,
            lowercase: sentences.do_lower_case,
            prefixes: Prefixes { query: prompts.query, passage: prompts.passage },
        })
    }
}

fn family(kind: &str) -> Result<Family, String> {
    match kind {
        "bert" => Ok(Family::Bert),
        "roberta" | "xlm-roberta" => Ok(Family::Roberta),
        other => Err(format!("the kind of model is '{other}'; known are bert, roberta and xlm-roberta")),
    }
}

fn activation(name: &str) -> Result<Activation, String> {
    match name {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(format!("the activation is '{other}'; known are gelu, gelu_new and relu")),
    }
}

fn pooling(config: &PoolingConfig) -> Result<Pooling, String> {
    let others = config.pooling_mode_max_tokens
        || config.pooling_mode_mean_sqrt_len_tokens
        || config.pooling_mode_weightedmean_tokens
        || config.pooling_mode_lasttoken;
    match (config.pooling_mode_mean_tokens, config.pooling_mode_cls_token, others) {
        (true, false, false) => Ok(Pooling::Mean),
        (false, true, false) => Ok(Pooling::First),
        _ => Err(
            "the vectors of tokens are put together in a way that is not known; known are mean_tokens and \
                  cls_token"
                .into(),
        ),
    }
}

/// Refuses a model that does more than this program: a layer behind the pooling, say, without which its vectors mean nothing.
fn only_known_modules(path: &Path) -> Result<(), ModelError> {
    let modules: Vec<Module> = optional(path)?;
    let known = ["Transformer", "Pooling", "Normalize"];
    let strange = modules.iter().find(|module| {
        let name = module.kind.rsplit('.').next().unwrap_or_default();
        !known.contains(&name)
    });
    match strange {
        Some(module) => Err(unfit(path, format!("the model has a '{}', which is not known", module.kind))),
        None => Ok(()),
    }
}

/// A file that need not be there.
fn optional<T: DeserializeOwned + Default>(path: &Path) -> Result<T, ModelError> {
    match read(path) {
        Ok(json) => parse(path, &json),
        Err(ModelError::Missing { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(T::default())
        }
        Err(error) => Err(error),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, json: &[u8]) -> Result<T, ModelError> {
    serde_json::from_slice(json).map_err(|error| unfit(path, error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(change: &Value) -> Value {
        let mut config = json!({
            "model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
            "intermediate_size": 1536, "vocab_size": 30522, "max_position_embeddings": 512, "layer_norm_eps": 1e-12,
        });
        for (key, value) in change.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    }

    /// The card of these files, by their names below a folder.
    fn card(files: &[(&str, Value)]) -> Result<Card, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, json) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, json.to_string()).unwrap();
        }
        Card::read(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_as_sentence_transformers_assumes() {
        let card = card(&[("config.json", config(&json!({})))]).unwrap();
        assert_eq!((card.tokens_max, card.pooling, card.activation), (512, Pooling::Mean, Activation::Gelu));
        assert_eq!((card.prefixes.query.as_str(), card.lowercase), ("", false));
    }

    #[test]
    fn each_file_says_its_part() {
        let files = [
            (
                "config.json",
                config(
                    &json!({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}),
                ),
            ),
            ("sentence_bert_config.json", json!({"max_seq_length": 512, "do_lower_case": true})),
            (
                "1_Pooling/config.json",
                json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}),
            ),
            (
                "config_sentence_transformers.json",
                json!({"prompts": {"query": "query: ", "document": "passage: "}}),
            ),
            ("modules.json", json!([{"type": "sentence_transformers.models.Transformer"}])),
        ];
        let card = card(&files).unwrap();
        assert_eq!((card.family, card.tokens_max, card.pooling), (Family::Roberta, 512, Pooling::First));
        assert_eq!((card.prefixes.query.as_str(), card.prefixes.passage.as_str()), ("query: ", "passage: "));
        assert!(card.lowercase);
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_the_name_of_its_file() {
        let main = |change: Value| ("config.json", config(&change));
        for (files, named) in [
            (vec![], "config.json"),
            (vec![main(json!({"model_type": "t5"}))], "'t5'"),
            (vec![main(json!({"hidden_act": "swish"}))], "'swish'"),
            (vec![main(json!({"hidden_size": 385}))], "385"),
            (vec![main(json!({"num_attention_heads": 0}))], "0 heads"),
            (vec![main(json!({"max_position_embeddings": 2}))], "2 tokens"),
            (vec![main(json!({"vocab_size": "many"}))], "config.json"),
            (vec![main(json!({"position_embedding_type": "relative_key"}))], "relative_key"),
            (
                vec![
                    main(json!({})),
                    ("modules.json", json!([{"type": "sentence_transformers.models.Dense"}])),
                ],
                "Dense",
            ),
            (
                vec![main(json!({})), ("1_Pooling/config.json", json!({"pooling_mode_max_tokens": true}))],
                "1_Pooling",
            ),
            (vec![main(json!({})), ("sentence_bert_config.json", json!("no"))], "sentence_bert_config.json"),
        ] {
            let refused = card(&files).unwrap_err();
            assert!(refused.contains(named), "{refused}");
        }
    }
}
