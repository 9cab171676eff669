//! The root of supervision: what every supervisor is made from.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use actix_rt::ArbiterHandle;

use super::arbiter::start_on;
use super::events::{Path, Reporter};
use super::monitor::Monitor;
use super::policy::{RestartPolicy, Strategy};
use super::supervised::{EndProcess, Keeper};
use crate::ports::{Clock, Entropy};
use crate::settings::SupervisionSettings;

/// Makes the keepers of all threads. Clones tell the same monitor.
#[derive(Clone)]
pub struct Root {
    monitor: Addr<Monitor>,
    settings: SupervisionSettings,
    entropy: Arc<dyn Entropy>,
    end_process: EndProcess,
}

impl Root {
    /// Starts the monitor on `arbiter`.
    ///
    /// # Errors
    /// None when the arbiter is gone.
    pub async fn start(
        arbiter: &ArbiterHandle,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: SupervisionSettings,
        end_process: EndProcess,
    ) -> Option<Self> {
        start_on(arbiter, move || {
            let ctx = Context::new();
            let root = Self { monitor: ctx.address(), settings, entropy, end_process };
            let monitor =
                Monitor::new(clock, root.keeper("monitor", Strategy::KeepTrying), root.settings.clone());
            root.keeper("monitor", Strategy::KeepTrying).run(ctx, monitor);
            root
        })
        .await
    }

    /// What keeps the actors at `path` alive, for this thread.
    #[must_use]
    pub fn keeper(&self, path: &str, strategy: Strategy) -> Rc<Keeper> {
        Rc::new(Keeper {
            policy: RestartPolicy::from(&self.settings),
            strategy,
            reporter: self.reporter(path),
            entropy: Arc::clone(&self.entropy),
            end_process: Arc::clone(&self.end_process),
            alive: Cell::new(0),
            tasks: Cell::new(0),
        })
    }

    /// Tells what happens at `path`.
    #[must_use]
    pub fn reporter(&self, path: &str) -> Reporter {
        Reporter::new(self.monitor.clone(), Path::from(path))
    }

    /// The named limits.
    #[must_use]
    pub const fn settings(&self) -> &SupervisionSettings {
        &self.settings
    }

    /// Who knows how everything is.
    #[must_use]
    pub const fn monitor(&self) -> &Addr<Monitor> {
        &self.monitor
    }

    /// Ends the process; see [`Strategy::KeepTrying`].
    #[must_use]
    pub const fn end_process(&self) -> &EndProcess {
        &self.end_process
    }
}
