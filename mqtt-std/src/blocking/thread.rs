//! The thread that runs the runner.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll},
    thread::{self, JoinHandle},
};

use mqtt_core::client::{LinkState, Mutex, Wakers};
use tokio::{
    runtime::{self, Runtime},
    sync::oneshot,
};

use crate::{
    Error, Runner,
    kind::{Lock, WakerList},
    wait::{Either, block_on, select},
};

/// Owned by all handles together. The last one to go stops the thread.
pub(super) struct Worker {
    ended: Arc<Ended>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How the run ended, once it has, and who waits for that.
struct Ended(Lock<(Option<Result<(), Error>>, WakerList)>);

impl Ended {
    fn poll(&self, context: &Context<'_>) -> Poll<Result<(), Error>> {
        self.0.with(|(outcome, waiting)| {
            if let Some(outcome) = outcome {
                return Poll::Ready(outcome.clone());
            }
            waiting.register(context.waker());
            Poll::Pending
        })
    }

    /// The first outcome counts.
    fn set(&self, new: Result<(), Error>) {
        self.0.with(|(outcome, waiting)| {
            outcome.get_or_insert(new);
            waiting.wake();
        });
    }
}

/// Whatever happens in the thread, those who wait for its end are told.
struct TellAnyway<'a>(&'a Ended);

impl Drop for TellAnyway<'_> {
    fn drop(&mut self) {
        self.0.set(Err(Error::Thread(Arc::new(io::Error::other(
            "it was stopped",
        )))));
    }
}

fn work(runtime: Runtime, mut runner: Runner, stopped: oneshot::Receiver<()>, ended: &Ended) {
    let _anyway = TellAnyway(ended);
    if let Either::First(outcome) = runtime.block_on(select(runner.run(), stopped)) {
        ended.set(outcome);
    }
    drop(runner);
    // A name server that does not answer must not hold up the end.
    runtime.shutdown_background();
}

impl Worker {
    pub(super) fn start(runner: Runner) -> Result<Self, Error> {
        let thread_failed = |error| Error::Thread(Arc::new(error));
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(thread_failed)?;
        let ended = Arc::new(Ended(Lock::new((None, WakerList::NEW))));
        let (stop, stopped) = oneshot::channel();
        let body = {
            let ended = ended.clone();
            move || work(runtime, runner, stopped, &ended)
        };
        let thread = thread::Builder::new()
            .name("mqtt".to_owned())
            .spawn(body)
            .map_err(thread_failed)?;
        Ok(Self {
            ended,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Waits for the first link to come up, or for the end of the run without one.
    pub(super) async fn connected(&self, client: &crate::Client) -> Result<(), Error> {
        let has_connected = || client.report().session.connections > 0;
        let up = async {
            loop {
                // Looked at before the counter: a link that comes up in between is a change.
                let state = client.state();
                if has_connected() {
                    return;
                }
                client.state_change(state).await;
            }
        };
        match select(up, self.ended()).await {
            Either::Second(Err(error)) if !has_connected() => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits for the end of the run.
    pub(super) async fn ended(&self) -> Result<(), Error> {
        poll_fn(|context| self.ended.poll(context)).await
    }

    /// Why the run ended, if it has, and not by `disconnect`.
    pub(super) fn failure(&self, client: &crate::Client) -> Option<Error> {
        // Who waits hears of the end a moment before its reason is known.
        if matches!(client.state(), LinkState::Stopped(_)) {
            return block_on(self.ended()).err();
        }
        self.ended
            .0
            .with(|(outcome, _)| outcome.clone().and_then(Result::err))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
