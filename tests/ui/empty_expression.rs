use plywood::prelude::*;

fn main() {
    let _model = sequential![]; //~
}
