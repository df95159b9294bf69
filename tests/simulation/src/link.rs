//! A link that may break at any byte, stall, or go silent without a word.

use std::{
    cell::{RefCell, RefMut},
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mqtt_core::client::{Close, Connect, ConnectError};

use crate::{
    audit::Audit,
    clock::{self, Sleep},
    scene::Scene,
    verdict::Rule,
};

/// All links of one life, the newest last.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) scene: Rc<Scene>,
    pub(crate) links: Rc<RefCell<Vec<Link>>>,
}

/// One link; the device holds one end, the broker the other.
#[derive(Clone)]
pub(crate) struct Link {
    scene: Rc<Scene>,
    state: Rc<RefCell<State>>,
}

pub(crate) struct State {
    pub(crate) number: u32,
    pub(crate) audit: Audit,
    up: VecDeque<u8>,
    /// Bytes that the client has written to a silent link.
    lost: usize,
    down: VecDeque<u8>,
    /// Bytes that have passed in either direction.
    passed: u64,
    /// What happens after so many bytes.
    fault: Option<(u64, Fault)>,
    /// The client sees it.
    broken: Option<Break>,
    /// Nothing comes through any more, and nobody is told.
    silent: bool,
    /// The broker closed its end, or the client did.
    broker_gone: bool,
    pub(crate) client_gone: bool,
    /// When the broker takes note of what has come.
    pub(crate) look_at: Option<u64>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Break(Break),
    Silence,
}

/// How the client learns that a link is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Break {
    End,
    Reset,
    Error,
}

impl Break {
    const ALL: [Self; 3] = [Self::End, Self::Reset, Self::Error];

    fn result(self) -> Result<usize, ErrorKind> {
        match self {
            Self::End => Ok(0),
            Self::Reset => Err(ErrorKind::ConnectionReset),
            Self::Error => Err(ErrorKind::TimedOut),
        }
    }
}

impl Connect for Network {
    type Link<'a> = (Reader, Writer);

    async fn connect(&mut self) -> Result<(Reader, Writer), ConnectError> {
        let scene = self.scene.clone();
        let network = &scene.setup.network;
        if scene.mishap(network.fail_one_in) {
            scene.pause(2_000).await;
            if scene.mishap(3) {
                scene.note(|| "network: connecting hangs".into());
                std::future::pending::<()>().await;
            }
            return Err(ConnectError::Unreachable);
        }
        if scene.tape.one_in(2) {
            scene.pause(network.latency_ms.max(1)).await;
        }
        let link = Link::new(&scene);
        self.links.borrow_mut().push(link.clone());
        Ok((
            Reader {
                link: link.clone(),
                sleep: None,
            },
            Writer { link, sleep: None },
        ))
    }
}

impl Link {
    fn new(scene: &Rc<Scene>) -> Self {
        let number = {
            let mut ledger = scene.ledger.borrow_mut();
            ledger.links += 1;
            ledger.links
        };
        scene.summary.borrow_mut().links += 1;
        scene.note(|| format!("link {number}: made"));
        let state = State {
            number,
            audit: Audit::new(scene, number),
            up: VecDeque::new(),
            lost: 0,
            down: VecDeque::new(),
            passed: 0,
            fault: draw_fault(scene),
            broken: None,
            silent: false,
            broker_gone: false,
            client_gone: false,
            look_at: None,
            reader: None,
            writer: None,
        };
        Self {
            scene: scene.clone(),
            state: Rc::new(RefCell::new(state)),
        }
    }

    pub(crate) fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// The network breaks the link; some of what is on its way is lost.
    pub(crate) fn break_now(&self) {
        self.state().break_it(&self.scene, None);
    }

    /// From now on nothing comes through.
    pub(crate) fn silence(&self) {
        self.state().go_silent(&self.scene);
    }

    /// The network is good from now on; a silent link that the client cannot find dead breaks.
    pub(crate) fn calm_down(&self, detectable: bool) {
        let mut state = self.state();
        if state.silent && !detectable {
            state.break_it(&self.scene, None);
        }
        // What is still on its way comes now, or it would disturb the peace.
        state.look_at = state.look_at.map(|_| clock::elapsed());
        wake(&mut state.reader);
        wake(&mut state.writer);
    }

    /// Whether the client has begun to leave it, or is bound to.
    pub(crate) fn is_doomed(&self) -> bool {
        let state = self.state();
        state.silent || state.broken.is_some() || state.broker_gone || state.audit.is_leaving()
    }
}

/// The broker's end.
impl Link {
    /// What has come from the device.
    pub(crate) fn take(&self, into: &mut Vec<u8>) {
        let mut state = self.state();
        state.look_at = None;
        into.extend(state.up.drain(..));
        wake(&mut state.writer);
    }

    /// Whether the device has closed its end, and nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state();
        state.up.is_empty() && !state.silent && (state.client_gone || state.broken.is_some())
    }

    /// The broker has a new session; the client may never hear of it.
    pub(crate) fn begins_session(&self) {
        let mut state = self.state();
        state.audit.begins_session = true;
        self.scene.ledger.borrow_mut().untold |= state.client_gone;
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        let mut state = self.state();
        if !state.silent && state.broken.is_none() {
            state.down.extend(bytes);
            wake(&mut state.reader);
        }
    }

    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.broker_gone = true;
        wake(&mut state.reader);
        wake(&mut state.writer);
    }
}

fn draw_fault(scene: &Scene) -> Option<(u64, Fault)> {
    let network = &scene.setup.network;
    let fault = if scene.mishap(network.cut_one_in) {
        Fault::Break(scene.tape.pick(&Break::ALL))
    } else if scene.mishap(network.half_open_one_in) {
        Fault::Silence
    } else {
        return None;
    };
    Some((scene.tape.below(network.bytes_before).into(), fault))
}

impl State {
    /// How many of `len` bytes pass before the fault.
    fn until_fault(&self, len: usize) -> usize {
        match self.fault {
            Some((after, _)) => len.min((after - self.passed.min(after)) as usize),
            None => len,
        }
    }

    /// Lets the fault happen if its time has come.
    fn check_fault(&mut self, scene: &Scene) {
        if scene.is_calm() {
            self.fault = None;
        }
        if let Some((after, fault)) = self.fault
            && self.passed >= after
        {
            self.fault = None;
            match fault {
                Fault::Break(how) => self.break_it(scene, Some(how)),
                Fault::Silence => self.go_silent(scene),
            }
        }
    }

    fn break_it(&mut self, scene: &Scene, how: Option<Break>) {
        if self.broken.is_some() || self.client_gone {
            return;
        }
        let how = how.unwrap_or_else(|| scene.tape.pick(&Break::ALL));
        let lost = scene.tape.below(self.up.len() as u32 + 1) as usize;
        self.up.truncate(self.up.len() - lost);
        let lost_down = scene.tape.below(self.down.len() as u32 + 1) as usize;
        self.down.truncate(self.down.len() - lost_down);
        scene.summary.borrow_mut().cuts += 1;
        let number = self.number;
        scene
            .note(|| format!("link {number}: breaks ({how:?}), {lost} and {lost_down} bytes lost"));
        self.broken = Some(how);
        self.look_at.get_or_insert(clock::elapsed());
        wake(&mut self.reader);
        wake(&mut self.writer);
    }

    fn go_silent(&mut self, scene: &Scene) {
        if self.silent || self.broken.is_some() || self.client_gone {
            return;
        }
        scene.note(|| format!("link {}: goes silent", self.number));
        scene.summary.borrow_mut().cuts += 1;
        self.silent = true;
        self.up.clear();
        self.down.clear();
        self.look_at = None;
    }

    /// The client is done with it.
    fn leave(&mut self, scene: &Scene) {
        if self.client_gone {
            return;
        }
        self.client_gone = true;
        self.audit.leaves();
        scene.ledger.borrow_mut().untold |= self.audit.begins_session;
        scene.note(|| format!("link {}: the client has left", self.number));
        if !self.silent {
            let at = clock::elapsed() + u64::from(latency(scene));
            self.look_at.get_or_insert(at);
        }
    }
}

fn latency(scene: &Scene) -> u32 {
    let most = scene.setup.network.latency_ms;
    scene
        .tape
        .up_to(if scene.is_calm() { most.min(20) } else { most })
}

/// The device's receiving half.
pub(crate) struct Reader {
    link: Link,
    sleep: Option<Sleep>,
}

/// The device's sending half.
pub(crate) struct Writer {
    link: Link,
    sleep: Option<Sleep>,
}

impl ErrorType for Reader {
    type Error = ErrorKind;
}

impl ErrorType for Writer {
    type Error = ErrorKind;
}

impl Read for Reader {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| self.poll_read(into, cx)).await
    }
}

impl Reader {
    fn poll_read(
        &mut self,
        into: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, ErrorKind>> {
        let scene = self.link.scene.clone();
        scene.require(!into.is_empty(), Rule::Memory, || {
            "no space to receive into".into()
        });
        let mut state = self.link.state();
        state.reader = Some(cx.waker().clone());
        if is_asleep(&scene, &mut self.sleep, cx) {
            return Poll::Pending;
        }
        state.check_fault(&scene);
        if state.down.is_empty() {
            if let Some(how) = state.broken {
                return Poll::Ready(how.result());
            }
            if state.broker_gone && !state.silent {
                return Poll::Ready(Ok(0));
            }
            return Poll::Pending;
        }
        if delays(&scene, &mut self.sleep, cx) {
            return Poll::Pending;
        }
        let len = into
            .len()
            .min(state.down.len())
            .min(scene.setup.network.piece);
        let len = state.until_fault(len);
        for (to, from) in into.iter_mut().zip(state.down.drain(..len)) {
            *to = from;
        }
        state.passed += len as u64;
        if len == 0 {
            state.check_fault(&scene);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.audit.read(&scene, &into[..len]);
        Poll::Ready(Ok(len))
    }
}

impl Write for Writer {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| self.poll_write(bytes, cx)).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        match self.link.state().broken {
            Some(Break::Reset | Break::Error) => Err(ErrorKind::BrokenPipe),
            _ => Ok(()),
        }
    }
}

impl Writer {
    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, ErrorKind>> {
        let scene = self.link.scene.clone();
        let mut state = self.link.state();
        state.check_fault(&scene);
        state.audit.writing = true;
        state.writer = Some(cx.waker().clone());
        if state.broken.is_some() || (state.broker_gone && !state.silent) {
            state.audit.leaves();
            return Poll::Ready(Err(ErrorKind::BrokenPipe));
        }
        if is_asleep(&scene, &mut self.sleep, cx) || delays(&scene, &mut self.sleep, cx) {
            return Poll::Pending;
        }
        let network = &scene.setup.network;
        let window = if scene.is_calm() {
            usize::MAX
        } else {
            network.window
        };
        let free = window.saturating_sub(state.up.len() + state.lost);
        if free == 0 {
            return Poll::Pending;
        }
        let len = bytes.len().min(free).min(network.piece);
        let len = state.until_fault(len);
        if len == 0 {
            state.check_fault(&scene);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.passed += len as u64;
        state.audit.wrote(&scene, &bytes[..len], len == bytes.len());
        if state.silent {
            // It has room for a while.
            state.lost += len;
            return Poll::Ready(Ok(len));
        }
        state.up.extend(&bytes[..len]);
        if state.look_at.is_none() {
            state.look_at = Some(clock::elapsed() + u64::from(latency(&scene)));
        }
        Poll::Ready(Ok(len))
    }
}

/// Whether the half waits for a stall to pass.
fn is_asleep(scene: &Scene, sleep: &mut Option<Sleep>, cx: &mut Context<'_>) -> bool {
    let Some(sleeping) = sleep else {
        return false;
    };
    if !scene.is_calm() && std::pin::Pin::new(sleeping).poll(cx).is_pending() {
        return true;
    }
    *sleep = None;
    false
}

/// Whether the half is pending this time, for no reason or for a while.
fn delays(scene: &Scene, sleep: &mut Option<Sleep>, cx: &mut Context<'_>) -> bool {
    let network = &scene.setup.network;
    if scene.mishap(network.lazy_one_in) {
        cx.waker().wake_by_ref();
        return true;
    }
    if scene.mishap(network.stall_one_in) {
        *sleep = Some(clock::sleep(1 + scene.tape.below(network.stall_ms)));
        return is_asleep(scene, sleep, cx);
    }
    false
}

impl Close for Writer {
    async fn close(&mut self) {
        let scene = self.link.scene.clone();
        self.link.state().audit.leaves();
        if scene.mishap(20) {
            scene.pause(5_000).await;
        }
        self.link.state().leave(&scene);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let scene = self.link.scene.clone();
        self.link.state().leave(&scene);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
