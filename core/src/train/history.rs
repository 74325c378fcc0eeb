use core::fmt::{self, Display};

/// How a network did on a data set. See [`History`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The loss over the whole set.
    pub loss: f64,
    /// The share of predictions whose class is right, in `[0, 1]`: of samples, or of single outputs for a loss of each; `None` for a loss that is not about classes.
    pub accuracy: Option<f64>,
}

impl Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4}", self.loss)?;
        match self.accuracy {
            Some(accuracy) => write!(f, ", accuracy {accuracy:.3}"),
            None => Ok(()),
        }
    }
}

/// One time through the data. See [`History`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Its number, from 1, counted over every `fit` of the trainer.
    pub number: u64,
    /// How the network did on the training set, each batch measured before it was learned from.
    pub train: Evaluation,
    /// How it did on the validation set at the end of the epoch.
    pub validation: Option<Evaluation>,
    /// The time it took, in seconds.
    pub seconds: f64,
}

impl Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.train)?;
        match self.validation {
            Some(validation) => write!(f, " | validation {validation}"),
            None => Ok(()),
        }
    }
}

/// Every epoch of a training.
///
/// ```
/// use plywood::prelude::*;
///
/// let mut rng = Generator::manual_seed(0);
/// let data: TensorDataset<Shape![2]> = plywood::data::make_moons(60).noise(0.1).generate(&mut rng)?;
/// let (train, validation) = data.split(0.5, &mut rng)?;
/// let model = sequential![Linear(2, 4), Tanh, Linear(4, 2)].init(&mut rng);
/// let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(0.01));
///
/// let fit = Fit::epochs(5).batch(8).shuffle(0).drop_last(true).early_stop(3).quiet();
/// let history = trainer.fit_validated(&train, &validation, fit)?;
/// assert_eq!((history.losses().len(), history.validation_losses().len()), (5, 5));
///
/// let epoch = history.last().expect("five epochs");
/// println!("{epoch} after {} seconds", epoch.seconds);
/// let last: plywood::train::Evaluation = epoch.validation.expect("fit_validated");
/// assert_eq!(trainer.evaluate(&validation)?, last);
/// assert!(last.accuracy.is_some());
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The epochs, first to last.
    pub epochs: Vec<Epoch>,
}

impl History {
    /// The last epoch, if there is one.
    #[must_use]
    pub fn last(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    /// The loss of each epoch on the training set.
    #[must_use]
    pub fn losses(&self) -> Vec<f64> {
        self.epochs.iter().map(|epoch| epoch.train.loss).collect()
    }

    /// The loss of each epoch on the validation set, of those epochs that had one.
    #[must_use]
    pub fn validation_losses(&self) -> Vec<f64> {
        self.epochs.iter().filter_map(|epoch| Some(epoch.validation?.loss)).collect()
    }
}
