//! Lesson 12: salaries from a table with categories.
//!
//! Teaches the way from a table to a regression: categories become numbers, numbers are scaled, a loader gives batches,
//! and the loop is written out. The salaries are made up, from a seed: a base by experience and size of the company, 15 %
//! more for those who work remotely half of the time, and 10 % of noise. It prints the loss of some epochs and predictions of
//! the test rows, and draws them against the salaries.

use plywood::plot::{Chart, Panels};
use plywood::prelude::*;
use plywood_examples::save;
use std::fmt::Write;

const EXPERIENCE: [&str; 4] = ["EN", "MI", "SE", "EX"];
const EMPLOYMENT: [&str; 2] = ["FT", "PT"];
const SIZES: [&str; 3] = ["S", "M", "L"];

sequential! {
    /// The scaled salary from four scaled columns.
    struct Salary {
        Linear(4, 16),
        ReLU,
        Linear(16, 8),
        ReLU,
        Linear(8, 1),
    }
}

/// The table as a file would have it; salaries in dollars a year.
fn made_up(rows: usize, rng: &mut Generator) -> String {
    let mut csv = "experience_level,employment_type,remote_ratio,company_size,salary\n".to_owned();
    for _ in 0..rows {
        let (experience, employment, remote, size) =
            (rng.below(4), usize::from(rng.below(5) == 0), rng.below(3), rng.below(3));
        let full = [60e3, 85e3, 130e3, 190e3][experience] * [0.85, 1.0, 1.1][size] * [1.0, 1.15, 1.05][remote];
        let salary = full * [1.0, 0.5][employment] * (1.0 + 0.1 * rng.normal::<f64>());
        let (experience, employment, size) = (EXPERIENCE[experience], EMPLOYMENT[employment], SIZES[size]);
        let _ = writeln!(csv, "{experience},{employment},{},{size},{salary:.0}", 50 * remote);
    }
    csv
}

/// The place of each category in its order: the numbers that a network can add and multiply.
fn encoded(table: &Table, column: &str, order: &[&str]) -> plywood::Result<Vec<f32>> {
    let place = |category: &String| order.iter().position(|known| known == category).unwrap_or(0) as f32;
    Ok(table.strings(column)?.iter().map(place).collect())
}

fn main() -> plywood::Result<()> {
    let mut rng = Generator::manual_seed(12);
    let table = Table::from_csv("salaries.csv", &made_up(600, &mut rng))?;
    let experience = encoded(&table, "experience_level", &EXPERIENCE)?;
    let employment = encoded(&table, "employment_type", &EMPLOYMENT)?;
    let size = encoded(&table, "company_size", &SIZES)?;
    let remote: Tensor<Shape![_]> = table.column("remote_ratio")?;
    let rows = (0..table.rows()).flat_map(|row| [experience[row], employment[row], remote.as_slice()[row], size[row]]);
    let x: Tensor<Shape![_, 4]> = Tensor::from_vec(rows.collect())?;
    let salaries: Tensor<Shape![_, 1]> = table.columns(["salary"])?;

    // Scaled by what the training part looks like, as nothing else is known then.
    let all: TensorDataset<Shape![4], Shape![1], f32, f32> = TensorDataset::new(x, salaries)?;
    let (train, test) = all.split(0.8, &mut rng)?;
    let columns = StandardScaler::fit(train.inputs())?;
    let dollars = StandardScaler::fit(train.targets())?;
    let scaled = |part: &TensorDataset<Shape![4], Shape![1], f32, f32>| {
        TensorDataset::new(columns.transform(part.inputs()), dollars.transform(part.targets()))
    };
    let (train, test) = (scaled(&train)?, scaled(&test)?);

    let mut model = Salary::init(&mut rng);
    let mut optimizer = Adam::new(0.01);
    let loader = DataLoader::new(&train).batch_size(32)?.shuffle(12);
    let (mut training, mut testing) = (Vec::new(), Vec::new());
    for epoch in 0..40 {
        for (x, y) in loader.batches(epoch) {
            let (_, gradients) = model.gradients(&x, &y, &MSELoss)?;
            optimizer.step(&mut model, &gradients)?;
        }
        training.push(MSELoss.forward(&model.forward(train.inputs()), train.targets())?);
        testing.push(MSELoss.forward(&model.forward(test.inputs()), test.targets())?);
        if epoch % 10 == 9 {
            println!(
                "epoch {}: loss {:.3}, on test rows {:.3}",
                epoch + 1,
                training[training.len() - 1],
                testing[testing.len() - 1]
            );
        }
    }

    let predicted = dollars.inverse_transform(&model.forward(test.inputs())).map(|salary| salary / 1000.0);
    let given = dollars.inverse_transform(test.targets()).map(|salary| salary / 1000.0);
    for (predicted, given) in predicted.iter().zip(&given).take(3) {
        println!("predicted {predicted:.0} thousand, given {given:.0} thousand");
    }
    let ends = [20.0, 280.0];
    let epochs: Vec<u8> = (1..=40).collect();
    let fit = Chart::new("120 test rows", "salary in thousands", "prediction in thousands")
        .points("a row", &given, &predicted)
        .line("prediction = salary", &ends, &ends);
    let descent = Chart::new("Training", "epoch", "loss of scaled salaries")
        .line("training rows", &epochs, &training)
        .line("test rows", &epochs, &testing);
    save(&Panels::new("", 2).panel(fit).panel(descent), "lesson_12_salaries")?;

    // Salaries were scaled to variance 1, so this is the share of it that is left unexplained.
    let left = testing[testing.len() - 1];
    println!("of the variance of salaries, {:.0} % are explained on test rows", 100.0 * (1.0 - left));
    assert!(left < 0.12, "the network explains most of the variance");
    Ok(())
}
