//! A model's folder while it is filled: beside its place and under another name, until it is complete.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::FetchError;

/// How the names of unfinished folders begin. No model's name begins with a dot.
const PREFIX: &str = ".fetch-";

/// What is younger than this is left alone by others: it may not be locked yet.
const YOUNG: Duration = Duration::from_secs(60);

/// A folder on the file system of its destination, with room for a model and for what it is made of. Removed when it is
/// dropped; one whose process was killed is removed by a later fetch, which finds it unlocked.
pub(super) struct Staging {
    path: PathBuf,
    model: PathBuf,
    destination: PathBuf,
    /// Held while the folder is in use.
    _lock: File,
}

/// What came of putting a model in its place.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Placed {
    /// It is there.
    Here,
    /// Something else was there before.
    Taken,
}

impl Staging {
    /// Makes a folder beside `destination`.
    pub(super) fn beside(destination: &Path) -> Result<Self, FetchError> {
        let models = destination.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(models).map_err(FetchError::at("create", models))?;
        sweep(models);
        let path = models.join(format!("{PREFIX}{}", Uuid::now_v7().simple()));
        let model = path.join("model");
        fs::create_dir(&path).map_err(FetchError::at("create", &path))?;
        let lock =
            File::open(&path).and_then(|folder| folder.try_lock().map(|()| folder).map_err(Into::into));
        let lock = lock.map_err(FetchError::at("lock", &path))?;
        let staging = Self { path, model, destination: destination.to_owned(), _lock: lock };
        fs::create_dir(&staging.model).map_err(FetchError::at("create", &staging.model))?;
        Ok(staging)
    }

    /// The folder that becomes the model's.
    pub(super) fn model(&self) -> &Path {
        &self.model
    }

    /// The folder for all else.
    pub(super) fn scratch(&self) -> &Path {
        &self.path
    }

    /// Puts the model in its place, in one step and down to the disk; what is there already stays.
    pub(super) fn place(self) -> Result<Placed, FetchError> {
        sync_folders(&self.model)?;
        match fs::rename(&self.model, &self.destination) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
                return Ok(Placed::Taken);
            }
            Err(error) => return Err(FetchError::at("create", &self.destination)(error)),
        }
        sync(self.destination.parent().unwrap_or(Path::new(".")))?;
        Ok(Placed::Here)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is tried again by the next fetch.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Brings a folder's entries, and those of the folders in it, down to the disk.
fn sync_folders(folder: &Path) -> Result<(), FetchError> {
    for entry in fs::read_dir(folder).map_err(FetchError::at("read", folder))? {
        let path = entry.map_err(FetchError::at("read", folder))?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    sync(folder)
}

fn sync(folder: &Path) -> Result<(), FetchError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(FetchError::at("write", folder))
}

/// Removes what killed processes left. What cannot be removed stays, which does no harm.
fn sweep(models: &Path) {
    let entries = fs::read_dir(models).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let path = entry.path();
        if let Ok(folder) = File::open(&path)
            && !is_young(&folder)
            && folder.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Whether a folder has changed a short while ago; also where nobody knows.
fn is_young(folder: &File) -> bool {
    let changed = folder.metadata().and_then(|metadata| metadata.modified());
    changed.ok().and_then(|changed| changed.elapsed().ok()).is_none_or(|age| age < YOUNG)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Makes a folder look as if it had been left long ago.
    fn age(folder: &Path) {
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        File::open(folder).unwrap().set_modified(long_ago).unwrap();
    }

    #[test]
    fn a_model_comes_into_being_complete_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("data/models");
        let staging = Staging::beside(&models.join("m")).unwrap();
        fs::write(staging.model().join("config.json"), "{}").unwrap();
        assert!(!models.join("m").exists());
        drop(staging);
        assert!(names(&models).is_empty());

        let staging = Staging::beside(&models.join("m")).unwrap();
        fs::write(staging.model().join("config.json"), "{}").unwrap();
        fs::write(staging.scratch().join("wheel"), "").unwrap();
        assert_eq!(staging.place().unwrap(), Placed::Here);
        assert_eq!(
            (names(&models), names(&models.join("m"))),
            (vec!["m".into()], vec!["config.json".into()])
        );
    }

    #[test]
    fn of_two_fetches_at_the_same_time_the_first_stays() {
        let models = tempfile::tempdir().unwrap();
        let place = models.path().join("m");
        let (one, two) = (Staging::beside(&place).unwrap(), Staging::beside(&place).unwrap());
        fs::write(one.model().join("file"), "one").unwrap();
        fs::write(two.model().join("file"), "two").unwrap();
        assert_eq!((two.place().unwrap(), one.place().unwrap()), (Placed::Here, Placed::Taken));
        assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "two");
        assert_eq!(names(models.path()), ["m"]);
    }

    #[test]
    fn what_a_killed_fetch_left_is_removed_and_what_is_in_use_is_not() {
        let models = tempfile::tempdir().unwrap();
        let place = models.path().join("m");
        let in_use = Staging::beside(&place).unwrap();
        age(in_use.scratch());
        let left = models.path().join(".fetch-left");
        fs::create_dir_all(left.join("model")).unwrap();
        age(&left);
        let young = models.path().join(".fetch-young");
        fs::create_dir(&young).unwrap();
        fs::create_dir(models.path().join(".other")).unwrap();
        age(&models.path().join(".other"));
        sweep(models.path());
        let in_use_name = in_use.scratch().file_name().unwrap().to_str().unwrap();
        assert_eq!(names(models.path()), [in_use_name, ".fetch-young", ".other"]);
    }
}
