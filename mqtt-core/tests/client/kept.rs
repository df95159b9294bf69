//! Devices that restart in the middle of exchanges, and go on with the session that they have kept.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use crate::support::{
    Client, Config, Inbox, Profile,
    broker::Broker,
    clock,
    executor::{Executor, yield_now},
    link::Net,
    world::{Q1, Q2, V3},
};
use mqtt_core::{
    Message, Session, Version,
    client::{LinkState, SessionKeeper, SessionStore, new},
    session::{Options, RestoreError, Slot},
};

/// What a restart leaves.
#[derive(Clone, Default)]
struct Flash(Rc<FlashState>);

#[derive(Default)]
struct FlashState {
    copy: RefCell<Vec<u8>>,
    saves: Cell<usize>,
    /// Messages that the application had processed when the copy was made.
    processed: Cell<usize>,
    log: Log,
}

/// What the application has processed, in all its lives.
type Log = RefCell<Vec<Vec<u8>>>;

impl SessionStore for Flash {
    type Error = ();

    async fn save(&mut self, copy: &[u8]) -> Result<(), ()> {
        let processed = self.0.log.borrow().len();
        yield_now().await;
        self.0.copy.replace(copy.to_vec());
        self.0.processed.set(processed);
        self.0.saves.set(self.0.saves.get() + 1);
        yield_now().await;
        Ok(())
    }

    async fn load(&mut self, buffer: &mut [u8]) -> Result<usize, ()> {
        let copy = self.0.copy.borrow();
        buffer[..copy.len()].copy_from_slice(&copy);
        Ok(copy.len())
    }
}

/// One life of a device.
struct Life {
    executor: Executor,
    net: Net,
    client: Client,
}

/// A server, and what it has yet to publish: one message after the other, under the same identifier.
struct Server {
    broker: Broker,
    next: usize,
}

impl Server {
    fn new(version: Version) -> Self {
        let mut broker = Broker::new(version);
        broker.reuse_ids = true;
        Self { broker, next: 0 }
    }

    fn step(&mut self, net: &Net) -> bool {
        if self.broker.is_idle()
            && let Some(payload) = IN.get(self.next)
        {
            self.next += 1;
            self.broker.publishes(Q2, "t", payload);
        }
        self.broker.step(net)
    }
}

impl Life {
    fn begin(version: Version, backwards: bool, flash: &Flash) -> (Self, Inbox) {
        clock::reset();
        let mut config = Config::new();
        config.options.clean_session = false;
        config.options.version = version;
        let shared = Arc::new(config.shared().expect("good options"));
        let (client, inbox, mut runner) = new(shared);
        let net = Net::new(version);
        net.lock().profile = if backwards {
            // Whole packets at once: what is written is seen at once.
            Profile {
                lazy: true,
                ..Profile::SMOOTH
            }
        } else {
            Profile::ROUGH
        };
        let mut executor = Executor::default();
        executor.backwards = backwards;
        let (connector, store) = (net.clone(), flash.clone());
        let keeping = client.clone();
        executor.spawn("runner", async move {
            let keeper = SessionKeeper::open(keeping, store, vec![0; 2_000]).await;
            let options = config.options;
            Box::pin(runner.run(&mut keeper.unwrap().around(connector), &options)).await
        });
        let life = Self {
            executor,
            net,
            client,
        };
        (life, inbox)
    }

    /// Lives for so many rounds, or until nothing moves. True if power was lost.
    fn lives(&mut self, server: &mut Server, rounds: usize) -> bool {
        for _ in 0..rounds {
            let moved = self.executor.round();
            if !server.step(&self.net) && !moved {
                return false;
            }
        }
        true
    }

    fn receives(&mut self, mut inbox: Inbox, flash: &Flash) {
        let flash = flash.clone();
        self.executor.spawn("application", async move {
            while let Ok(message) = inbox.next().await {
                yield_now().await;
                flash.0.log.borrow_mut().push(message.payload().to_vec());
            }
        });
    }

    fn publishes(&mut self, payloads: &'static [&'static [u8]]) {
        let client = self.client.clone();
        self.executor.spawn("publisher", async move {
            for payload in payloads {
                let message = Message::new("t", payload).exactly_once();
                drop(client.publish(&message).await.expect("room"));
                yield_now().await;
            }
        });
    }
}

const OUT: &[&[u8]] = &[b"out 1", b"out 2", b"out 3", b"out 4"];
const IN: [&[u8]; 4] = [b"in 1", b"in 2", b"in 3", b"in 4"];
const LONG: usize = 100_000;

/// A device restarts after so many rounds. Whether it did, before all was done.
fn restarts(version: Version, backwards: bool, rounds: usize) -> bool {
    let flash = Flash::default();
    let mut server = Server::new(version);
    let (mut life, inbox) = Life::begin(version, backwards, &flash);
    life.receives(inbox, &flash);
    life.publishes(OUT);
    let was_cut = life.lives(&mut server, rounds);
    drop(life);
    let copy = flash.0.copy.borrow().clone();
    let is_kept = |payload: &[u8]| copy.windows(payload.len()).any(|bytes| bytes == payload);
    let safe = flash.0.processed.get();

    server.broker.forget_link();
    let (mut life, inbox) = Life::begin(version, backwards, &flash);
    life.receives(inbox, &flash);
    assert!(!life.lives(&mut server, LONG), "it goes on for ever");
    let state = life.client.state();
    assert!(matches!(state, LinkState::Connected { .. }), "{state}");

    let broker = server.broker;
    for payload in OUT {
        let count = broker.count(payload);
        let expected = if is_kept(payload) { 1 } else { count.min(1) };
        assert_eq!(count, expected, "{payload:?}, restart after {rounds}");
    }
    let log = flash.0.log.borrow();
    for payload in IN {
        assert!(log.iter().any(|received| received == payload));
    }
    for payload in &log[..safe] {
        let count = log.iter().filter(|received| *received == payload).count();
        assert_eq!(count, 1, "{payload:?}, restart after {rounds}");
    }
    assert!(broker.is_idle(), "restart after {rounds}");
    was_cut
}

fn each_message_arrives_once(version: Version) {
    for backwards in [false, true] {
        let mut rounds = 0;
        while restarts(version, backwards, rounds) {
            rounds += 1;
        }
        assert!(rounds > 40, "{rounds} rounds");
    }
}

#[test]
fn a_device_that_restarts_at_any_moment_goes_on_with_qos_2_in_both_directions() {
    each_message_arrives_once(V3);
    #[cfg(feature = "v5")]
    each_message_arrives_once(Version::V5);
}

#[test]
fn nothing_is_saved_while_nothing_changes() {
    let flash = Flash::default();
    let mut server = Server::new(V3);
    server.next = IN.len();
    let (mut life, inbox) = Life::begin(V3, false, &flash);
    life.receives(inbox, &flash);
    assert!(!life.lives(&mut server, LONG));
    let saves = flash.0.saves.get();
    let client = life.client.clone();
    for _ in 0..10 {
        drop(client.try_publish(&Message::new("t", b"QoS 0")).unwrap());
        assert!(!life.lives(&mut server, LONG));
    }
    assert_eq!(server.broker.received.len(), 10);
    assert_eq!(flash.0.saves.get(), saves);
}

type Device = Session<[u8; 300], [Slot; 12]>;

fn device(options: &Options<'_>) -> Device {
    Device::new([0; 300], [Slot::FREE; 12], options).unwrap()
}

fn filled() -> Vec<u8> {
    let options = Options::new("dev");
    let mut session = device(&options);
    for qos in [Q1, Q2] {
        let message = Message::new("topic", b"payload").qos(qos);
        session.publish(&message, false, clock::now()).unwrap();
    }
    let mut copy = vec![0; 300];
    let len = session.save(&mut copy).unwrap();
    copy.truncate(len);
    copy
}

#[test]
fn a_damaged_copy_is_refused() {
    let copy = filled();
    let options = Options::new("dev");
    for at in 0..copy.len() {
        let mut damaged = copy.clone();
        damaged[at] ^= 0x10;
        let mut session = device(&options);
        assert_eq!(
            session.restore(&damaged, clock::now()),
            Err(RestoreError::Damaged)
        );
        assert_eq!(
            session.restore(&copy[..at], clock::now()),
            Err(RestoreError::Damaged)
        );
        assert!(session.is_idle());
    }
    assert_eq!(device(&options).restore(&copy, clock::now()), Ok(()));
}

#[test]
fn a_copy_comes_back_as_it_was_made() {
    let copy = filled();
    let mut session = device(&Options::new("dev"));
    session.restore(&copy, clock::now()).unwrap();
    let mut again = vec![0; 300];
    let len = session.save(&mut again).unwrap();
    assert_eq!(again[..len], copy);
    assert_eq!(
        session.restore(&copy, clock::now()),
        Err(RestoreError::InUse)
    );
    // A copy needs its room.
    assert!(session.save(&mut again[..len - 1]).is_err());
}

#[test]
fn a_copy_that_does_not_fit_leaves_the_session_as_it_was() {
    let copy = filled();
    let options = Options::new("dev");
    let mut short = Session::new([0; 40], [Slot::FREE; 12], &options).unwrap();
    assert_eq!(
        short.restore(&copy, clock::now()),
        Err(RestoreError::NoRoom)
    );
    assert!(short.is_idle());
    let mut few = Session::new([0; 300], [Slot::FREE; 11], &options).unwrap();
    assert_eq!(few.restore(&copy, clock::now()), Err(RestoreError::NoRoom));
    assert!(few.is_idle());
    let message = Message::new("t", b"x").at_least_once();
    few.publish(&message, false, clock::now()).unwrap();
}

#[cfg(feature = "v5")]
#[test]
fn a_copy_of_another_protocol_version_is_refused() {
    let mut options = Options::new("dev");
    options.version = Version::V5;
    let refused = device(&options).restore(&filled(), clock::now());
    assert_eq!(refused, Err(RestoreError::Version));
}
