//! Servers of device platforms, on this machine: strict where the real ones are, and able to fail where those fail.
//!
//! A simulator refuses what the real server refuses, in its way, and starts what an operator would start: commands,
//! calls, updates. It shares no code with the helpers of `mqtt_core::platform`, only the codec of the packets, so that both
//! cannot be wrong in the same way.
//!
//! ```no_run
//! use mqtt_tests::simulator::{Event, Simulator};
//!
//! let simulator = Simulator::start("losant", "127.0.0.1:0").unwrap();
//! // .. a device connects to `simulator.address()` ..
//! simulator.wait_for(|event| matches!(event, Event::Subscribed { .. })).unwrap();
//! simulator.command(r#"command 575ecf887ae143cd83dc4aa2 {"name":"reboot"}"#).unwrap();
//! ```

mod hub;
mod link;
mod losant;
mod place_os;
mod platform;
mod rates;
mod thingsboard;
mod watson_iot;
mod web_socket;

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use mqtt_core::QoS;

pub use hub::{Hub, LinkId};
pub use platform::{Admission, Platform, Verdict};

/// How long [`Simulator::wait_for`] waits.
pub const LIMIT: Duration = Duration::from_secs(10);

/// A simulated server that listens and serves. Dropping it ends all links and frees the port.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: Option<JoinHandle<()>>,
}

/// What has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A client was let in.
    Connected {
        /// Its client identifier.
        client_id: String,
    },
    /// A client was not let in.
    Refused {
        /// Its client identifier.
        client_id: String,
        /// The code of CONNACK, or `None` if the link was closed instead.
        code: Option<u8>,
    },
    /// A filter was answered in a SUBACK.
    Subscribed {
        /// The filter.
        filter: String,
        /// The granted QoS, or a failure from 0x80.
        code: u8,
    },
    /// A client has published.
    Published {
        /// The topic.
        topic: String,
        /// The payload.
        payload: Vec<u8>,
        /// At which QoS.
        qos: QoS,
        /// With the retain flag.
        retain: bool,
    },
    /// A message of the server was acknowledged, by PUBACK or PUBCOMP.
    Acknowledged {
        /// Its topic.
        topic: String,
    },
    /// The platform has something to say.
    Note(String),
    /// A link has ended.
    Closed {
        /// The client identifier, empty before CONNECT.
        client_id: String,
        /// Why.
        reason: String,
    },
}

/// What the threads share.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

pub(crate) struct State {
    pub(crate) hub: Hub,
    pub(crate) platform: Box<dyn Platform>,
}

impl Simulator {
    /// Starts the simulator of `platform` (`thingsboard`, `losant`, `watson-iot`, `placeos`) on an address; port 0 is any
    /// free one.
    ///
    /// # Errors
    ///
    /// The name is unknown, or the address cannot be listened on.
    pub fn start(platform: &str, address: &str) -> io::Result<Self> {
        let platform: Box<dyn Platform> = match platform {
            "thingsboard" => Box::new(thingsboard::ThingsBoard::new()),
            "losant" => Box::new(losant::Losant::new()),
            "watson-iot" => Box::new(watson_iot::WatsonIot::new()),
            "placeos" => Box::new(place_os::PlaceOs::new()),
            other => {
                return Err(io::Error::other(format!(
                    "unknown platform {other} (thingsboard, losant, watson-iot and placeos are known)"
                )));
            }
        };
        let listener = TcpListener::bind(address).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                hub: Hub::new(),
                platform,
            }),
            changed: Condvar::new(),
        });
        let for_links = Arc::clone(&shared);
        let listening = thread::spawn(move || listen(&for_links, &listener, address));
        let for_ticks = Arc::clone(&shared);
        thread::spawn(move || tick(&for_ticks));
        Ok(Self {
            shared,
            address,
            listening: Some(listening),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does what an operator would do; `help` tells what there is.
    ///
    /// # Errors
    ///
    /// What is wrong with the line.
    pub fn command(&self, line: &str) -> Result<String, String> {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("wait ") {
            return self.wait_for_line(rest.trim());
        }
        if let Some(ms) = line.strip_prefix("sleep ") {
            let ms = ms.trim().parse().map_err(|_| "sleep <milliseconds>")?;
            thread::sleep(Duration::from_millis(ms));
            return Ok(String::new());
        }
        let mut state = self.shared.lock();
        let State { hub, platform } = &mut *state;
        let result = if line == "help" {
            Ok(format!("{HELP}{}", platform.help()))
        } else {
            match hub.command(line) {
                Some(result) => result,
                None => platform.command(hub, line),
            }
        };
        self.shared.changed.notify_all();
        result
    }

    /// Waits for an event that was not waited for yet, forgets those before it, and returns it. Gives up after [`LIMIT`].
    ///
    /// # Errors
    ///
    /// The events since the last call, among which it is not; of very many the latest.
    pub fn wait_for(&self, is_it: impl Fn(&Event) -> bool) -> Result<Event, Vec<Event>> {
        let deadline = Instant::now() + LIMIT;
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = state.hub.take_event(&is_it) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(state.hub.events().cloned().collect());
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether there was such an event since the last one that was waited for. Does not wait.
    pub fn has_seen(&self, is_it: impl Fn(&Event) -> bool) -> bool {
        self.shared.lock().hub.events().any(is_it)
    }

    /// Waits for a message on a topic, and returns its payload.
    ///
    /// # Errors
    ///
    /// As [`wait_for`](Self::wait_for).
    pub fn wait_for_publish(&self, topic: &str) -> Result<Vec<u8>, Vec<Event>> {
        let is_it =
            |event: &Event| matches!(event, Event::Published { topic: of, .. } if of == topic);
        match self.wait_for(is_it)? {
            Event::Published { payload, .. } => Ok(payload),
            other => Err(vec![other]),
        }
    }

    /// Calls `tell` with each event from now on.
    pub fn listen(&self, tell: impl Fn(&Event) + Send + 'static) {
        self.shared.lock().hub.set_listener(Box::new(tell));
    }

    /// `connect`, `subscribe <filter>`, `publish <topic>`, `close`, each of any client.
    fn wait_for_line(&self, what: &str) -> Result<String, String> {
        let (verb, of) = what.split_once(' ').unwrap_or((what, ""));
        let found = self.wait_for(|event| match (verb, event) {
            ("connect", Event::Connected { .. }) | ("close", Event::Closed { .. }) => true,
            ("subscribe", Event::Subscribed { filter, .. }) => filter == of,
            ("publish", Event::Published { topic, .. }) => topic == of,
            _ => false,
        });
        found
            .map(|_| String::new())
            .map_err(|events| format!("no {what} in {LIMIT:?}, but {events:?}"))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.lock().hub.stop();
        // Wakes the thread that waits for the next link.
        let is_woken = TcpStream::connect(self.address).is_ok();
        if let Some(listening) = self.listening.take()
            && is_woken
        {
            let _ = listening.join();
        }
    }
}

const HELP: &str = "\
close [<client id>]            close its link, or all, without a word
close-after-sent <n>           close the next link that has been sent n bytes
close-after-received <n>       close the next link that n bytes have come from
wait connect | close | subscribe <filter> | publish <topic>
sleep <milliseconds>
help
";

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }
}

impl core::fmt::Debug for Shared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Serves each link in a thread of its own, until the simulator is stopped.
fn listen(shared: &Arc<Shared>, listener: &TcpListener, address: SocketAddr) {
    for stream in listener.incoming().flatten() {
        if shared.lock().hub.is_stopped() {
            return;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || web_socket::serve(&shared, stream, address));
    }
}

/// Lets time pass for the platform, until the simulator is stopped.
fn tick(shared: &Shared) {
    loop {
        thread::sleep(Duration::from_millis(20));
        let mut state = shared.lock();
        if state.hub.is_stopped() {
            return;
        }
        let State { hub, platform } = &mut *state;
        platform.tick(hub);
        drop(state);
        shared.notify();
    }
}
