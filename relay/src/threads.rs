//! Work that takes its time: on threads of its own, a few at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Places for such work.
#[derive(Clone, Debug)]
pub(crate) struct Threads(Arc<Semaphore>);

impl Threads {
    /// So many at once.
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Does it when its turn comes. What has begun keeps its place until it is done, also if nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        // Nothing closes the semaphore.
        let place = Arc::clone(&self.0).acquire_owned().await;
        let working = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        match working.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime is ending, and with it whoever waits here.
            Err(Err(_)) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_gives_up_waiting_does_not_give_up_the_place() {
        let (threads, (go, gone)) = (Threads::new(1), mpsc::sync_channel(1));
        let (begun, beginning) = tokio::sync::oneshot::channel();
        let waiting = tokio::spawn({
            let threads = threads.clone();
            async move {
                let work = move || {
                    begun.send(()).unwrap();
                    gone.recv()
                };
                threads.run(work).await
            }
        });
        beginning.await.unwrap();
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        let next = threads.run(|| 7);
        tokio::pin!(next);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut next).await;
        assert!(early.is_err(), "the one that nobody waits for still runs");
        go.send(()).unwrap();
        assert_eq!(next.await, 7);
    }

    #[tokio::test]
    #[should_panic(expected = "what was done went wrong")]
    async fn what_panics_there_panics_here() {
        Threads::new(1).run(|| panic!("what was done went wrong")).await
    }
}
