use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(16, 7),
        ReLU,
    }
}

fn main() {
    let model = Net::init(&mut Generator::manual_seed(0));
    let _relu = model.at::<1>(); //~
}
