//! Threads for work that computes: apart from those that take readings in, so that no question and no pipeline can hold
//! up an acknowledgement.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Planning walks deep expressions by recursion. Only what is used of a stack takes memory.
const STACK_BYTES: usize = 16 << 20;
/// Computing gives way to intake where both want a core (`nice`, setpriority(2)).
const NICENESS: i32 = 5;

/// A few threads of their own.
#[derive(Debug)]
pub struct Threads(Option<Runtime>);

/// The work has panicked, or the threads are ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work was interrupted")]
pub struct Interrupted;

impl Threads {
    pub fn new(name: &str, threads: usize) -> io::Result<Threads> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name(name)
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(give_way)
            .enable_all()
            .build()?;
        Ok(Threads(Some(runtime)))
    }

    fn handle(&self) -> Result<&Handle, Interrupted> {
        self.0.as_ref().map(Runtime::handle).ok_or(Interrupted)
    }

    /// Runs a future there; dropping the returned one ends it.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = Result<T, Interrupted>> {
        let task = self.start(work);
        async move { task?.ended().await }
    }

    /// Runs a future there to its end, also when nobody waits for it any more.
    pub async fn complete<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Interrupted> {
        self.handle()?.spawn(work).await.map_err(|_| Interrupted)
    }

    /// Starts a future there that ends when the returned guard is dropped.
    pub fn start<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<Task<T>, Interrupted> {
        Ok(Task(self.handle()?.spawn(work)))
    }

    /// Begins what blocks on threads beside these. Nobody waits for it.
    pub fn begin_blocking(&self, work: impl FnOnce() + Send + 'static) {
        if let Ok(handle) = self.handle() {
            drop(handle.spawn_blocking(work));
        }
    }

    /// Runs what blocks on threads beside these.
    pub async fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Interrupted> {
        self.handle()?.spawn_blocking(work).await.map_err(|_| Interrupted)
    }
}

/// A runtime must not wait for its threads inside another, where the last owner is usually dropped.
impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A running task that ends with its guard.
#[derive(Debug)]
pub struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// Waits for its end.
    pub async fn ended(mut self) -> Result<T, Interrupted> {
        (&mut self.0).await.map_err(|_| Interrupted)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// On Linux, niceness belongs to a thread. Where it cannot be set, the threads compete as equals.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}
