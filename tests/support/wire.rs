//! The cable between the daemon and a camera, where a test can do to it what happens to cables.

use super::rogues::{Noise, is_time_out};
use std::io::{Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const GLANCE: Duration = Duration::from_millis(20);

/// What the cable does with what it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Condition {
    Sound = 0,
    /// Nothing passes either way, and nobody is told: connections stay open, new ones are taken.
    Frozen = 1,
    /// What the camera says arrives as noise.
    Garbling = 2,
    /// Connections are closed, and so is every new one.
    Cut = 3,
}

/// Passes TCP connections from a free port of 127.0.0.1 to a camera. Its threads end when it is dropped.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    state: Arc<State>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    condition: AtomicU8,
    over: AtomicBool,
}

impl State {
    fn is(&self, condition: Condition) -> bool {
        self.condition.load(Ordering::SeqCst) == condition as u8
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

impl Wire {
    /// A sound cable to `camera_port` of 127.0.0.1.
    pub fn to(camera_port: u16) -> Result<Self> {
        let socket = TcpListener::bind(("127.0.0.1", 0))?;
        let port = socket.local_addr()?.port();
        let state = Arc::new(State { condition: AtomicU8::new(0), over: AtomicBool::new(false) });
        let listener = {
            let state = Arc::clone(&state);
            std::thread::spawn(move || {
                let mut strands = Vec::new();
                for near in socket.incoming().flatten() {
                    if state.is_over() {
                        break;
                    }
                    if !state.is(Condition::Cut) {
                        strands.extend(connect(near, camera_port, &state).into_iter().flatten());
                    }
                }
                strands.into_iter().for_each(|strand| strand.join().unwrap_or_default());
            })
        };
        Ok(Self { port, state, listener: Some(listener) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a mount through this cable.
    pub fn url(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}{path}", self.port)
    }

    pub fn becomes(&self, condition: Condition) {
        self.state.condition.store(condition as u8, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap_or_default();
        }
    }
}

fn connect(near: TcpStream, camera_port: u16, state: &Arc<State>) -> Result<[JoinHandle<()>; 2]> {
    let far = TcpStream::connect(("127.0.0.1", camera_port))?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(GLANCE))?;
    }
    let back = (far.try_clone()?, near.try_clone()?);
    let spawn = |from: TcpStream, to: TcpStream, from_camera: bool| {
        let state = Arc::clone(state);
        std::thread::spawn(move || {
            carry(&from, &to, from_camera, &state).unwrap_or_default();
            // Whichever end left, the other is told.
            from.shutdown(Shutdown::Both).unwrap_or_default();
            to.shutdown(Shutdown::Both).unwrap_or_default();
        })
    };
    Ok([spawn(near, far, false), spawn(back.0, back.1, true)])
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, from_camera: bool, state: &State) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut noise = Noise(0x0BAD_CAB1_E000_0001);
    while !state.is_over() && !state.is(Condition::Cut) {
        if state.is(Condition::Frozen) {
            std::thread::sleep(GLANCE);
            continue;
        }
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(e) if is_time_out(&e) => continue,
            Err(e) => return Err(e),
        };
        // It may have frozen or been cut while this was on its way.
        while state.is(Condition::Frozen) && !state.is_over() {
            std::thread::sleep(GLANCE);
        }
        if state.is(Condition::Cut) {
            return Ok(());
        }
        if from_camera && state.is(Condition::Garbling) {
            to.write_all(&noise.bytes(read))?;
        } else {
            to.write_all(&buffer[..read])?;
        }
    }
    Ok(())
}
