use plywood::prelude::*;

sequential! {
    pub struct ZooNet {
        Linear(16, 32),
        ReLU,
        out: Linear(64, 7), //~ layer 2
    }
}

fn main() {}
