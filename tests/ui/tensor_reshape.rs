use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 784]> = Tensor::zeros();
    let _y = x.reshape::<Shape![1, 1569]>(); //~ a tensor of shape (D<2>, D<784>) does not have as many elements as one of shape (D<1>, D<1, 569>)
}
