//! `tertulia model`: the models of meaning that are in a folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::DecimalBytes;

use serde_json::json;
use tertulia_actors::ports::{Embeddable, Role};

use super::acts::{Outcome, done};
use super::output::{self, say};
use crate::config::Config;
use crate::embedding::fetch::known::KNOWN;
use crate::embedding::fetch::{
    self, DEFAULT_MODEL, FetchError, Fetched, HUB, Installed, ModelName, Wanted, installed,
};
use crate::secret::Secret;
use crate::shutdown;

/// Texts that are embedded at a time.
const PAGE: usize = 64;

const EXAMPLES: &str = "\
Examples:
  tertulia model fetch                                  the default model, into the folder of embedding.models
  tertulia model fetch multilingual-e5-small --to /srv/models
  tertulia model fetch BAAI/bge-small-en-v1.5 --revision main
  tertulia model list --in /srv/models                  name, dimensions, family, size, origin, revision
  tertulia model verify all-MiniLM-L6-v2
  echo 'Do you deliver?' | tertulia model embed";

const ENVIRONMENT: &str = "\
Environment:
  HF_TOKEN     what the hub knows you by, for models that not everybody may fetch
  HF_ENDPOINT  the address of the hub, unless --hub says another one";

const EXIT_CODES: &str = "\
Exit codes:
  0  fine; of fetch: the model is there, and as it was published
  1  failed; standard error says why, and nothing half is left. Of verify: a file is not as it was fetched
  2  wrong usage or configuration";

/// The help of the command, with the table of known models.
pub(super) fn help() -> String {
    let known = KNOWN.iter().map(|known| {
        let origin = known.source.origin();
        let (name, languages, note, licence) = (known.name, known.languages, known.note, known.licence);
        format!("\n  {name}\n      {languages}; {note}; {licence}; from {origin}")
    });
    format!("{EXAMPLES}\n\nKnown models:{}\n\n{ENVIRONMENT}\n\n{EXIT_CODES}", known.collect::<String>())
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(super) enum Model {
    /// Fetch a model, unless it is there; then it is checked.
    #[command(after_help = help())]
    Fetch(Fetch),
    /// List the models that are there: name, dimensions, family, size, origin and revision.
    #[command(after_help = EXIT_CODES)]
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Embed each line of standard input by the configured model, and print {"text", "read", "vector"} as lines of JSON.
    ///
    /// "read" says whether the model can read the script of the text; what it cannot read is searched by words alone.
    #[command(after_help = EXIT_CODES)]
    Embed {
        /// The lines are texts that are looked for, not what a person says; some models tell the two apart.
        #[arg(long)]
        passages: bool,
    },
    /// Check that the files of a model, or of all, are as they were fetched.
    #[command(after_help = EXIT_CODES)]
    Verify {
        /// The model; all where none is named.
        name: Option<ModelName>,
        #[command(flatten)]
        place: Place,
    },
}

/// Where models are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The folder of models; by default that of the configuration (embedding.models).
    #[arg(long = "in", value_name = "FOLDER")]
    models: Option<PathBuf>,
}

impl Place {
    fn or_of<'a>(&'a self, config: &'a Config) -> &'a Path {
        self.models.as_deref().unwrap_or(&config.embedding.models)
    }
}

#[derive(Debug, Args)]
pub(super) struct Fetch {
    /// A known model, or owner/name on the Hugging Face hub.
    #[arg(default_value = DEFAULT_MODEL)]
    name: ModelName,
    /// The branch, tag or commit of a model on the hub; by default main.
    #[arg(long, value_name = "REV")]
    revision: Option<String>,
    /// The folder of models, in which the model gets a folder of its own; by default that of the configuration.
    #[arg(long = "to", value_name = "FOLDER")]
    models: Option<PathBuf>,
    /// The address of the hub, or of a mirror that answers as it does.
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
}

pub(super) fn run(asked: &Model, config: &Config) -> Outcome {
    match asked {
        Model::Fetch(asked) => fetch_one(asked, config),
        Model::List { place } => list(place.or_of(config)),
        Model::Verify { name, place } => verify(place.or_of(config), name.as_ref()),
        Model::Embed { passages } => embed(*passages, config),
    }
}

/// Embeds the lines of standard input, a page at a time.
fn embed(passages: bool, config: &Config) -> Outcome {
    let section = &config.embedding;
    let model = crate::embedding::Model::load(&section.model_folder(), &section.prefixes())?;
    let role = if passages { Role::Passage } else { Role::Query };
    let mut lines = std::io::stdin().lines();
    loop {
        let page = lines.by_ref().take(PAGE).collect::<Result<Vec<_>, _>>()?;
        if page.is_empty() {
            return done();
        }
        let texts: Vec<_> = page.into_iter().map(|text| Embeddable { text, role }).collect();
        for (text, vector) in texts.iter().zip(model.embed(&texts)?) {
            say(json!({"text": text.text, "read": model.reads(&text.text), "vector": &*vector}))?;
        }
    }
}

fn fetch_one(asked: &Fetch, config: &Config) -> Outcome {
    let environment = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let hub = asked.hub.clone().or_else(|| environment("HF_ENDPOINT")).unwrap_or_else(|| HUB.into());
    let token = Secret::new(environment("HF_TOKEN").unwrap_or_default());
    let wanted = Wanted {
        name: &asked.name,
        revision: asked.revision.as_deref(),
        models: asked.models.as_deref().unwrap_or(&config.embedding.models),
        hub: &hub,
        token: &token,
    };
    let bar = output::bar(0, "{msg} {bar:40} {decimal_bytes} of {decimal_total_bytes}, {eta} left");
    let fetched = actix_rt::System::new().block_on(async {
        tokio::select! {
            fetched = fetch::fetch(&wanted, &bar) => Ok(fetched),
            signal = shutdown::asked(|| {}) => Err(format!("{signal} came before the model: nothing was kept")),
        }
    })?;
    bar.finish_and_clear();
    match fetched {
        Ok(fetched) => tell(&asked.name, &fetched),
        Err(error) if error.is_usage() => {
            output::complain(format_args!("tertulia: {error}"));
            Ok(ExitCode::from(2))
        }
        Err(error) => Err(error.into()),
    }
}

fn tell(name: &ModelName, fetched: &Fetched) -> Outcome {
    let Fetched { folder, manifest, was_there } = fetched;
    let how = if *was_there { "was there already, and is as it was fetched" } else { "was fetched" };
    say(format_args!("{name} {how}: '{}' ({} {})", folder.display(), manifest.origin, manifest.revision))?;
    done()
}

fn list(models: &Path) -> Outcome {
    let found = read(models)?;
    for model in &found {
        say(line(model))?;
    }
    if found.is_empty() {
        output::complain(format_args!("there are no models in '{}'", models.display()));
    }
    done()
}

/// What the list says of a model.
fn line(model: &Installed) -> String {
    let dimensions = model.dimensions.map_or_else(|| "?".to_owned(), |dimensions| dimensions.to_string());
    let family = model.family.as_deref().unwrap_or("?");
    let origin = match &model.manifest {
        Ok(manifest) => format!("{}\t{}", manifest.origin, manifest.revision),
        Err(_) => "?\t?".to_owned(),
    };
    format!("{}\t{dimensions}\t{family}\t{}\t{origin}", model.name, DecimalBytes(model.bytes))
}

fn verify(models: &Path, name: Option<&ModelName>) -> Outcome {
    let mut found = read(models)?;
    found.retain(|model| name.is_none_or(|name| model.name == name.folder()));
    if found.is_empty() {
        let name = name.map_or_else(|| "model".to_owned(), |name| format!("model '{name}'"));
        return Err(
            format!("there is no {name} in '{}': see `tertulia model fetch`", models.display()).into()
        );
    }
    let mut sound = true;
    for model in &found {
        let findings = findings(models, model)?;
        sound &= findings.is_empty();
        for finding in &findings {
            say(format_args!("{}: {finding}", model.name))?;
        }
        if findings.is_empty() {
            say(format_args!("{}: every file is as it was fetched", model.name))?;
        }
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is wrong with a model.
fn findings(models: &Path, model: &Installed) -> Result<Vec<String>, super::Failure> {
    match &model.manifest {
        Ok(manifest) => {
            let differences = manifest.differences(&models.join(&model.name))?;
            Ok(differences.iter().map(ToString::to_string).collect())
        }
        Err(error) => Ok(vec![error.to_string()]),
    }
}

fn read(models: &Path) -> Result<Vec<Installed>, super::Failure> {
    installed(models).map_err(|error| FetchError::at("read", models)(error).into())
}
