use plywood::prelude::*;

fn main() {
    let hidden = 8;
    let _model = sequential![Linear(4, hidden), ReLU].init(&mut Generator::manual_seed(0)); //~
}
