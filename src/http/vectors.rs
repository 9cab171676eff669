//! Vectors of entries that a command has made by another model than the configured one.

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::Serialize;
use tertulia_actors::domain::Embedding;
use tertulia_actors::ports::{Embedded, ModelVectors};

use super::answer::Json;
use super::auth::operator;
use super::body::Body;
use super::console::{Role, by_people};
use super::problem::Problem;
use super::state::HttpState;

/// Bytes of a model's name at the most.
const NAME_BYTES_MAX: usize = 256;

/// How far the length of a vector may be from one.
const LENGTH_TOLERANCE: f32 = 0.01;

/// How many vectors were kept.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeptVectors")]
pub(super) struct Kept {
    /// Of how many entries: not of those that are gone or say something else by now.
    kept: usize,
}

/// Keeps the vectors of entries that say what they said when they were embedded.
pub(super) async fn put(
    request: HttpRequest,
    body: Body<ModelVectors>,
    state: web::Data<HttpState>,
) -> Result<Json<Kept>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let made = body.read(&state.settings.server, ("invalid_vectors", "what a model made")).await?;
    check(&made).map_err(|wrong| Problem::new(422, "invalid_vectors", wrong))?;
    if state.model.as_ref() == Some(&made.model) {
        let detail =
            "the server embeds the entries by this model itself: GET /v1/knowledge/status says how far it is";
        return Err(Problem::new(409, "refused", detail));
    }
    let target = format!("knowledge, vectors of {}", made.model);
    let put = || state.known(state.knowledge.put_vectors(made));
    let kept = by_people(&state, &who, "import", &target, put).await?;
    Ok(Json(Kept { kept }))
}

/// Whether the vectors can be searched.
fn check(ModelVectors { model, embedded }: &ModelVectors) -> Result<(), String> {
    if model.trim().is_empty() || model.len() > NAME_BYTES_MAX {
        return Err(format!("the model's name is blank or longer than {NAME_BYTES_MAX} bytes"));
    }
    let mut dimensions = None;
    for Embedded { row, texts, vectors } in embedded {
        if texts.is_empty() || texts.len() != vectors.len() {
            return Err(format!("entry {row} has {} texts and {} vectors", texts.len(), vectors.len()));
        }
        for vector in vectors.iter().flatten() {
            if vector.len() != *dimensions.get_or_insert(vector.len()) {
                return Err(format!("the vectors of entry {row} have another length than those before"));
            }
            if !is_unit(vector) {
                return Err(format!("a vector of entry {row} is not of length one"));
            }
        }
    }
    Ok(())
}

fn is_unit(vector: &Embedding) -> bool {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    (length - 1.0).abs() <= LENGTH_TOLERANCE
}

#[cfg(test)]
mod tests {
    use tertulia_actors::ports::Embeddable;

    use super::*;

    #[test]
    fn only_vectors_that_can_be_searched_are_kept() {
        let of = |vectors: Vec<Option<Vec<f32>>>, texts: usize| Embedded {
            row: 7,
            texts: vec![Embeddable::query("q"); texts],
            vectors: vectors.into_iter().map(|vector| vector.map(Into::into)).collect(),
        };
        let one = || Some(vec![0.6, 0.8]);
        for (model, embedded, wrong) in [
            ("m", vec![], None),
            ("m", vec![of(vec![one(), None], 2)], None),
            (" ", vec![], Some("name")),
            ("m", vec![of(vec![one()], 2)], Some("2 texts and 1 vectors")),
            ("m", vec![of(vec![], 0)], Some("0 texts")),
            ("m", vec![of(vec![one(), Some(vec![1.0])], 2)], Some("another length")),
            ("m", vec![of(vec![Some(vec![1.0, 1.0])], 1)], Some("not of length one")),
            ("m", vec![of(vec![Some(vec![f32::NAN, 1.0])], 1)], Some("not of length one")),
            ("m", vec![of(vec![Some(vec![])], 1)], Some("not of length one")),
        ] {
            let checked = check(&ModelVectors { model: model.into(), embedded });
            match wrong {
                None => assert_eq!(checked, Ok(())),
                Some(wrong) => {
                    assert!(checked.as_ref().is_err_and(|told| told.contains(wrong)), "{checked:?}");
                }
            }
        }
    }
}
