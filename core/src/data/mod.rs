//! Data: reading tables and IDX files, making data sets, scaling, splitting and batching.
//!
//! The usual way from a file to batches, each step a type of its own:
//!
//! ```
//! use plywood::prelude::*;
//!
//! # #[cfg(feature = "csv")] {
//! # let text = "height,weight,species\n30,4,cat\n28,5,cat\n60,20,dog\n32,4,cat\n55,18,dog\n61,25,dog\n";
//! let table = Table::from_csv("pets.csv", text)?; // Table::read_csv("pets.csv") for a file
//! let x: Tensor<Shape![_, 2]> = table.columns(["height", "weight"])?;
//! let species = table.classes("species")?;
//!
//! let pets = TensorDataset::new(x, species.labels)?;
//! let (train, test) = pets.stratified_split(2.0 / 3.0, &mut Generator::manual_seed(0))?;
//!
//! let scaler = StandardScaler::fit(train.inputs())?;
//! let train = train.map_inputs(|x| scaler.transform(x))?;
//! let test = test.map_inputs(|x| scaler.transform(x))?;
//!
//! for (x, labels) in DataLoader::new(&train).batch_size(3)?.shuffle(0).batches(0) {
//!     assert!(x.sizes()[0] <= 3 && x.sizes()[0] == labels.numel());
//! }
//! assert_eq!((train.len(), test.len()), (4, 2));
//! # }
//! # Ok::<(), plywood::Error>(())
//! ```

mod dataset;
mod idx;
mod loader;
mod scaler;
mod split;
mod synthetic;
#[cfg(feature = "csv")]
mod table;

pub use dataset::{Batch, TensorDataset};
pub use idx::{from_idx, read_idx};
pub use loader::{Batches, DataLoader};
pub use scaler::StandardScaler;
pub use synthetic::{
    MakeBlobs, MakeCircles, MakeMoons, MakeRegression, make_blobs, make_circles, make_moons, make_regression,
};
#[cfg(feature = "csv")]
pub use table::{Classes, Table};
