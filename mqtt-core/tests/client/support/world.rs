//! The client, its runner, and the network around them.

use std::{
    cell::RefCell, collections::VecDeque, future::poll_fn, pin::pin, rc::Rc, sync::Arc, task::Poll,
};

use mqtt_core::{
    Publication, QoS, Version,
    client::{Client, Inbox, LinkEnd, Shared, new},
    session::{Options, PublishError, Slot},
};

use super::{
    Test,
    broker::Broker,
    clock,
    executor::{Executor, Gate, Outcome},
    link::{Link, Net, Plan, Profile},
    wire,
};

/// Sizes and options of a world.
#[derive(Clone, Copy)]
pub struct Config {
    pub options: Options<'static>,
    pub rx: usize,
    pub tx: usize,
    pub slots: usize,
    pub wire: usize,
    pub profile: Profile,
}

impl Config {
    pub fn new() -> Self {
        let mut options = Options::new("dev");
        options.receive_maximum = 4;
        Self {
            options,
            rx: 256,
            tx: 1024,
            slots: 64,
            wire: 64,
            profile: Profile::SMOOTH,
        }
    }

    /// With a transmit buffer as narrow as it can be with `message` queued.
    pub fn narrow(message: &impl Publication) -> Self {
        Self::least(message, |config, tx| config.tx = tx)
    }

    /// With a table as short as it can be with `message` queued.
    pub fn short(message: &impl Publication) -> Self {
        Self::least(message, |config, slots| config.slots = slots)
    }

    fn least(message: &impl Publication, set: impl Fn(&mut Self, usize)) -> Self {
        let mut config = Self::new();
        config.options.receive_maximum = 1;
        config.options.keep_alive_s = 0;
        for size in 0..10_000 {
            set(&mut config, size);
            if let Ok(shared) = config.shared() {
                let (client, ..) = new::<Test>(Arc::new(shared));
                if client.try_publish(message).is_ok() {
                    return config;
                }
            }
        }
        panic!("no room for the message");
    }

    pub fn shared(&self) -> Result<Shared<Test>, PublishError> {
        let buffer = |len: usize| vec![0; len].into_boxed_slice();
        Shared::new(
            buffer(self.rx),
            buffer(self.tx),
            vec![Slot::FREE; self.slots].into_boxed_slice(),
            buffer(self.wire),
            &self.options,
        )
    }

    pub fn options(mut self, f: impl FnOnce(&mut Options<'static>)) -> Self {
        f(&mut self.options);
        self
    }
}

pub struct World {
    pub client: Client<Test>,
    pub net: Net,
    pub executor: Executor,
    pub broker: Option<Broker>,
    control: Control,
}

/// How the test steers the runner's task.
#[derive(Clone, Default)]
struct Control(Rc<ControlState>);

#[derive(Default)]
struct ControlState {
    runs: RefCell<VecDeque<Options<'static>>>,
    start: Gate,
    kill: Gate,
    /// How each run ended; `None` if it was dropped.
    ends: RefCell<Vec<Option<LinkEnd>>>,
}

impl World {
    pub fn new(config: Config) -> (Self, Inbox<Test>) {
        clock::reset();
        let options = config.options;
        let shared = Arc::new(config.shared().expect("good options"));
        let (client, inbox, mut runner) = new::<Test>(shared);
        #[cfg(feature = "v5")]
        client
            .enable_authentication(&options)
            .expect("room for CONNECT");
        let net = Net::new(options.version);
        net.lock().profile = config.profile;
        let control = Control::default();
        let mut world = Self {
            client,
            net: net.clone(),
            executor: Executor::default(),
            broker: None,
            control: control.clone(),
        };
        world.executor.spawn("runner", async move {
            let mut net = net;
            loop {
                control.0.start.wait().await;
                let run = control.0.runs.borrow_mut().pop_front();
                let Some(options) = run else {
                    control.0.start.close();
                    continue;
                };
                let end = {
                    let mut run = pin!(runner.run(&mut net, &options));
                    let mut kill = pin!(control.0.kill.wait());
                    poll_fn(|cx| {
                        if kill.as_mut().poll(cx).is_ready() {
                            return Poll::Ready(None);
                        }
                        run.as_mut().poll(cx).map(Some)
                    })
                    .await
                };
                control.0.kill.close();
                control.0.ends.borrow_mut().push(end);
            }
        });
        (world, inbox)
    }

    /// A world in which the runner runs with the options of `config`.
    pub fn started(config: Config) -> (Self, Inbox<Test>) {
        let (mut world, inbox) = Self::new(config);
        world.start(config.options);
        (world, inbox)
    }

    /// A world with a link that the peer has accepted.
    #[track_caller]
    pub fn connected(config: Config) -> (Self, Inbox<Test>, Link) {
        let (mut world, inbox) = Self::started(config);
        let link = world.link();
        world.expect(&link, &[&connect_words(&config.options)]);
        link.sends(wire::connack_in(config.options.version, false));
        world.run();
        (world, inbox, link)
    }

    /// A world whose peer behaves.
    pub fn with_broker(config: Config) -> (Self, Inbox<Test>) {
        let (mut world, inbox) = Self::new(config);
        world.broker = Some(Broker::new(config.options.version));
        world.start(config.options);
        (world, inbox)
    }

    /// Begins a run.
    pub fn start(&mut self, options: Options<'static>) {
        self.begin(options);
        self.run();
    }

    /// Begins a run, without polling it.
    pub fn begin(&mut self, options: Options<'static>) {
        self.control.0.runs.borrow_mut().push_back(options);
        self.control.0.start.open();
    }

    /// Polls each task that was woken once, and lets the broker answer; false if nothing moved.
    pub fn round(&mut self) -> bool {
        let moved = self.executor.round();
        let answered = self.broker.as_mut().is_some_and(|b| b.step(&self.net));
        moved || answered
    }

    /// Drops the future of the present run.
    pub fn drop_run(&mut self) {
        self.control.0.kill.open();
        self.run();
    }

    /// How the runs ended so far; `None` for those that were dropped.
    pub fn ends(&self) -> Vec<Option<LinkEnd>> {
        self.control.0.ends.borrow().clone()
    }

    /// Polls until nothing moves. Panics if that takes for ever.
    #[track_caller]
    pub fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.round() {
                return;
            }
        }
        panic!("the tasks wake each other for ever");
    }

    /// Lets time pass; who sleeps wakes at the right moment.
    #[track_caller]
    pub fn advance(&mut self, millis: u32) {
        self.run();
        let target = clock::now().plus(millis);
        while clock::step(target) {
            self.run();
        }
        self.run();
    }

    pub fn spawn<T: 'static>(
        &mut self,
        name: &'static str,
        future: impl Future<Output = T> + 'static,
    ) -> Outcome<T> {
        self.executor.spawn(name, future)
    }

    /// Runs a future as far as it goes now.
    #[track_caller]
    pub fn finish<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        let outcome = self.spawn("finish", future);
        self.run();
        outcome.take()
    }

    /// The newest link.
    #[track_caller]
    pub fn link(&mut self) -> Link {
        self.run();
        let net = self.net.lock();
        net.links.last().expect("a link").clone()
    }

    pub fn links(&self) -> usize {
        self.net.lock().links.len()
    }

    pub fn attempts(&self) -> Vec<u32> {
        self.net.lock().attempts.clone()
    }

    pub fn plan(&self, plan: impl IntoIterator<Item = Plan>) {
        self.net.lock().plan.extend(plan);
    }

    /// Exactly these packets have come in since the last look.
    #[track_caller]
    pub fn expect(&mut self, link: &Link, packets: &[&str]) {
        self.run();
        assert_eq!(link.got(), packets);
    }

    /// The broker of [`with_broker`](Self::with_broker).
    #[track_caller]
    pub fn broker(&mut self) -> &mut Broker {
        self.broker.as_mut().expect("a broker")
    }

    /// Waits for the next link after a pause, and accepts it.
    #[track_caller]
    pub fn reconnect(&mut self, session_present: bool) -> Link {
        let before = self.links();
        for _ in 0..600 {
            self.advance(100);
            if self.links() != before {
                break;
            }
        }
        assert_eq!(self.links(), before + 1, "one more link");
        let link = self.link();
        let version = self.net.lock().version;
        let got = link.got();
        assert!(got[0].starts_with("CONNECT "), "{got:?}");
        assert_eq!(got.len(), 1, "{got:?}");
        link.sends(wire::connack_in(version, session_present));
        self.run();
        link
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The runner's task owns what refers to it.
        self.executor = Executor::default();
    }
}

fn connect_words(options: &Options<'_>) -> String {
    let clean = if options.clean_session { " clean" } else { "" };
    format!("CONNECT {}{clean}", options.client_id)
}

pub const Q0: QoS = QoS::AtMostOnce;
pub const Q1: QoS = QoS::AtLeastOnce;
pub const Q2: QoS = QoS::ExactlyOnce;
pub const V3: Version = Version::V3_1_1;
