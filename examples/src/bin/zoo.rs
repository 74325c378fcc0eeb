//! The first network: which of seven classes is an animal, told by sixteen traits?
//!
//! Reads 101 real animals, trains 16-32-7 on 70 % of them, and shows how it does on the others: the confusion matrix,
//! three animals with their probabilities, and a copy of the network saved and loaded again.
//!
//! `cargo run --release --bin zoo` uses seed 0, `… zoo -- 7` another one, `… zoo -- --seeds 10` the mean over ten.

use plywood::io;
use plywood::prelude::*;

sequential! {
    /// Mammal, bird, reptile, … from sixteen traits.
    #[derive(Clone, Debug)]
    pub struct ZooNet {
        Linear(16, 32),
        ReLU,
        out: Linear(_, 7),
    }
}

sequential! {
    /// The same with probabilities at the end: a network is a layer of another.
    pub struct Probabilities {
        zoo: ZooNet,
        Softmax,
    }
}

const TRAITS: [&str; 16] = [
    "hair", "feathers", "eggs", "milk", "airborne", "aquatic", "predator", "toothed", "backbone", "breathes",
    "venomous", "fins", "legs", "tail", "domestic", "catsize",
];

type Animals = TensorDataset<Shape![16]>;
type ZooTrainer = Trainer<ZooNet, CrossEntropyLoss, Adam>;

/// The animals: traits `[101, 16]`, class labels `[101]`, and what the numbers stand for.
struct Zoo {
    animals: Animals,
    names: Vec<String>,
    classes: Vec<String>,
}

fn read() -> plywood::Result<Zoo> {
    let table = Table::read_csv(concat!(env!("CARGO_MANIFEST_DIR"), "/data/zoo.csv"))?;
    let traits: Tensor<Shape![_, 16]> = table.columns(TRAITS)?;
    let classes = table.classes("type")?;
    Ok(Zoo {
        animals: TensorDataset::new(traits, classes.labels)?,
        names: table.strings("animal")?,
        classes: classes.names,
    })
}

/// A trained network and the animals it has not seen, scaled as those it has.
fn train(zoo: &Zoo, seed: u64, fit: Fit) -> plywood::Result<(ZooTrainer, Animals)> {
    let mut rng = Generator::manual_seed(seed);
    let (train, test) = zoo.animals.stratified_split(0.7, &mut rng)?;
    let scaler = StandardScaler::fit(train.inputs())?;
    let train = train.map_inputs(|x| scaler.transform(x))?;
    let test = test.map_inputs(|x| scaler.transform(x))?;

    let model = ZooNet::init(&mut rng);
    let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-2));
    trainer.fit(&train, fit.shuffle(seed))?;
    Ok((trainer, test))
}

fn lesson(zoo: &Zoo, seed: u64) -> Result<(), Box<dyn std::error::Error>> {
    println!("{} animals, {} traits, {} classes\n", zoo.animals.len(), TRAITS.len(), zoo.classes.len());
    println!("{}\n", ZooNet::init(&mut Generator::manual_seed(seed)).summary());

    let (mut trainer, test) = train(zoo, seed, Fit::epochs(60).batch(16))?;
    let accuracy = trainer.evaluate(&test)?.accuracy.unwrap_or_default();
    let model = trainer.into_model();

    let logits = model.forward(test.inputs());
    println!("\n{}\n", ConfusionMatrix::new(&logits, test.targets())?.with_names(&zoo.classes)?);

    let probable = Probabilities::from_parameters(model.parameters())?;
    let probabilities = probable.forward(test.inputs());
    for ((row, animal), class) in probabilities.rows().zip(test.indices()).zip(test.targets()).take(3) {
        let mut likely: Vec<(&str, f32)> = zoo.classes.iter().map(String::as_str).zip(row.to_vec()).collect();
        likely.sort_by(|a, b| b.1.total_cmp(&a.1));
        let likely: Vec<String> = likely[..3].iter().map(|(class, p)| format!("{class} {:.1} %", 100.0 * p)).collect();
        println!("{} (a {}): {}", zoo.names[*animal], zoo.classes[*class as usize], likely.join(", "));
    }

    let file = std::env::temp_dir().join(format!("zoo-{}.safetensors", std::process::id()));
    io::save(&model, &file)?;
    let mut copy = ZooNet::init(&mut Generator::manual_seed(seed + 1));
    io::load(&mut copy, &file)?;
    assert_eq!(copy.forward(test.inputs()), logits, "a network that was saved and loaded predicts the same");
    println!("\nsaved to {}, loaded again: equal predictions", file.display());
    std::fs::remove_file(&file)?;

    println!("test accuracy: {accuracy:.2}");
    Ok(())
}

fn mean_accuracy(zoo: &Zoo, seeds: u64) -> plywood::Result<()> {
    let mut sum = 0.0;
    for seed in 0..seeds {
        let (mut trainer, test) = train(zoo, seed, Fit::epochs(60).batch(16).quiet())?;
        let accuracy = trainer.evaluate(&test)?.accuracy.unwrap_or_default();
        println!("seed {seed}: test accuracy {accuracy:.2}");
        sum += accuracy;
    }
    println!("mean test accuracy over {seeds} seeds: {:.3}", sum / seeds as f64);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let zoo = read()?;
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => lesson(&zoo, 0)?,
        [seed] => lesson(&zoo, seed.parse()?)?,
        ["--seeds", seeds] => mean_accuracy(&zoo, seeds.parse()?)?,
        _ => return Err("usage: zoo [SEED] or zoo --seeds N".into()),
    }
    Ok(())
}
