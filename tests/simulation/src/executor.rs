//! Tasks that are polled when they were woken, in an order drawn by lot.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
};

use crate::{scene::Scene, verdict::Rule};

/// Polls at one moment after which the tasks count as running in circles.
const TOO_MANY_POLLS: u32 = 20_000;

/// Runs the tasks of one device.
#[derive(Default)]
pub(crate) struct Executor {
    tasks: Vec<Task>,
}

struct Task {
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    woken: Arc<Flag>,
    waker: Waker,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Executor {
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.push(Task {
            future: Some(Box::pin(future)),
            waker: Waker::from(woken.clone()),
            woken,
        });
    }

    /// Polls until nobody is awake, or power is lost.
    pub(crate) fn run(&mut self, scene: &Scene) {
        let mut awake = Vec::with_capacity(self.tasks.len());
        for _ in 0..TOO_MANY_POLLS {
            awake.clear();
            awake.extend((0..self.tasks.len()).filter(|index| self.tasks[*index].is_awake()));
            if awake.is_empty() || scene.has_failed() || scene.is_dark() {
                return;
            }
            let chosen = awake[scene.tape.below(awake.len() as u32) as usize];
            self.tasks[chosen].poll();
        }
        scene.violate(Rule::Progress, || {
            "the tasks wake each other for ever".into()
        });
    }
}

impl Task {
    fn is_awake(&self) -> bool {
        self.future.is_some() && self.woken.0.load(Relaxed)
    }

    fn poll(&mut self) {
        self.woken.0.store(false, Relaxed);
        if let Some(future) = &mut self.future
            && future.as_mut().poll(&mut Context::from_waker(&self.waker)) == Poll::Ready(())
        {
            self.future = None;
        }
    }
}
