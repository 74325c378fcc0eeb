use plywood::prelude::*;

fn main() {
    let x = Tensor::<Shape![5, 3]>::zeros().requires_grad();
    let target: Tensor<Shape![5, 2]> = Tensor::zeros();
    let _loss = x.loss(&target, &MSELoss); //~ the targets' shape is (D<5>, D<2>), but the predictions' is (D<5>, D<3>)
}
