use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        out: Linear(16, 7, bias = false),
    }
}

fn main() {
    let model = Net::init(&mut Generator::manual_seed(0));
    let _bias = model.out().bias(); //~
}
