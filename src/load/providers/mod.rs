//! Emulated providers: the WhatsApp Cloud API and a language model, on loopback, in a thread of their own.
//!
//! Their logs live in the process that tests, so that they survive every kill of the server under test.

mod model;
mod whatsapp;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::rt::{System, net};
use actix_web::{App, HttpServer, web};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

pub use model::{ModelBehaviour, ModelFault, Prompt, PromptMessage};
pub use whatsapp::{Sent, StatusTarget, WhatsappBehaviour};

use super::prng::Prng;

/// How the emulated providers behave. It can be changed while they run.
#[derive(Clone, Debug, Default)]
pub struct ProviderOptions {
    /// The WhatsApp Cloud API.
    pub whatsapp: WhatsappBehaviour,
    /// The language model.
    pub model: ModelBehaviour,
    /// What chance begins with.
    pub seed: u64,
    /// The port of the WhatsApp API; 0: any that is free.
    pub whatsapp_port: u16,
    /// The port of the model; 0: any that is free.
    pub model_port: u16,
    /// Who is told of every prompt and every accepted message, as it comes. Where somebody is, no log is kept.
    pub observer: Option<UnboundedSender<Observation>>,
}

/// What reached the emulated providers.
#[derive(Clone, Debug)]
pub enum Observation {
    /// The model was asked.
    Asked(Prompt),
    /// The WhatsApp API accepted a message.
    Sent(Sent),
}

/// What both emulations and the test share.
struct Shared {
    state: Mutex<State>,
    /// Told at every new line of a log.
    news: Notify,
    client: reqwest::Client,
}

struct State {
    whatsapp: WhatsappBehaviour,
    model: ModelBehaviour,
    prng: Prng,
    /// POSTs that asked to send a message, also those that were refused.
    asked: u64,
    sent: Vec<Sent>,
    prompts: Vec<Prompt>,
    /// Messages accepted.
    accepted: usize,
    /// Calls of the model since its behaviour was set.
    model_calls: u64,
    observer: Option<UnboundedSender<Observation>>,
}

impl State {
    /// Takes down a prompt.
    fn log_prompt(&mut self, prompt: Prompt) {
        match &self.observer {
            // An observer that is gone has seen enough.
            Some(observer) => drop(observer.send(Observation::Asked(prompt))),
            None => self.prompts.push(prompt),
        }
    }

    /// Takes down an accepted message.
    fn log_sent(&mut self, sent: Sent) {
        self.accepted += 1;
        match &self.observer {
            Some(observer) => drop(observer.send(Observation::Sent(sent))),
            None => self.sent.push(sent),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Running emulations; they stop when this is dropped.
pub struct EmulatedProviders {
    shared: Arc<Shared>,
    whatsapp: SocketAddr,
    model: SocketAddr,
    system: System,
    thread: Option<JoinHandle<()>>,
}

impl EmulatedProviders {
    /// Starts both on the loopback interface.
    ///
    /// # Errors
    /// When they cannot listen.
    pub fn start(options: ProviderOptions) -> io::Result<Self> {
        let client = crate::channels::client(Duration::from_secs(2)).map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                whatsapp: options.whatsapp,
                model: options.model,
                prng: Prng::new(options.seed),
                asked: 0,
                sent: Vec::new(),
                prompts: Vec::new(),
                accepted: 0,
                model_calls: 0,
                observer: options.observer,
            }),
            news: Notify::new(),
            client,
        });
        let listen = |port: u16| TcpListener::bind(("127.0.0.1", port));
        let listeners = [listen(options.whatsapp_port)?, listen(options.model_port)?];
        let (whatsapp, model) = (listeners[0].local_addr()?, listeners[1].local_addr()?);
        let (started, system) = mpsc::channel();
        let served = shared.clone();
        let thread = std::thread::Builder::new()
            .name("emulated-providers".into())
            .spawn(move || run(listeners, &served, &started))?;
        let system = system.recv().map_err(io::Error::other)??;
        Ok(Self { shared, whatsapp, model, system, thread: Some(thread) })
    }

    /// What `channels.whatsapp.graph_base_url` must be.
    #[must_use]
    pub fn graph_base_url(&self) -> String {
        format!("http://{}", self.whatsapp)
    }

    /// What `query.llm.base_url` must be.
    #[must_use]
    pub fn model_base_url(&self) -> String {
        format!("http://{}/v1", self.model)
    }

    /// Changes how the WhatsApp API behaves from now on.
    pub fn set_whatsapp(&self, behaviour: WhatsappBehaviour) {
        self.shared.state().whatsapp = behaviour;
    }

    /// Changes how the model behaves from now on.
    pub fn set_model(&self, behaviour: ModelBehaviour) {
        let mut state = self.shared.state();
        state.model = behaviour;
        state.model_calls = 0;
    }

    /// All messages that the WhatsApp API accepted, in order; those too whose answer was cut off.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.state().sent.clone()
    }

    /// How many messages the WhatsApp API accepted.
    #[must_use]
    pub fn sent_count(&self) -> usize {
        self.shared.state().accepted
    }

    /// How many times the WhatsApp API was asked to send a message, refusals included.
    #[must_use]
    pub fn asked_count(&self) -> u64 {
        self.shared.state().asked
    }

    /// All prompts the model was given, in order.
    #[must_use]
    pub fn prompts(&self) -> Vec<Prompt> {
        self.shared.state().prompts.clone()
    }

    /// Waits until the WhatsApp API accepted at least `count` messages; false if that took longer than `deadline`.
    pub async fn wait_for_sent(&self, count: usize, deadline: Duration) -> bool {
        let enough = async {
            loop {
                let news = self.shared.news.notified();
                tokio::pin!(news);
                // Listens before it looks, so that no news falls between.
                news.as_mut().enable();
                if self.sent_count() >= count {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(deadline, enough).await.is_ok()
    }
}

impl Drop for EmulatedProviders {
    fn drop(&mut self) {
        self.system.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

/// Serves both until the system is stopped.
fn run(listeners: [TcpListener; 2], shared: &Arc<Shared>, started: &mpsc::Sender<io::Result<System>>) {
    let runner = System::new();
    let [whatsapp, model] = listeners;
    let serving = runner.block_on(async {
        serve(whatsapp, shared, whatsapp::configure)?;
        serve(model, shared, model::configure)
    });
    let failed = serving.is_err();
    // Nobody waits any more only where the test is gone already.
    let _ = started.send(serving.map(|()| System::current()));
    if !failed {
        let _ = runner.run();
    }
}

/// Starts one of the two.
fn serve(
    listener: TcpListener,
    shared: &Arc<Shared>,
    configure: fn(&mut web::ServiceConfig),
) -> io::Result<()> {
    let shared = web::Data::from(shared.clone());
    let server = HttpServer::new(move || {
        let payload = web::PayloadConfig::new(4 * 1_024 * 1_024);
        App::new().app_data(shared.clone()).app_data(payload).configure(configure)
    })
    .on_connect(|connection, data| {
        let stream = connection.downcast_ref::<net::TcpStream>();
        if let Some(Ok(fd)) = stream.map(|stream| stream.as_fd().try_clone_to_owned()) {
            data.insert(Wire(TcpStream::from(fd)));
        }
    })
    .workers(1)
    // A client may connect ahead of its first request.
    .client_request_timeout(Duration::ZERO)
    .disable_signals()
    .shutdown_timeout(0)
    .listen(listener)?
    .run();
    actix_web::rt::spawn(server);
    Ok(())
}

/// A second handle of a connection, by which it can be cut.
struct Wire(TcpStream);

#[cfg(test)]
mod tests;
