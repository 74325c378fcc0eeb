//! burn on its CPU backend `flex`.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{BinaryCrossEntropyLossConfig, CrossEntropyLossConfig, MseLoss, Reduction};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::{relu, sigmoid};
use protocol::{Kind, Task, Workload};

#[derive(Module, Debug)]
struct Net {
    convolutions: Vec<Conv2d>,
    pool: MaxPool2d,
    linears: Vec<Linear>,
}

impl Net {
    fn new(workload: &Workload, device: &Device) -> Self {
        let (mut convolutions, mut linears) = (vec![], vec![]);
        for (i, shape) in workload.weights.iter().enumerate() {
            let (output, input) = (shape[0], shape[1]);
            let (w, b) = (TensorData::new(workload.weight(i), shape.clone()), workload.bias(i));
            let bias = Some(Param::from_data(TensorData::new(b, [output]), device));
            if shape.len() == 4 {
                let config = Conv2dConfig::new([input, output], [3, 3]);
                let mut layer = config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device);
                layer.weight = Param::from_data(w, device);
                layer.bias = bias;
                convolutions.push(layer);
            } else {
                let mut layer = LinearConfig::new(input, output).init(device);
                // Its layout is [in, out].
                let w = workload.weight(i);
                let transposed = (0..w.len()).map(|at| w[at % output * input + at / output]).collect::<Vec<f32>>();
                layer.weight = Param::from_data(TensorData::new(transposed, [input, output]), device);
                layer.bias = bias;
                linears.push(layer);
            }
        }
        Net { convolutions, pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(), linears }
    }

    fn forward(&self, x: Tensor<2>, with_relu: bool) -> Tensor<2> {
        let mut h = x;
        if !self.convolutions.is_empty() {
            let [batch, _] = h.dims();
            let mut images: Tensor<4> = h.reshape([batch, 1, 28, 28]);
            for layer in &self.convolutions {
                images = self.pool.forward(relu(layer.forward(images)));
            }
            h = images.flatten(1, 3);
        }
        for (i, layer) in self.linears.iter().enumerate() {
            h = layer.forward(h);
            if i + 1 < self.linears.len() {
                h = if with_relu { relu(h) } else { sigmoid(h) };
            }
        }
        h
    }
}

fn step(task: &Task) -> Box<dyn FnMut(f64) -> f32> {
    let workload = task.workload.clone();
    let with_relu = workload.activation == "relu";
    let device = Device::flex();
    if task.kind == Kind::Infer1 {
        let model = Net::new(&workload, &device);
        let row = TensorData::new(workload.x()[..workload.features()].to_vec(), [1, workload.features()]);
        let x = Tensor::<2>::from_data(row, &device);
        return Box::new(move |_| model.forward(x.clone(), with_relu).slice([0..1, 0..1]).into_scalar::<f32>());
    }
    let device = device.autodiff();
    let mut model = Some(Net::new(&workload, &device));
    let batch = workload.batch;
    let x = Tensor::<2>::from_data(TensorData::new(workload.x(), [batch, workload.features()]), &device);
    let targets = TensorData::new(workload.targets(), [batch, workload.outputs()]);
    let loss: Box<dyn Fn(Tensor<2>) -> Tensor<1>> = match workload.loss.as_str() {
        "ce" => {
            let y = Tensor::<1, Int>::from_data(TensorData::new(workload.labels(), [batch]), &device);
            let loss = CrossEntropyLossConfig::new().init(&device);
            Box::new(move |z| loss.forward(z, y.clone()))
        }
        "bce" => {
            let y = Tensor::<2>::from_data(targets, &device).int();
            let loss = BinaryCrossEntropyLossConfig::new().with_logits(true).init(&device);
            Box::new(move |z| loss.forward(z, y.clone()))
        }
        _ => {
            let y = Tensor::<2>::from_data(targets, &device);
            Box::new(move |z| MseLoss::new().forward(z, y.clone(), Reduction::Mean))
        }
    };
    let mut optimizer = match task.kind {
        Kind::Adam => AdamConfig::new().with_epsilon(1e-8).init(),
        _ => SgdConfig::new().init(),
    };
    Box::new(move |lr| {
        let net = model.take().expect("kept");
        let loss = loss(net.forward(x.clone(), with_relu));
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        model = Some(optimizer.step(lr, net, gradients));
        loss.into_scalar::<f32>()
    })
}

fn main() {
    protocol::main("burn", |task| Some(step(task)));
}
