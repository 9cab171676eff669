//! What happens to the server under test while people write: it is killed, its disk is full, its database is locked.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::child::{Child, ChildError};
use super::desk::Desk;
use super::disk::{self, SmallDisk};
use super::faults::Faults;
use super::plan::Moment;
use super::prng::Prng;
use super::report::run::Mark;

/// How often a server that ends at its start is started again.
const STARTS: u32 = 30;

/// The pause before.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// What befell the server.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// For the report.
    pub marks: Vec<Mark>,
    /// When it was killed.
    pub kills: Vec<Moment>,
    /// Why the run cannot go on.
    pub failure: Option<String>,
}

/// A server that things happen to.
pub struct Victim {
    /// The server.
    pub child: Mutex<Child>,
    /// Its process.
    pub pid: Rc<Cell<Option<u32>>>,
    /// Its database.
    pub database: PathBuf,
    /// Its disk, where that can be filled.
    pub disk: Option<SmallDisk>,
    /// Asks whether it is ready.
    pub client: reqwest::Client,
}

/// Lets things happen until the task is aborted.
pub async fn happen(
    desk: Rc<Desk>,
    victim: Rc<Victim>,
    faults: Faults,
    seed: u64,
    story: Rc<RefCell<Story>>,
) {
    let mut misfortunes = JoinSet::new();
    let prng = |stream: u64| Prng::derived(seed, u64::MAX - 10 - stream);
    let tell = move |story: &RefCell<Story>, at: Moment, to: Option<Moment>, what: &str| {
        let seconds = |moment: Moment| moment as f64 / 1_000_000.0;
        story.borrow_mut().marks.push(Mark { at_s: seconds(at), to_s: to.map(seconds), what: what.into() });
    };
    if faults.kill_every_ms > 0 {
        let (desk, victim, story, mut prng) = (desk.clone(), victim.clone(), story.clone(), prng(0));
        misfortunes.spawn_local(async move {
            loop {
                pause(faults.kill_every_ms, &mut prng).await;
                let at = desk.now();
                let mut child = victim.child.lock().await;
                child.kill();
                victim.pid.set(None);
                story.borrow_mut().kills.push(at);
                if let Err(error) = start_again(&mut child, &victim.client).await {
                    story.borrow_mut().failure = Some(error.to_string());
                    return;
                }
                victim.pid.set(child.pid());
                tell(&story, at, Some(desk.now()), "kill -9");
            }
        });
    }
    if faults.lock_db_every_ms > 0 {
        let (desk, victim, story, mut prng) = (desk.clone(), victim.clone(), story.clone(), prng(1));
        misfortunes.spawn_local(async move {
            loop {
                pause(faults.lock_db_every_ms, &mut prng).await;
                let at = desk.now();
                let hold = Duration::from_millis(faults.lock_db_ms);
                if disk::lock(victim.database.clone(), hold).await.is_ok() {
                    tell(&story, at, Some(desk.now()), "database locked");
                }
            }
        });
    }
    if faults.disk_full_every_ms > 0 {
        let mut prng = prng(2);
        misfortunes.spawn_local(async move {
            let Some(disk) = &victim.disk else { return };
            loop {
                pause(faults.disk_full_every_ms, &mut prng).await;
                let at = desk.now();
                if disk.fill().is_ok() {
                    tokio::time::sleep(Duration::from_millis(faults.disk_full_ms)).await;
                    tell(&story, at, Some(desk.now()), "disk full");
                }
                // A filler that cannot be removed is tried again the next time.
                let _ = disk.empty();
            }
        });
    }
    while misfortunes.join_next().await.is_some() {}
}

/// Starts a killed server, as its manager would: again, when it ends because of what else befell it.
async fn start_again(child: &mut Child, client: &reqwest::Client) -> Result<(), ChildError> {
    for _ in 0..STARTS {
        match child.start(client).await {
            Err(ChildError::Ended { .. }) => tokio::time::sleep(RESTART_PAUSE).await,
            outcome => return outcome,
        }
    }
    child.start(client).await
}

/// Waits for as long as chance will have it, so long on average.
async fn pause(average_ms: u64, prng: &mut Prng) {
    let average = Duration::from_millis(average_ms);
    // Never at once: what happened before must be over, and never so late that it does not happen.
    tokio::time::sleep(average.mul_f64(prng.exponential().clamp(0.3, 2.0))).await;
}
