//! Training on several GPUs, one process for each: `torch.distributed`. Needs the feature `nccl`.
//!
//! Every process runs the same program; it learns from its environment which one it is, as `torchrun` sets it:
//!
//! ```no_run
//! use plywood::distributed::ProcessGroup;
//! use plywood::prelude::*;
//!
//! let group = ProcessGroup::from_env()?;
//! let mut rng = Generator::manual_seed(0);
//! let data: TensorDataset<Shape![2]> = plywood::data::make_moons(10_000).noise(0.1).generate(&mut rng)?;
//! let model = sequential![Linear(2, 64), ReLU, Linear(64, 2)].init(&mut rng);
//! let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3))
//!     .on(&Device::cuda(group.local_rank())?)?
//!     .data_parallel(&group)?;
//! trainer.fit(&data, Fit::epochs(10).batch(512).shuffle(1))?;
//! if group.rank() == 0 {
//!     println!("{:?}", trainer.evaluate(&data)?);
//! }
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! ```sh
//! torchrun --nproc-per-node 4 --no-python target/release/my_program
//! ```
//!
//! Gradients travel by NVIDIA's NCCL, which is looked for when a group of several is made; the processes find each other,
//! and notice that one of them is gone, over TCP.

mod control;

use crate::backend::cuda::{Communicator, Gpu, UniqueId};
use crate::error::{Error, Result};
pub(crate) use control::{Control, left};
use core::fmt::{self, Debug};
use core::str::FromStr;
use core::time::Duration;
use std::env;
use std::sync::{Arc, Mutex, PoisonError};

/// Which of several processes this is, and where they meet.
///
/// ```
/// use core::time::Duration;
/// use plywood::distributed::{ProcessGroup, Rendezvous};
///
/// // A process that is the whole group needs no environment; nor does it meet anybody.
/// let alone = Rendezvous {
///     rank: 0,
///     world_size: 1,
///     local_rank: 0,
///     address: "127.0.0.1:29500".to_owned(),
///     timeout: Duration::from_secs(60),
/// };
/// let wrong = Rendezvous { rank: 1, ..alone };
/// let error = ProcessGroup::new(&wrong).unwrap_err();
/// assert_eq!(error.to_string(), "the rank of a process group is 1, but must be below the world size");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendezvous {
    /// The number of this process, from 0.
    pub rank: usize,
    /// How many processes there are.
    pub world_size: usize,
    /// The number of this process on its machine, which is also that of its GPU.
    pub local_rank: usize,
    /// Where rank 0 listens: `host:port`.
    pub address: String,
    /// How long the others are waited for, when they meet and whenever one waits for another.
    pub timeout: Duration,
}

impl Rendezvous {
    /// From `RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `MASTER_ADDR` and `MASTER_PORT`, with ten minutes of patience.
    ///
    /// `torchrun` itself listens on `MASTER_PORT`: if `TORCHELASTIC_USE_AGENT_STORE` says so, rank 0 listens on the port
    /// after it.
    ///
    /// # Errors
    /// If one of them is not set or is no such number.
    ///
    /// ```
    /// use plywood::distributed::Rendezvous;
    ///
    /// // Not started by torchrun:
    /// let error = Rendezvous::from_env().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "the environment variable RANK is not set, but must be a number, as torchrun sets it"
    /// );
    /// ```
    pub fn from_env() -> Result<Self> {
        let rank = number("RANK", "the environment variable RANK")?;
        let world_size = number("WORLD_SIZE", "the environment variable WORLD_SIZE")?;
        let local_rank = number("LOCAL_RANK", "the environment variable LOCAL_RANK")?;
        let host = env::var("MASTER_ADDR").map_err(|_| Error::Setting {
            what: "the environment variable MASTER_ADDR",
            given: "not set".to_owned(),
            expected: "the host of rank 0, as torchrun sets it",
        })?;
        let port: u16 = number("MASTER_PORT", "the environment variable MASTER_PORT")?;
        let taken = env::var("TORCHELASTIC_USE_AGENT_STORE").is_ok_and(|set| set == "True");
        let port = port.checked_add(u16::from(taken)).ok_or(Error::Setting {
            what: "the environment variable MASTER_PORT",
            given: port.to_string(),
            expected: "below 65535, as torchrun listens there and rank 0 on the port after it",
        })?;
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        let timeout = Duration::from_secs(600);
        Ok(Rendezvous { rank, world_size, local_rank, address: format!("{host}:{port}"), timeout })
    }
}

fn number<N: FromStr>(name: &str, what: &'static str) -> Result<N> {
    let given = env::var_os(name);
    let number = given.as_ref().and_then(|given| given.to_str()?.trim().parse().ok());
    number.ok_or_else(|| Error::Setting {
        what,
        given: given.map_or_else(|| "not set".to_owned(), |given| format!("`{}`", given.display())),
        expected: "a number, as torchrun sets it",
    })
}

/// The processes that train together, each with a GPU of its own. See [`distributed`](self).
pub struct ProcessGroup {
    rendezvous: Rendezvous,
    control: Arc<Control>,
    id: UniqueId,
    communicator: Mutex<Option<Arc<Communicator>>>,
}

impl ProcessGroup {
    /// Meets the other processes, which the environment names; waits until all are there. See [`Rendezvous::from_env`].
    ///
    /// # Errors
    /// As [`Rendezvous::from_env`] and [`ProcessGroup::new`].
    pub fn from_env() -> Result<Self> {
        ProcessGroup::new(&Rendezvous::from_env()?)
    }

    /// Meets the other processes; waits until all are there.
    ///
    /// # Errors
    /// If the library NCCL is missing, rank 0 cannot listen at its address, the others do not come in time, or two of them
    /// say that they are the same.
    pub fn new(rendezvous: &Rendezvous) -> Result<Self> {
        let Rendezvous { rank, world_size, .. } = *rendezvous;
        if rank >= world_size {
            return Err(Error::Setting {
                what: "the rank of a process group",
                given: rank.to_string(),
                expected: "below the world size",
            });
        }
        let failure = |reason| Error::Distributed { rank, world_size, reason };
        // Also where the identifier comes from another one: who lacks the library should say so before the others wait.
        Communicator::load().map_err(failure)?;
        let id = if rank == 0 { Communicator::unique_id().map_err(failure)? } else { [0; 128] };
        let (control, id) = Control::meet(rendezvous, id).map_err(failure)?;
        let (rendezvous, communicator) = (rendezvous.clone(), Mutex::new(None));
        Ok(ProcessGroup { rendezvous, control: Arc::new(control), id, communicator })
    }

    /// The number of this process: `torch.distributed.get_rank`.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rendezvous.rank
    }

    /// How many processes there are: `torch.distributed.get_world_size`.
    #[must_use]
    pub fn world_size(&self) -> usize {
        self.rendezvous.world_size
    }

    /// The number of this process on its machine, for [`Device::cuda`](crate::Device::cuda).
    #[must_use]
    pub fn local_rank(&self) -> usize {
        self.rendezvous.local_rank
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// What connects this GPU to those of the others; all ranks must ask for it.
    pub(crate) fn communicator(&self, gpu: &Gpu) -> Result<Arc<Communicator>> {
        let mut kept = self.communicator.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(communicator) = &*kept {
            communicator.check_gpu(gpu)?;
            return Ok(Arc::clone(communicator));
        }
        let communicator = Arc::new(Communicator::new(gpu, Arc::clone(&self.control), &self.id)?);
        *kept = Some(Arc::clone(&communicator));
        Ok(communicator)
    }
}

impl Debug for ProcessGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessGroup: rank {} of {}", self.rank(), self.world_size())
    }
}
