//! Many homes at once: each steps through simulated time and publishes on a connection of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use springhouse_model::{Clock, SystemClock, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Counters, Fault, Home, HomeOptions, Pace, Publisher, PublisherError, PublisherOptions};

/// How often a home looks at its clock.
const TICK: Duration = Duration::from_millis(250);

#[derive(Clone, Debug)]
pub struct FleetOptions {
    pub homes: u32,
    pub seed: u64,
    pub faults: Vec<Fault>,
    pub pace: Pace,
    pub host: String,
    pub port: u16,
    /// One token for all homes, or one for each.
    pub tokens: Vec<String>,
    /// End when simulated time has caught up with real time.
    pub only_past: bool,
}

/// Homes that live in the background.
pub struct Fleet {
    pub counters: Arc<Counters>,
    simulated_us: Arc<Vec<AtomicI64>>,
    tasks: JoinSet<Result<(), PublisherError>>,
    stop: watch::Sender<bool>,
}

impl Fleet {
    /// Starts all homes. Must be called inside a tokio runtime.
    pub fn start(options: FleetOptions) -> Fleet {
        let counters = Arc::new(Counters::default());
        let start_us = options.pace.start.micros();
        let simulated_us: Vec<AtomicI64> = (0..options.homes).map(|_| AtomicI64::new(start_us)).collect();
        let simulated_us = Arc::new(simulated_us);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let begun = Instant::now();
        for index in 0..options.homes {
            let home = Home::new(HomeOptions {
                seed: options.seed,
                number: index + 1,
                faults: options.faults.clone(),
            });
            let token =
                options.tokens.get(index as usize).or(options.tokens.last()).cloned().unwrap_or_default();
            let publisher = Publisher::start(
                PublisherOptions {
                    host: options.host.clone(),
                    port: options.port,
                    client_id: format!("sim-{}", home.site()),
                    username: home.site().to_owned(),
                    token,
                },
                Arc::clone(&counters),
            );
            let life = Life {
                index: index as usize,
                // Homes do not breathe in step.
                begun: begun
                    + Duration::from_millis(u64::from(index) * 1_000 / u64::from(options.homes.max(1))),
                pace: options.pace,
                only_past: options.only_past,
                simulated_us: Arc::clone(&simulated_us),
                stopped: stopped.clone(),
            };
            tasks.spawn(life.run(home, publisher));
        }
        Fleet { counters, simulated_us, tasks, stop }
    }

    /// The simulated time that every home has reached.
    pub fn simulated(&self) -> Timestamp {
        let slowest = self.simulated_us.iter().map(|at| at.load(Ordering::Relaxed)).min();
        Timestamp(slowest.unwrap_or(i64::MAX))
    }

    /// Waits until all homes have ended, which without `only_past` happens on an error alone.
    pub async fn ended(&mut self) -> Result<(), PublisherError> {
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(result) = ended {
                result?;
            }
        }
        Ok(())
    }

    /// Lets the homes say goodbye.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What a home needs to live.
struct Life {
    index: usize,
    begun: Instant,
    pace: Pace,
    only_past: bool,
    simulated_us: Arc<Vec<AtomicI64>>,
    stopped: watch::Receiver<bool>,
}

impl Life {
    async fn run(mut self, home: Home, publisher: Publisher) -> Result<(), PublisherError> {
        let mut stopped = self.stopped.clone();
        let result = tokio::select! {
            result = self.live(home, &publisher) => result,
            _ = stopped.wait_for(|stop| *stop) => Ok(()),
        };
        publisher.close().await;
        result
    }

    async fn live(&mut self, mut home: Home, publisher: &Publisher) -> Result<(), PublisherError> {
        let mut at = self.pace.start;
        loop {
            let target = self.pace.simulated(self.begun.elapsed().as_secs_f64(), SystemClock.now());
            while at < target {
                let behind_s = (target.micros() - at.micros()) as f64 / 1e6;
                let step_s = self.pace.step_s(behind_s);
                if behind_s < step_s {
                    break;
                }
                at = at.plus_micros((step_s * 1e6) as i64);
                for reading in home.step(at, step_s) {
                    publisher.publish(&reading).await?;
                }
                self.simulated_us[self.index].store(at.micros(), Ordering::Relaxed);
            }
            if self.only_past && SystemClock.now().micros() - at.micros() < 2_000_000 {
                return publisher.delivered().await;
            }
            tokio::time::sleep(TICK).await;
        }
    }
}
