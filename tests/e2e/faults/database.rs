//! Faults of the database: it stalls, and parts of it cannot be read.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{Recovery, bursts, check_promises};
use crate::support::{Bench, FAILPOINTS_DELAY, run};

#[test]
fn a_disk_that_stalls_for_5_s_delays_acknowledgements_and_splits_no_burst() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        bench.failpoints("store.before_commit=1*stall(5000)");
        tokio::time::sleep(FAILPOINTS_DELAY).await;
        let some = bursts("stall", 100, 0);
        let (sender, began) = (bench.sender(), Instant::now());
        let played = join_all(some.iter().map(|burst| async {
            sender.play(burst).await.expect("acknowledged");
            began.elapsed()
        }));
        let first = played.await.into_iter().min().expect("somebody wrote");
        assert!(first >= Duration::from_secs(5), "acknowledged after {first:?}, before it was on the disk");
        let recovery = Recovery::from("the disk stalled for 5 s");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(5));
        check_promises(&bench, &some, "stall");
    });
}
