//! What the processes say to each other beside the numbers on their GPUs: over TCP, all of them with rank 0.

use super::Rendezvous;
use crate::backend::cuda::UniqueId;
use crate::error::{Error, Result};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a process says first, so that a stranger's connection is not taken for one of ours.
const MAGIC: [u8; 8] = *b"plywood1";
/// How long one who has connected may take to say it.
const HELLO: Duration = Duration::from_secs(5);
/// More is no message of ours.
const LONGEST: usize = 1 << 20;

/// The connections between rank 0 and each of the others.
#[derive(Debug)]
pub(crate) struct Control {
    rank: usize,
    world_size: usize,
    timeout: Duration,
    /// At rank 0 those of ranks 1, 2, …; at the others that of rank 0.
    peers: Mutex<Vec<TcpStream>>,
}

impl Control {
    /// Connects all processes, and gives all of them the identifier of rank 0.
    pub(super) fn meet(rendezvous: &Rendezvous, id: UniqueId) -> Result<(Self, UniqueId), String> {
        let Rendezvous { rank, world_size, timeout, .. } = *rendezvous;
        let timeout = timeout.max(Duration::from_millis(1));
        let (peers, id) = match (world_size, rank) {
            (1, _) => (Vec::new(), id),
            (_, 0) => (listen(rendezvous, &id)?, id),
            _ => connect(rendezvous).map(|(peer, id)| (vec![peer], id))?,
        };
        for peer in &peers {
            peer.set_read_timeout(Some(timeout)).map_err(|error| error.to_string())?;
            peer.set_write_timeout(Some(timeout)).map_err(|error| error.to_string())?;
        }
        Ok((Control { rank, world_size, timeout, peers: Mutex::new(peers) }, id))
    }

    pub(crate) fn rank(&self) -> usize {
        self.rank
    }

    pub(crate) fn world_size(&self) -> usize {
        self.world_size
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn failure(&self, reason: impl Into<String>) -> Error {
        Error::Distributed { rank: self.rank, world_size: self.world_size, reason: reason.into() }
    }

    fn peers(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every rank, in their order, gives to the same call; all ranks must make it.
    ///
    /// # Errors
    /// If a rank is gone, does not answer in time, or is somewhere else.
    pub(crate) fn gather(&self, what: &'static str, own: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut peers = self.peers();
        let expected = if self.rank == 0 { self.world_size - 1 } else { 1 };
        if peers.len() != expected {
            return Err(self.failure("it has left the group after an earlier error"));
        }
        let lost = |rank: usize, error: &io::Error| self.failure(self.lost(rank, what, error));
        let mut frames = Vec::with_capacity(self.world_size);
        if self.rank == 0 {
            frames.push((what.as_bytes().to_vec(), own.to_vec()));
            for (i, peer) in peers.iter_mut().enumerate() {
                let receive = |peer: &mut TcpStream| Ok::<_, io::Error>((receive(peer)?, receive(peer)?));
                frames.push(receive(peer).map_err(|error| lost(i + 1, &error))?);
            }
            let mut all = Vec::new();
            for (what, bytes) in &frames {
                append(&mut all, what);
                append(&mut all, bytes);
            }
            for (i, peer) in peers.iter_mut().enumerate() {
                peer.write_all(&all).map_err(|error| lost(i + 1, &error))?;
            }
        } else {
            let mut message = Vec::new();
            append(&mut message, what.as_bytes());
            append(&mut message, own);
            let peer = &mut peers[0];
            peer.write_all(&message).map_err(|error| lost(0, &error))?;
            for _ in 0..self.world_size {
                let mut receive = || receive(peer).map_err(|error| lost(0, &error));
                frames.push((receive()?, receive()?));
            }
        }
        for (rank, (other, _)) in frames.iter().enumerate() {
            if other != what.as_bytes() {
                let other = String::from_utf8_lossy(other);
                return Err(self.failure(format!(
                    "this rank is at {what}, but rank {rank} at {other}: all ranks must make the same calls"
                )));
            }
        }
        Ok(frames.into_iter().map(|(_, bytes)| bytes).collect())
    }

    /// Checks that all ranks say the same.
    ///
    /// # Errors
    /// If one does not, with what it says; and as [`gather`](Control::gather).
    pub(crate) fn agree(&self, what: &'static str, own: &str) -> Result<()> {
        let all = self.gather(what, own.as_bytes())?;
        match all.iter().position(|text| *text != all[0]) {
            None => Ok(()),
            Some(rank) => {
                let [first, other] = [0, rank].map(|rank| String::from_utf8_lossy(&all[rank]));
                Err(self
                    .failure(format!("the ranks differ in {what}: rank 0 has {first}, but rank {rank} has {other}")))
            }
        }
    }

    /// The rank of one that has ended or has left the group, as far as this one can know.
    pub(crate) fn gone(&self) -> Option<usize> {
        let is_gone = |peer: &TcpStream| {
            let peeked = peer.set_nonblocking(true).and_then(|()| peer.peek(&mut [0]));
            let restored = peer.set_nonblocking(false);
            match peeked {
                Ok(0) => true,
                Ok(_) => restored.is_err(),
                Err(error) => error.kind() != ErrorKind::WouldBlock || restored.is_err(),
            }
        };
        let place = self.peers().iter().position(is_gone)?;
        Some(if self.rank == 0 { place + 1 } else { 0 })
    }

    /// Takes leave, so that the others notice.
    pub(crate) fn leave(&self) {
        self.peers().clear();
    }

    fn lost(&self, rank: usize, what: &str, error: &io::Error) -> String {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!("rank {rank} was waited for at {what} for {:?} and did not come", self.timeout)
            }
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => left(rank),
            _ => format!("the connection to rank {rank} failed at {what}: {error}"),
        }
    }
}

/// The sentence about a rank that is gone.
pub(crate) fn left(rank: usize) -> String {
    format!("rank {rank} has ended or left the group; its own output says why")
}

fn append(message: &mut Vec<u8>, bytes: &[u8]) {
    message.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    message.extend(bytes);
}

fn receive(peer: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    peer.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > LONGEST {
        return Err(io::Error::new(ErrorKind::InvalidData, "what came is no message of Plywood"));
    }
    let mut bytes = vec![0; length];
    peer.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Rank 0 waits for all others.
fn listen(rendezvous: &Rendezvous, id: &UniqueId) -> Result<Vec<TcpStream>, String> {
    let Rendezvous { world_size, address, timeout, .. } = rendezvous;
    let failed = |error: io::Error| format!("listening for the other ranks on {address} failed: {error}");
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let begun = Instant::now();
    let mut peers: Vec<Option<TcpStream>> = (1..*world_size).map(|_| None).collect();
    while peers.iter().any(Option::is_none) {
        let peer = match listener.accept() {
            Ok((peer, _)) => peer,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if begun.elapsed() >= *timeout {
                    let missing = peers.iter().zip(1..).filter(|(peer, _)| peer.is_none());
                    let missing: Vec<_> = missing.map(|(_, rank): (_, usize)| rank.to_string()).collect();
                    let (ranks, missing) = (if missing.len() == 1 { "rank" } else { "ranks" }, missing.join(", "));
                    return Err(format!("{ranks} {missing} did not come to {address} within {timeout:?}"));
                }
                thread::sleep(Duration::from_millis(2));
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        // Whoever says something else is not one of ours.
        let Ok((peer, world, rank)) = hello(peer) else { continue };
        if world != *world_size as u64 {
            return Err(format!("rank {rank} says that there are {world} ranks, but here there are {world_size}"));
        }
        let place = usize::try_from(rank).ok().and_then(|rank| peers.get_mut(rank.checked_sub(1)?));
        match place {
            Some(place) if place.is_none() => *place = Some(peer),
            _ => return Err(format!("two processes say that they are rank {rank}")),
        }
    }
    let mut peers: Vec<TcpStream> = peers.into_iter().flatten().collect();
    for (peer, rank) in peers.iter_mut().zip(1..) {
        let told = peer.write_all(id);
        told.map_err(|_| left(rank))?;
    }
    Ok(peers)
}

fn hello(mut peer: TcpStream) -> io::Result<(TcpStream, u64, u64)> {
    peer.set_nonblocking(false)?;
    peer.set_nodelay(true)?;
    peer.set_read_timeout(Some(HELLO))?;
    let mut bytes = [[0; 8]; 3];
    for bytes in &mut bytes {
        peer.read_exact(bytes)?;
    }
    let [magic, world, rank] = bytes;
    if magic != MAGIC {
        return Err(ErrorKind::InvalidData.into());
    }
    Ok((peer, u64::from_be_bytes(world), u64::from_be_bytes(rank)))
}

/// Another rank goes to rank 0, which may not be there yet, and gets the identifier when all are there.
fn connect(rendezvous: &Rendezvous) -> Result<(TcpStream, UniqueId), String> {
    let Rendezvous { rank, world_size, address, timeout, .. } = rendezvous;
    let begun = Instant::now();
    let mut peer = loop {
        let left = timeout.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        let error = match address.to_socket_addrs() {
            Ok(addresses) => {
                let mut error = io::Error::new(ErrorKind::NotFound, "the name has no address");
                let connected = addresses.into_iter().find_map(|address| {
                    TcpStream::connect_timeout(&address, left).map_err(|failed| error = failed).ok()
                });
                match connected {
                    Some(peer) => break peer,
                    None => error,
                }
            }
            Err(error) => error,
        };
        if begun.elapsed() >= *timeout {
            return Err(format!("rank 0 was not at {address} within {timeout:?}: {error}"));
        }
        thread::sleep(Duration::from_millis(20));
    };
    let mut id = [0; 128];
    let said = (|| {
        peer.set_nodelay(true)?;
        peer.write_all(&[MAGIC, (*world_size as u64).to_be_bytes(), (*rank as u64).to_be_bytes()].concat())?;
        // Rank 0 waits as long for the others, and it began to before this one came.
        peer.set_read_timeout(Some(*timeout + HELLO))?;
        peer.read_exact(&mut id)
    })();
    match said {
        Ok(()) => Ok((peer, id)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(format!("rank 0 at {address} did not answer within {:?}", *timeout + HELLO))
        }
        Err(_) => Err(format!("rank 0 at {address} ended the rendezvous; its own output says why")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendezvous(rank: usize, world_size: usize, port: u16, milliseconds: u64) -> Rendezvous {
        let timeout = Duration::from_millis(milliseconds);
        Rendezvous { rank, world_size, local_rank: rank, address: format!("127.0.0.1:{port}"), timeout }
    }

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    /// What each of the ranks does once they have met.
    fn ranks<T: Send>(world_size: usize, f: impl Fn(Control, UniqueId) -> T + Sync) -> Vec<T> {
        let port = free_port();
        thread::scope(|scope| {
            let ranks: Vec<_> = (0..world_size)
                .map(|rank| {
                    let f = &f;
                    scope.spawn(move || {
                        let (control, id) =
                            Control::meet(&rendezvous(rank, world_size, port, 10_000), [7; 128]).unwrap();
                        f(control, id)
                    })
                })
                .collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    #[test]
    fn all_ranks_hear_what_all_say() {
        for world_size in [1, 2, 5] {
            let heard = ranks(world_size, |control, id| {
                assert_eq!(id, [7; 128]);
                assert_eq!(control.gone(), None);
                let first = control.gather("numbers", &[control.rank() as u8; 3]).unwrap();
                control.agree("nothing", "0").unwrap();
                (first, control.gather("more", &[]).unwrap())
            });
            let expected: Vec<Vec<u8>> = (0..world_size).map(|rank| vec![rank as u8; 3]).collect();
            assert!(heard.iter().all(|heard| *heard == (expected.clone(), vec![vec![]; world_size])));
        }
    }

    #[test]
    fn differences_are_named_at_every_rank() {
        let errors = ranks(3, |control, _| {
            let own = if control.rank() == 2 { "5 apples" } else { "3 apples" };
            control.agree("their apples", own).unwrap_err().to_string()
        });
        for (rank, error) in errors.iter().enumerate() {
            assert_eq!(
                *error,
                format!(
                    "rank {rank} of 3: the ranks differ in their apples: rank 0 has 3 apples, but rank 2 has 5 apples"
                )
            );
        }
        let errors = ranks(2, |control, _| {
            control.gather(if control.rank() == 0 { "a fit" } else { "a step" }, &[]).unwrap_err().to_string()
        });
        assert_eq!(
            errors[0],
            "rank 0 of 2: this rank is at a fit, but rank 1 at a step: all ranks must make the same calls"
        );
    }

    #[test]
    fn who_leaves_is_noticed() {
        let errors = ranks(2, |control, _| {
            if control.rank() == 1 {
                control.leave();
                return control.gather("a fit", &[]).unwrap_err().to_string();
            }
            while control.gone().is_none() {
                thread::yield_now();
            }
            assert_eq!(control.gone(), Some(1));
            control.gather("a fit", &[]).unwrap_err().to_string()
        });
        assert_eq!(errors[0], "rank 0 of 2: rank 1 has ended or left the group; its own output says why");
        assert_eq!(errors[1], "rank 1 of 2: it has left the group after an earlier error");
    }

    #[test]
    fn who_does_not_come_is_named() {
        let port = free_port();
        let error = Control::meet(&rendezvous(0, 4, port, 30), [0; 128]).unwrap_err();
        assert_eq!(error, format!("ranks 1, 2, 3 did not come to 127.0.0.1:{port} within 30ms"));
        let error = Control::meet(&rendezvous(1, 2, port, 30), [0; 128]).unwrap_err();
        assert!(error.starts_with(&format!("rank 0 was not at 127.0.0.1:{port} within 30ms: ")), "{error}");
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Control::meet(&rendezvous(0, 2, port, 30), [0; 128]).unwrap_err();
        assert!(error.starts_with(&format!("listening for the other ranks on 127.0.0.1:{port} failed: ")), "{error}");
    }

    #[test]
    fn strangers_are_ignored_and_wrong_ranks_are_not() {
        let meet = |second: (usize, usize)| {
            let port = free_port();
            thread::scope(|scope| {
                let first = scope.spawn(move || Control::meet(&rendezvous(0, 3, port, 10_000), [0; 128]).map(|_| ()));
                let mut stranger = loop {
                    if let Ok(stranger) = TcpStream::connect(("127.0.0.1", port)) {
                        break stranger;
                    }
                };
                stranger.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
                let others = [(1, 3), second].map(|(rank, world_size)| {
                    scope
                        .spawn(move || Control::meet(&rendezvous(rank, world_size, port, 10_000), [0; 128]).map(|_| ()))
                });
                let others = others.map(|other| other.join().unwrap());
                (first.join().unwrap(), others)
            })
        };
        assert_eq!(meet((2, 3)), (Ok(()), [Ok(()), Ok(())]));
        let (first, others) = meet((1, 3));
        assert_eq!(first, Err("two processes say that they are rank 1".to_owned()));
        assert!(others.iter().all(|other| other.as_ref().is_err_and(|error| error.contains("ended the rendezvous"))));
        let (first, _) = meet((2, 4));
        assert_eq!(first, Err("rank 2 says that there are 4 ranks, but here there are 3".to_owned()));
    }
}
