use plywood::prelude::*;

fn main() {
    let _model = sequential![nn.Linear(4, 3)].init(&mut Generator::manual_seed(0)); //~ without `nn.`
}
