//! How long programs with Plywood take to compile, and how large they are.

use crate::table::markdown;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Where the programs and what is built of them go: below Plywood's own `target`, and gone after.
struct Place {
    root: PathBuf,
    plywood: PathBuf,
}

impl Place {
    fn program(&self, name: &str, default_features: bool, source: &str) -> Result<PathBuf, Box<dyn Error>> {
        let folder = self.root.join(name);
        fs::create_dir_all(folder.join("src"))?;
        let manifest = format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[dependencies]\nplywood = {{ path = {:?}, default-features = \
             {default_features} }}\n\n[profile.release]\nstrip = true\n\n[workspace]\n",
            self.plywood
        );
        fs::write(folder.join("Cargo.toml"), manifest)?;
        // The versions are those of Plywood's own lock file.
        fs::copy(self.plywood.join("../Cargo.lock"), folder.join("Cargo.lock"))?;
        fs::write(folder.join("src/main.rs"), source)?;
        self.cargo(&folder, &["fetch", "--quiet"])?;
        Ok(folder)
    }

    /// The seconds of a cargo command in a program's folder.
    fn cargo(&self, folder: &Path, arguments: &[&str]) -> Result<f64, Box<dyn Error>> {
        let mut cargo = Command::new("cargo");
        cargo.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", self.root.join("target"));
        let start = Instant::now();
        let output = cargo.output()?;
        if !output.status.success() {
            return Err(format!("cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(start.elapsed().as_secs_f64())
    }

    /// The crates that a program depends on.
    fn crates(&self, folder: &Path) -> Result<usize, Box<dyn Error>> {
        let tree = Command::new("cargo")
            .args(["tree", "--edges", "normal,build", "--prefix", "none", "--format", "{p}", "--no-dedupe"])
            .current_dir(folder)
            .output()?;
        if !tree.status.success() {
            return Err(String::from_utf8_lossy(&tree.stderr).into());
        }
        let mut crates: Vec<&str> = std::str::from_utf8(&tree.stdout)?.lines().skip(1).collect();
        crates.sort_unstable();
        crates.dedup();
        Ok(crates.len())
    }
}

/// A program that trains a network of these layers.
fn source(layers: &str, input: usize, output: usize) -> String {
    format!(
        "use plywood::prelude::*;\n\nsequential! {{\n    struct Net {{\n{layers}    }}\n}}\n\n\
         fn main() -> plywood::Result<()> {{\n    let mut rng = Generator::manual_seed(0);\n    \
         let (x, y) = (Tensor::<Shape![8, {input}]>::randn(&mut rng), Tensor::<Shape![8, {output}]>::zeros());\n    \
         let (mut model, mut optimizer) = (Net::init(&mut rng), Adam::new(1e-3));\n    \
         let mut workspace = Workspace::new();\n    for _ in 0..10 {{\n        \
         let (loss, gradients) = model.gradients_with(&mut workspace, &x, &y, &MSELoss)?;\n        \
         println!(\"{{loss}}\");\n        optimizer.step(&mut model, gradients)?;\n    }}\n    Ok(())\n}}\n"
    )
}

/// A network of `n` layers, of which every other is an activation and no two `Linear`s are alike.
fn layers(n: usize) -> String {
    let mut text = String::new();
    for i in 0..n {
        match i % 2 {
            0 => writeln!(text, "        Linear({}, {}),", 16 + i / 2, 17 + i / 2),
            _ => writeln!(text, "        ReLU,"),
        }
        .expect("a string");
    }
    text
}

/// The median of three measurements.
fn median(mut once: impl FnMut() -> Result<f64, Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut seconds = [once()?, once()?, once()?];
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[1])
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let plywood = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core").canonicalize()?;
    let root = plywood.join("../target/compile");
    let place = Place { root, plywood };
    let row = |what: &str, found: String, aim: &str| {
        eprintln!("{what}: {found}");
        [what, &found, aim].map(str::to_owned).to_vec()
    };
    let mut table = vec![row("what", "found".to_owned(), "aim")];
    let seconds = |seconds: f64| format!("{seconds:.2} s");

    let digits = source("        Linear(784, 128), ReLU, Linear(128, 10),\n", 784, 10);
    for (what, name, defaults, aim, most) in [
        ("default features", "with-defaults", true, "under 20 s", "under 45"),
        ("no default features", "without-defaults", false, "under 8 s", ""),
    ] {
        let folder = place.program(name, defaults, &digits)?;
        table.push(row(&format!("crates, {what}"), place.crates(&folder)?.to_string(), most));
        for (build, command) in
            [("build", &["build", "--offline"][..]), ("release build", &["build", "--release", "--offline"])]
        {
            let mut clean = || {
                fs::remove_dir_all(place.root.join("target")).or_else(|wrong| match wrong.kind() {
                    std::io::ErrorKind::NotFound => Ok(()),
                    _ => Err(wrong),
                })?;
                place.cargo(&folder, command)
            };
            table.push(row(&format!("clean {build}, {what}"), seconds(median(&mut clean)?), aim));
        }
        if defaults {
            let size = fs::metadata(place.root.join("target/release/with-defaults"))?.len();
            table.push(row("784-128-10 with its training, stripped", format!("{} kB", size / 1000), "under 1000 kB"));
        }
    }
    for n in [1, 10, 50, 100] {
        let text = source(&layers(n), 16, 16 + n.div_ceil(2));
        let folder = place.program(&format!("layers-{n}"), true, &text)?;
        let main = folder.join("src/main.rs");
        let mut edits = 0;
        let mut edited = |command: &[&str]| {
            edits += 1;
            fs::write(&main, format!("{text}// edit {edits}\n"))?;
            place.cargo(&folder, command)
        };
        let (check, release) = (["check", "--offline"], ["build", "--release", "--offline"]);
        edited(&check)?;
        let aim = |of_100: &str| if n == 100 { format!("under {of_100}") } else { String::new() };
        table.push(row(&format!("check after an edit, {n} layers"), seconds(median(|| edited(&check))?), &aim("2 s")));
        edited(&release)?;
        table.push(row(
            &format!("release build after an edit, {n} layers"),
            seconds(median(|| edited(&release))?),
            &aim("20 s"),
        ));
    }
    fs::remove_dir_all(&place.root)?;
    print!("{}", markdown(&table));
    Ok(())
}
