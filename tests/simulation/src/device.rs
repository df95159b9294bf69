//! The device: the real client, and an application that uses it without mercy.

mod durable;
mod publisher;
mod receiver;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use mqtt_core::{
    Message,
    client::{Connect, LinkState, Report, SessionKeeper, Shared, new},
    session::{Options, OutboxPolicy, Slot},
};

use crate::{
    executor::Executor,
    flash::Flash,
    kind::{Client, Inbox, Runner, Simulated},
    link::Network,
    scene::Scene,
    setup::Setup,
    verdict::Rule,
};
use durable::Outbox;

/// One device between two boots.
pub(crate) struct Device {
    pub(crate) client: Client,
    pub(crate) app: App,
    executor: Executor,
    flash: Flash,
    /// Messages of an earlier life that it goes on with.
    restored: u32,
}

type Keeper = SessionKeeper<Simulated, Flash, Box<[u8]>>;

/// What the tasks of an application share.
#[derive(Clone)]
pub(crate) struct App {
    scene: Rc<Scene>,
    client: Client,
    outbox: Option<Rc<Outbox>>,
    control: Rc<Control>,
}

#[derive(Default)]
struct Control {
    /// Operations that the publishers may still begin, and publishers at work.
    operations: Cell<u32>,
    publishers: Cell<u32>,
    /// The link on which authentication was begun anew.
    authenticated: Cell<u32>,
    /// The runner is not to run again.
    over: Cell<bool>,
    /// The run is to be dropped; and was.
    kill: Cell<bool>,
    killed: Cell<bool>,
    runner: RefCell<Option<Waker>>,
}

impl Device {
    /// Switches a device on. `session_known`: it was on before.
    pub(crate) fn boot(network: &Network, flash: &Flash, session_known: bool) -> Self {
        let scene = &network.scene;
        let setup = &scene.setup;
        scene.note(|| "device: boots".into());
        let options = setup.options(session_known);
        let (client, inbox, runner) = new_client(setup, &options);
        let keeper = setup.keeps_session().then(|| open(scene, &client, flash));
        let restored = keeper
            .as_ref()
            .is_some_and(|keeper| keeper.restored() == Ok(true));
        scene.ledger.borrow_mut().boots(setup.policy, restored);
        if !restored {
            scene.exchanges.borrow_mut().clear();
        }
        client.set_outbox_policy(setup.policy);
        let mut app = App {
            scene: scene.clone(),
            client: client.clone(),
            outbox: None,
            control: Rc::default(),
        };
        app.outbox = setup.has_outbox().then(|| Rc::new(app.new_outbox(flash)));
        app.control.operations.set(setup.operations);
        app.control.publishers.set(setup.publishers);
        let mut executor = Executor::default();
        executor.spawn(app.clone().run(runner, keeper, network.clone(), options));
        if let Some(outbox) = app.outbox.clone() {
            executor.spawn(app.clone().keep_sending(outbox));
        }
        executor.spawn(app.clone().receive(inbox));
        for _ in 0..setup.publishers {
            executor.spawn(app.clone().publish());
        }
        executor.spawn(app.clone().watch());
        Self {
            client,
            app,
            executor,
            flash: flash.clone(),
            restored: if restored {
                flash.messages_in_copy()
            } else {
                0
            },
        }
    }

    /// Polls until nobody is awake.
    pub(crate) fn run(&mut self, scene: &Scene) {
        self.executor.run(scene);
    }

    /// Whether the application has done all it wanted, and knows what became of it.
    pub(crate) fn is_done(&self) -> bool {
        let session = self.client.report().session;
        self.app.control.publishers.get() == 0
            && self.restored + session.published == session.delivered + session.failed
            && self.flash.is_empty()
            && matches!(self.client.state(), LinkState::Connected { .. })
    }

    /// The outbox counts what it gives up.
    pub(crate) fn check_outbox(&self) {
        let scene = &self.app.scene;
        if let Some(outbox) = &self.app.outbox {
            let made_room = scene.ledger.borrow().made_room;
            let counters = outbox.counters();
            let counted = counters.dropped + counters.replaced;
            scene.require(made_room <= counted, Rule::Durable, || {
                format!("{made_room} messages are gone, {counted} of them were counted")
            });
        }
    }

    pub(crate) fn report(&self) -> Report {
        self.client.report()
    }

    /// Whether a run was dropped since the last question.
    pub(crate) fn was_killed(&self) -> bool {
        self.app.control.killed.replace(false)
    }

    pub(crate) fn drop_run(&self) {
        self.app.control.kill.set(true);
        if let Some(waker) = self.app.control.runner.take() {
            waker.wake();
        }
    }

    pub(crate) fn set_policy(&self, policy: OutboxPolicy) {
        self.app.scene.ledger.borrow_mut().policies.push(policy);
        self.client.set_outbox_policy(policy);
    }

    /// Uses up packet identifiers: each message is refused after it got one.
    pub(crate) fn burn_identifiers(&self, count: u32) {
        for _ in 0..count {
            drop(self.client.try_publish(&Message::new("#", b"")));
        }
    }

    /// The user says goodbye, for good.
    pub(crate) fn leave(&mut self, with_will: bool) {
        let app = self.app.clone();
        app.control.over.set(true);
        self.executor
            .spawn(async move { app.disconnect(with_will).await });
    }

    /// How many small messages can be queued. Spoils the device.
    pub(crate) fn capacity(&self) -> usize {
        capacity(&self.client)
    }
}

/// The same of a device that never did anything.
pub(crate) fn fresh_capacity(setup: &Setup) -> usize {
    let (client, _inbox, _runner) = new_client(setup, &setup.options(false));
    capacity(&client)
}

fn capacity(client: &Client) -> usize {
    client.set_outbox_policy(OutboxPolicy::Reject);
    let mut deliveries = Vec::new();
    while let Ok(delivery) = client.try_publish(&Message::new("t", b"1")) {
        deliveries.push(delivery);
    }
    deliveries.len()
}

fn new_client(setup: &Setup, options: &Options<'_>) -> (Client, Inbox, Runner) {
    let buffer = |len: usize| vec![0; len].into_boxed_slice();
    let slots = vec![Slot::FREE; setup.slots].into_boxed_slice();
    let (rx, tx, wire) = (buffer(setup.rx), buffer(setup.tx), buffer(setup.wire));
    let shared = Shared::<Simulated>::new(rx, tx, slots, wire, options);
    let shared = shared.unwrap_or_else(|error| panic!("the options do not fit: {error}"));
    let (client, inbox, runner) = new(Rc::new(shared));
    if setup.authenticates {
        let enabled = client.enable_authentication(options);
        enabled.unwrap_or_else(|error| panic!("the options do not fit: {error}"));
    }
    if setup.aliases {
        client.enable_topic_aliases();
    }
    (client, inbox, runner)
}

/// Goes on with the session that was kept, if there is one.
fn open(scene: &Scene, client: &Client, flash: &Flash) -> Keeper {
    // Version and checksum, and 8 bytes for each message beside its packet.
    let len = 6 + scene.setup.slots * 8 + scene.setup.tx;
    let buffer = vec![0; len].into_boxed_slice();
    let mut opening = pin!(SessionKeeper::open(client.clone(), flash.clone(), buffer));
    let Poll::Ready(Ok(keeper)) = opening
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("a copy is read at once");
    };
    let restored = keeper.restored();
    scene.note(|| format!("device: restores a session: {restored:?}"));
    scene.require(restored.is_ok(), Rule::Durable, || {
        format!("the copy of the session is refused: {restored:?}")
    });
    scene.summary.borrow_mut().restored += u64::from(restored == Ok(true));
    keeper
}

impl App {
    async fn run(
        self,
        runner: Runner,
        keeper: Option<Keeper>,
        mut network: Network,
        options: Options<'static>,
    ) {
        match keeper {
            Some(mut keeper) => {
                let mut kept = keeper.around(network);
                Box::pin(self.run_with(runner, &mut kept, &options)).await;
            }
            None => Box::pin(self.run_with(runner, &mut network, &options)).await,
        }
    }

    /// Runs the connection, and runs it again when it has ended.
    async fn run_with<C: Connect>(
        self,
        mut runner: Runner,
        connector: &mut C,
        options: &Options<'static>,
    ) {
        let scene = self.scene.clone();
        // Rarely: the runner is polled more often than all others together.
        let one_in = scene.setup.drop_one_in * 30;
        while !self.control.over.get() {
            let end = {
                let mut run = pin!(runner.run(connector, options));
                poll_fn(|cx| {
                    *self.control.runner.borrow_mut() = Some(cx.waker().clone());
                    if self.control.kill.take() || scene.mishap(one_in) {
                        return Poll::Ready(None);
                    }
                    run.as_mut().poll(cx).map(Some)
                })
                .await
            };
            scene.note(|| format!("device: the run ended: {end:?}"));
            if end.is_none() {
                scene.summary.borrow_mut().drops += 1;
                self.control.killed.set(true);
            }
            scene.pause(500).await;
        }
    }

    async fn disconnect(&self, with_will: bool) {
        self.scene
            .note(|| format!("app: disconnects, with will: {with_will}"));
        self.scene.ledger.borrow_mut().says_goodbye(with_will);
        if with_will {
            self.client.disconnect_with_will().await;
        } else {
            self.client.disconnect().await;
        }
    }

    /// Follows the state of the link.
    async fn watch(self) {
        let mut state = self.client.state();
        loop {
            let from = state;
            if let Some(next) = self.cut(self.client.state_change(from)).await {
                state = next;
                self.scene.note(|| format!("device: {state}"));
            }
        }
    }

    /// Polls a future until it is ready, or drops it at some poll.
    async fn cut<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if self.scene.strikes() {
                return Poll::Ready(None);
            }
            match future.as_mut().poll(cx) {
                Poll::Ready(value) => Poll::Ready(Some(value)),
                Poll::Pending if self.scene.strikes() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
