use plywood::prelude::*;

fn main() {
    let _model = sequential![Linear(6, 4), Linear(5, 1), Sigmoid].init(&mut Generator::manual_seed(0)); //~
}
