//! The world around the device: lets time pass, lets things happen, and judges the end.

use std::{cell::RefCell, rc::Rc};

use mqtt_core::{
    QoS,
    client::{LinkEnd, LinkState},
    session::{OutboxPolicy, ProtocolError, SessionError},
};

use crate::{
    broker::Broker,
    clock,
    device::{Device, fresh_capacity},
    flash::Flash,
    link::{Link, Network},
    scene::Scene,
    verdict::Rule,
};

/// Steps after which a life counts as endless.
const TOO_MANY_STEPS: u32 = 200_000;

pub(crate) struct World {
    scene: Rc<Scene>,
    network: Network,
    device: Device,
    flash: Flash,
    broker: Broker,
    /// Links of which the client's end was seen.
    ended: usize,
    /// Things that are still to happen, and when the next of them does.
    events: u32,
    next_event: u64,
    jumped_far: bool,
    /// Time that was jumped over.
    jumped: u64,
}

impl World {
    pub(crate) fn new(scene: &Rc<Scene>) -> Self {
        let network = Network {
            scene: scene.clone(),
            links: Rc::new(RefCell::new(Vec::new())),
        };
        let flash = Flash::new(&network);
        let mut world = Self {
            scene: scene.clone(),
            device: Device::boot(&network, &flash, false),
            flash,
            broker: Broker::new(&network),
            network,
            ended: 0,
            events: scene.setup.events + scene.setup.downlinks,
            next_event: 0,
            jumped_far: false,
            jumped: 0,
        };
        world.draw_next_event();
        world
    }

    /// One life, from the first boot to the last goodbye.
    pub(crate) fn live(&mut self) {
        let chaos = u64::from(self.scene.setup.chaos_ms);
        self.pass(chaos, |_| false);
        self.calm_down();
        self.come_to_rest();
        self.take_a_burst();
        self.stay_connected();
        self.say_goodbye();
        self.judge();
        let mut summary = self.scene.summary.borrow_mut();
        summary.virtual_ms = clock::elapsed() - self.jumped;
    }

    /// Lets `millis` pass, or less: until `done`. Whether it was.
    fn pass(&mut self, millis: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = clock::elapsed() + millis;
        for _ in 0..TOO_MANY_STEPS {
            self.settle();
            if self.scene.has_failed() {
                return false;
            }
            if done(self) {
                return true;
            }
            let Some(next) = self.next().filter(|at| *at <= end) else {
                clock::advance(end);
                self.settle();
                return done(self);
            };
            clock::advance(next);
            if self.events != 0 && !self.scene.is_calm() && self.next_event <= clock::elapsed() {
                self.happens();
            }
        }
        self.scene
            .violate(Rule::Progress, || "the world does not come to rest".into());
        false
    }

    /// Everybody does what can be done now.
    fn settle(&mut self) {
        for _ in 0..2 {
            self.run_device();
            self.broker.act();
        }
        self.run_device();
        self.check();
    }

    fn run_device(&mut self) {
        self.device.run(&self.scene);
        if self.scene.light_up() {
            self.reboot();
            self.device.run(&self.scene);
        }
    }

    /// When something happens next.
    fn next(&self) -> Option<u64> {
        let event = (self.events != 0 && !self.scene.is_calm()).then_some(self.next_event);
        let links = self.network.links.borrow();
        let late = links.last().and_then(|link| {
            let state = link.state();
            if state.client_gone {
                return None;
            }
            state.audit.next_check(&self.scene)
        });
        let times = [clock::next(), self.broker.next(), event, late];
        let now = clock::elapsed();
        times.into_iter().flatten().min().map(|at| at.max(now))
    }

    /// What must hold at every step.
    fn check(&mut self) {
        let links = self.network.links.borrow();
        self.device.check_outbox();
        let killed = self.device.was_killed();
        let mut newest = None;
        for link in &links[self.ended..] {
            let state = link.state();
            if state.client_gone {
                self.ended += 1;
                let connections = self.device.report().session.connections;
                let session_present = state.audit.session_present;
                self.scene
                    .ledger
                    .borrow_mut()
                    .parted(connections.into(), session_present);
                newest = Some(link).filter(|_| !killed);
            } else {
                state.audit.check_time(&self.scene);
            }
        }
        // Of two that end at once, the client tells about the second.
        if let Some(link) = newest {
            self.link_ended(link);
        }
    }

    /// The client has ended a link for a reason of its own.
    fn link_ended(&self, link: &Link) {
        let Some(end) = self.device.report().last_end else {
            return;
        };
        let blames = match end {
            LinkEnd::Session(SessionError::Protocol(ProtocolError::SessionPresent)) => {
                !self.scene.setup.version.is_v5()
            }
            // Exchanges of a session that is gone count still.
            LinkEnd::Session(SessionError::Protocol(ProtocolError::ReceiveMaximum)) => {
                !self.scene.ledger.borrow().untold
            }
            LinkEnd::Session(SessionError::Decode(_) | SessionError::Protocol(_))
            | LinkEnd::Options(_) => true,
            LinkEnd::Session(error) => {
                link.state().audit.check_end(&self.scene, error);
                false
            }
            _ => false,
        };
        self.scene
            .require(!blames, Rule::Blame, || format!("the client says: {end}"));
    }
}

/// What happens to the world.
impl World {
    fn draw_next_event(&mut self) {
        let share = self.scene.setup.chaos_ms * 2
            / (self.scene.setup.events + self.scene.setup.downlinks + 1);
        self.next_event = clock::elapsed() + u64::from(self.scene.tape.below(share + 1));
    }

    fn happens(&mut self) {
        self.events -= 1;
        self.draw_next_event();
        let setup = &self.scene.setup;
        let all = setup.events + setup.downlinks;
        if self.scene.tape.below(all) < setup.downlinks {
            return self.downlink();
        }
        let tape = self.scene.tape.clone();
        match tape.below(16) {
            0 => self.downlink(),
            1 | 2 => self.with_link(Link::break_now),
            3 => self.with_link(Link::silence),
            4 => self.broker.restarts(true, false),
            5 => self.broker.restarts(false, false),
            6 => self.broker.restarts(tape.one_in(2), true),
            7 | 8 => self.jump(tape.below(2 * 60_000)),
            9 if !self.jumped_far => {
                self.jumped_far = true;
                self.jump(tape.below(20 * 24 * 3_600_000));
            }
            10 | 11 => self.reboot(),
            12 => self.device.drop_run(),
            13 if tape.one_in(8) => self.burn_identifiers(),
            _ => self.device.set_policy(tape.pick(&[
                OutboxPolicy::Wait,
                OutboxPolicy::Reject,
                OutboxPolicy::DropOldest,
                OutboxPolicy::KeepLatest,
            ])),
        }
    }

    fn downlink(&mut self) {
        let tape = &self.scene.tape;
        let qos = tape.pick(&[QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtMostOnce]);
        let topic = tape.below(3) as u8;
        let len = if tape.one_in(4) {
            tape.below(500)
        } else {
            tape.below(30)
        };
        self.broker.publishes(qos, topic, len as usize);
    }

    fn with_link(&self, f: impl Fn(&Link)) {
        if let Some(link) = self.network.links.borrow().last() {
            f(link);
        }
    }

    /// The device sleeps, and does not know it.
    fn jump(&mut self, millis: u32) {
        self.scene
            .note(|| format!("the clock jumps by {millis} ms"));
        self.scene.summary.borrow_mut().jumps += 1;
        self.jumped += u64::from(millis);
        clock::advance(clock::elapsed() + u64::from(millis));
        self.draw_next_event();
    }

    fn reboot(&mut self) {
        self.scene.summary.borrow_mut().reboots += 1;
        // An outbox must not go on with a session of which it knows nothing.
        let session_known = self.scene.tape.one_in(2) && !self.scene.setup.has_outbox();
        self.device = Device::boot(&self.network, &self.flash, session_known);
        self.ended = self.network.links.borrow().len();
    }

    fn burn_identifiers(&self) {
        let count = 65_535 - self.scene.tape.below(40);
        self.scene
            .note(|| format!("app: uses up {count} identifiers"));
        self.device.burn_identifiers(count);
    }
}

/// The end: no more faults.
impl World {
    fn calm_down(&mut self) {
        self.scene.calm_down();
        let setup = &self.scene.setup;
        let keep_alive = setup
            .broker
            .keep_alive_s
            .unwrap_or(setup.options.keep_alive_s);
        let detectable = keep_alive != 0 && setup.options.keep_alive_s != 0;
        for link in self.network.links.borrow().iter() {
            link.calm_down(detectable);
        }
        self.broker.calm_down();
    }

    /// Everything is delivered, in both directions.
    fn come_to_rest(&mut self) {
        let patience = self.scene.setup.patience_ms();
        if self.pass(patience, Self::is_at_rest) || self.scene.has_failed() {
            return;
        }
        if self.is_done() {
            return self.scene.violate(Rule::Subscriptions, || {
                "the subscription of the options is gone".into()
            });
        }
        self.scene.violate(Rule::Progress, || {
            let state = self.device.client.state();
            let report = self.device.report();
            let broker = self.broker.pending();
            format!("after {patience} ms: {state}, {report:?}, broker: {broker}")
        });
    }

    fn is_done(&self) -> bool {
        let doomed = self
            .network
            .links
            .borrow()
            .last()
            .is_some_and(Link::is_doomed);
        !doomed && self.device.is_done() && self.broker.is_idle() && self.broker.has_connection()
    }

    fn is_at_rest(&self) -> bool {
        let subscribed = !self.scene.setup.options.subscribed || self.broker.is_subscribed();
        self.is_done() && subscribed
    }

    /// As many messages at once as the device has announced.
    fn take_a_burst(&mut self) {
        if self.scene.has_failed() {
            return;
        }
        for _ in 0..self.scene.setup.options.receive_maximum {
            let qos = self.scene.tape.pick(&[QoS::ExactlyOnce, QoS::AtLeastOnce]);
            self.broker.publishes(qos, 0, 8);
        }
        let links = self.network.links.borrow().len();
        // The application may hold each of eight messages for an eighth of that time.
        let held = u64::from(self.scene.setup.chaos_ms);
        let done = self.pass(60_000 + held, Self::is_at_rest);
        self.scene
            .require(done || self.scene.has_failed(), Rule::Progress, || {
                format!("a burst is not taken: {}", self.broker.pending())
            });
        self.requires_link(links);
    }

    /// With nothing to do, the link stays.
    fn stay_connected(&mut self) {
        let links = self.network.links.borrow().len();
        let keep_alive = u64::from(self.scene.setup.options.keep_alive_s);
        self.pass(keep_alive * 2_500 + 1_000, |_| false);
        self.requires_link(links);
    }

    fn requires_link(&self, links: usize) {
        let state = self.device.client.state();
        let same = self.network.links.borrow().len() == links
            && matches!(state, LinkState::Connected { .. });
        self.scene
            .require(same || self.scene.has_failed(), Rule::Progress, || {
                format!(
                    "a good link ended: {state}, {:?}",
                    self.device.report().last_end
                )
            });
    }

    fn say_goodbye(&mut self) {
        if self.scene.has_failed() {
            return;
        }
        let scene = self.scene.clone();
        let setup = &scene.setup;
        let with_will = self.scene.tape.one_in(2);
        let wills = self.scene.summary.borrow().wills;
        self.device.leave(with_will);
        self.pass(10_000, |_| false);
        if self.scene.has_failed() {
            return;
        }
        let state = self.device.client.state();
        // 3.1.1 has no word for it.
        let told = self.broker.farewell || (with_will && !setup.version.is_v5());
        let left = state == LinkState::Stopped(LinkEnd::Disconnected) && told;
        self.scene
            .require(left, Rule::Sequence, || format!("no goodbye: {state}"));
        let published = self.scene.summary.borrow().wills - wills;
        let due = u64::from(with_will && setup.options.will.is_some());
        self.scene.require(published == due, Rule::Will, || {
            format!("{published} wills are published, {due} are due")
        });
    }

    fn judge(&self) {
        if self.scene.has_failed() {
            return;
        }
        let ledger = self.scene.ledger.borrow();
        ledger.check_outbound(&self.scene);
        ledger.check_inbound(&self.scene);
        let (left, fresh) = (self.device.capacity(), fresh_capacity(&self.scene.setup));
        // An exchange of a session that is gone without notice stays.
        let clean = left == fresh || ledger.untold;
        self.scene.require(clean, Rule::Memory, || {
            format!("room for {left} messages is left of {fresh}")
        });
    }
}
