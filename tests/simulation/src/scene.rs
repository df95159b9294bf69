//! What all parts of one simulation share.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::{
    audit::Exchange,
    clock,
    ledger::Ledger,
    setup::Setup,
    tape::Tape,
    verdict::{Rule, Summary, Violation},
};

/// Losses of power in an operation of the store, in one life.
const MOST_POWER_CUTS: u32 = 5;

/// One life of a device, as everybody in it sees it.
pub(crate) struct Scene {
    pub(crate) tape: Tape,
    pub(crate) setup: Setup,
    pub(crate) ledger: RefCell<Ledger>,
    /// Identifiers of the present session, as the client knows it.
    pub(crate) exchanges: RefCell<Vec<Exchange>>,
    pub(crate) summary: RefCell<Summary>,
    /// No more faults: everything is to come to its end.
    calm: Cell<bool>,
    /// Power is lost; and was so many times.
    dark: Cell<bool>,
    power_cuts: Cell<u32>,
    violation: RefCell<Option<Violation>>,
    trace: Option<RefCell<Vec<String>>>,
}

impl Scene {
    pub(crate) fn new(tape: Tape, traced: bool) -> Rc<Self> {
        let setup = Setup::draw(&tape);
        let scene = Self {
            ledger: RefCell::new(Ledger::default()),
            exchanges: RefCell::default(),
            summary: RefCell::new(Summary {
                seeds: 1,
                ..Summary::default()
            }),
            calm: Cell::new(false),
            dark: Cell::new(false),
            power_cuts: Cell::new(0),
            violation: RefCell::new(None),
            trace: traced.then(RefCell::default),
            tape,
            setup,
        };
        clock::reset(scene.setup.start_ms);
        scene.note(|| format!("{:?}", scene.setup));
        Rc::new(scene)
    }

    /// Writes a line into the trace, if there is one.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let at = clock::elapsed();
            let line = format!("{:>6}.{:03}  {}", at / 1000, at % 1000, line());
            trace.borrow_mut().push(line);
        }
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.trace.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// A rule did not hold. Only the first one counts.
    pub(crate) fn violate(&self, rule: Rule, text: impl FnOnce() -> String) {
        let mut violation = self.violation.borrow_mut();
        if violation.is_some() {
            return;
        }
        let found = Violation {
            rule,
            text: text(),
            at: clock::elapsed(),
        };
        self.note(|| format!("VIOLATED {rule}: {}", found.text));
        *violation = Some(found);
    }

    /// As [`violate`](Self::violate), unless `holds`.
    pub(crate) fn require(&self, holds: bool, rule: Rule, text: impl FnOnce() -> String) {
        if !holds {
            self.violate(rule, text);
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.violation.borrow().is_some()
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation.borrow().clone()
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.get()
    }

    pub(crate) fn calm_down(&self) {
        self.note(|| "from here on no more faults".into());
        self.calm.set(true);
    }

    /// Whether something bad happens that has a chance of one in `n`.
    pub(crate) fn mishap(&self, n: u32) -> bool {
        !self.is_calm() && self.tape.one_in(n)
    }

    /// Whether a future is dropped here.
    pub(crate) fn strikes(&self) -> bool {
        let strikes = self.mishap(self.setup.drop_one_in);
        if strikes {
            self.summary.borrow_mut().drops += 1;
        }
        strikes
    }

    /// Whether power is lost here. Then nobody does anything any more.
    pub(crate) fn power_fails(&self) -> bool {
        let fails =
            self.power_cuts.get() < MOST_POWER_CUTS && self.mishap(self.setup.flash.cut_one_in);
        if fails {
            self.note(|| "device: power is lost".into());
            self.power_cuts.set(self.power_cuts.get() + 1);
            self.dark.set(true);
        }
        fails
    }

    pub(crate) fn is_dark(&self) -> bool {
        self.dark.get()
    }

    /// Power comes back; whether it was lost.
    pub(crate) fn light_up(&self) -> bool {
        self.dark.take()
    }

    /// Waits for up to `most` milliseconds.
    pub(crate) async fn pause(&self, most: u32) {
        clock::sleep(1 + self.tape.below(most)).await;
    }
}
