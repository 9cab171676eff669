//! How fast the load generator writes: `cargo bench --bench generator`. Prints a table; takes about a minute.
//!
//! Its server answers every webhook with 200 and does nothing else, on a thread of its own: what falls behind its plan here
//! is the generator. Nothing is ever answered, so that every run ends with its messages lost, which is not looked at.
#![expect(clippy::print_stdout, reason = "a benchmark answers on the terminal")]

use std::sync::mpsc::channel;

use actix_web::{App, HttpResponse, HttpServer, web};
use tertulia::load::profile::{Limits, Profile, StagePlan};
use tertulia::load::report::run::Run;
use tertulia::load::run::{Order, Ports, Target, run};

/// Messages a second that are planned, one run each.
const RATES: [f64; 5] = [10_000.0, 20_000.0, 25_000.0, 30_000.0, 40_000.0];

/// Bursts have one to five messages.
const MESSAGES_A_BURST: f64 = 3.0;

const SECONDS: f64 = 5.0;

/// Starts a server that only says 200; its address.
fn null_server() -> String {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let app =
                || App::new().default_service(web::to(|_: web::Bytes| async { HttpResponse::Ok().finish() }));
            let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").expect("a free port");
            tell.send(server.addrs()[0]).expect("the benchmark waits");
            server.run().await.expect("it runs until the process ends");
        });
    });
    let address = told.recv().expect("the server has started");
    format!("http://{address}/webhooks/whatsapp")
}

fn order(url: &str, messages_per_s: f64) -> Order {
    let stage = |name: &str, seconds, warm_up| StagePlan {
        name: name.to_owned(),
        seconds,
        warm_up,
        bursts_per_s: messages_per_s / MESSAGES_A_BURST,
        ..StagePlan::default()
    };
    let profile = Profile {
        stages: vec![stage("warm-up", 1.0, true), stage("measured", SECONDS, false)],
        limits: Limits { settle_ms: 200, ..Limits::default() },
        ..Profile::default()
    };
    let target = Target { url: url.to_owned(), app_secret: "secret".to_owned(), quiet_ms: 200, pid: None };
    Order {
        profile,
        seed: 1,
        target: Some(target),
        ports: Ports::default(),
        command: "cargo bench --bench generator".to_owned(),
        shows_progress: false,
    }
}

fn show(planned: f64, run: &Run) {
    let lag = run.generator.lag;
    let written = lag.count as f64 / SECONDS;
    let verdict = run.generator.bottleneck.as_deref().unwrap_or("it kept up");
    println!(
        "{planned:>8.0} {written:>8.0} {:>8.2} {:>8.2} {:>8.1}  {verdict}",
        lag.p50_ms, lag.p99_ms, lag.max_ms
    );
}

fn main() {
    let url = null_server();
    println!(" planned  written  lag p50      p99      max  messages a second; lag in ms");
    for planned in RATES {
        let run = actix_rt::System::new().block_on(run(order(&url, planned))).expect("a run");
        show(planned, &run);
    }
}
