//! Every layer between two others, so that its gradient goes through; activations where a layer takes them in and where not.

use crate::parity::{both, net};
use crate::report::Report;
use plywood::nn::Uninit;
use plywood::prelude::*;

fn batches(report: &Report) -> &'static [usize] {
    if report.quick { &[1, 5] } else { &[1, 3, 64, 500] }
}

/// An activation that a `Linear` takes in, and one that stands alone.
macro_rules! activation {
    ($report:expr, $batches:expr, $($layer:tt)*) => {
        let name = stringify!($($layer)*);
        let net = net![Linear(7, 13), $($layer)*, Linear(13, 5)];
        both!($report, &format!("layers: {name} in Linear"), $batches, net);
        let net = net![Linear(7, 33), Hardtanh(-4.0, 4.0), $($layer)*, Linear(33, 5)];
        both!($report, &format!("layers: {name} alone"), $batches, net);
    };
}

/// A network that begins with a layer without parameters would not show its gradient: a `Conv2d` of 1 × 1 stands before.
macro_rules! images {
    ($report:expr, $batches:expr, $name:expr, $input:tt => $output:tt { $($layers:tt)* }) => {{
        sequential! {
            struct Net: $input => $output {
                $($layers)*, Identity, Identity, Identity, Identity, Identity, Identity, Identity, Identity
            }
        }
        both!($report, &format!("layers: {}", $name), $batches, Uninit::<Net>::new());
    }};
}

pub(crate) fn check(report: &mut Report) {
    let batches = batches(report);
    activations(report, batches);
    linear(report, batches);
    rows(report, batches);
    convolutions(report, if report.quick { &[1, 3] } else { &[1, 5, 64] });
    pools(report, if report.quick { &[1, 3] } else { &[1, 5, 64] });
    nothing(report, batches);
}

fn activations(report: &mut Report, batches: &[usize]) {
    activation!(report, batches, ReLU);
    activation!(report, batches, LeakyReLU);
    activation!(report, batches, LeakyReLU(0.2));
    activation!(report, batches, LeakyReLU(-0.3));
    activation!(report, batches, ELU);
    activation!(report, batches, ELU(0.5));
    activation!(report, batches, GELU);
    activation!(report, batches, GELU(approximate = "tanh"));
    activation!(report, batches, SiLU);
    activation!(report, batches, Sigmoid);
    activation!(report, batches, Tanh);
    activation!(report, batches, Softplus);
    activation!(report, batches, Softplus(2.0, 0.5));
    activation!(report, batches, Hardtanh);
    activation!(report, batches, Hardtanh(-0.5, 2.0));
}

fn linear(report: &mut Report, batches: &[usize]) {
    both!(report, "layers: Linear(1, 1)", batches, net![Linear(1, 1)]);
    both!(report, "layers: Linear(1, 13)", batches, net![Linear(1, 13)]);
    both!(report, "layers: Linear(7, 1)", batches, net![Linear(7, 1)]);
    both!(report, "layers: Linear(33, 17)", batches, net![Linear(33, 17), Linear(17, 9)]);
    both!(report, "layers: Linear(257, 65)", batches, net![Linear(257, 65), ReLU, Linear(65, 129)]);
    both!(report, "layers: Linear(128, 256)", batches, net![Linear(128, 256), ReLU, Linear(256, 128)]);
    both!(
        report,
        "layers: Linear without bias",
        batches,
        net![Linear(13, 33, bias = false), GELU, Linear(33, 7, bias = false), ReLU, Linear(7, 5, bias = false)]
    );
    images!(report, batches, "Linear on (3, 5)", (3, 5) => (3, 2) { Linear(5, 7), SiLU, Linear(7, 2, bias = false) });
    images!(report, batches, "Linear on (2, 3, 8)", (2, 3, 8) => (2, 3, 4) { Linear(8, 16), ReLU, Linear(16, 4) });
}

fn rows(report: &mut Report, batches: &[usize]) {
    both!(report, "layers: Softmax of 1", batches, net![Linear(3, 1), Softmax, Linear(1, 2)]);
    both!(report, "layers: Softmax of 7", batches, net![Linear(3, 7), Softmax, Linear(7, 2)]);
    both!(report, "layers: Softmax of 33", batches, net![Linear(3, 33), Softmax, Linear(33, 2)]);
    both!(report, "layers: Softmax of 999", batches, net![Linear(3, 999), Softmax, Linear(999, 2)]);
    both!(report, "layers: LogSoftmax of 1", batches, net![Linear(3, 1), LogSoftmax, Linear(1, 2)]);
    both!(report, "layers: LogSoftmax of 7", batches, net![Linear(3, 7), LogSoftmax, Linear(7, 2)]);
    both!(report, "layers: LogSoftmax of 33", batches, net![Linear(3, 33), LogSoftmax, Linear(33, 2)]);
    both!(report, "layers: LogSoftmax of 999", batches, net![Linear(3, 999), LogSoftmax, Linear(999, 2)]);
    images!(report, batches, "Softmax on (3, 5)", (3, 4) => (3, 5) { Linear(4, 5), Softmax });
}

fn convolutions(report: &mut Report, batches: &[usize]) {
    images!(report, batches, "Conv2d on one pixel", (1, 1, 1) => (1, 1, 1) { Conv2d(1, 1, 1), Tanh, Conv2d(1, 1, 1) });
    images!(report, batches, "Conv2d(3, 4, 3)", (3, 7, 9) => (2, 3, 5) { Conv2d(3, 4, 3), ReLU, Conv2d(4, 2, 3) });
    images!(report, batches, "Conv2d, padding", (2, 5, 4) => (4, 7, 6) {
        Conv2d(2, 3, 3, padding = 1), SiLU, Conv2d(3, 4, 3, padding = 2)
    });
    images!(report, batches, "Conv2d, two of each", (2, 9, 11) => (4, 1, 3) {
        Conv2d(2, 3, (3, 5), stride = (2, 3), padding = (1, 2), dilation = (2, 1)), Tanh,
        Conv2d(3, 4, (2, 1), stride = (2, 1), padding = (0, 0), dilation = (2, 3)), Conv2d(4, 4, 1, padding = (0, 0)),
        MaxPool2d((1, 2), 1)
    });
    images!(report, batches, "Conv2d, a stride over gaps", (2, 8, 8) => (3, 2, 2) {
        Conv2d(2, 4, 1), Conv2d(4, 3, 2, stride = 5, bias = false), GELU
    });
    images!(report, batches, "Conv2d, padding = \"same\"", (3, 6, 8) => (2, 6, 8) {
        Conv2d(3, 5, (2, 3), padding = "same", dilation = (2, 1)), ELU, Conv2d(5, 2, 5, padding = "same")
    });
    images!(report, batches, "Conv2d, 1 to 16 to 32 channels", (1, 28, 28) => (32, 14, 14) {
        Conv2d(1, 16, 3, padding = 1), ReLU, MaxPool2d(2), Conv2d(16, 32, 3, padding = 1), ReLU
    });
    images!(report, batches, "Conv2d, 20 to 70 to 130 channels", (20, 8, 8) => (130, 3, 3) {
        Conv2d(20, 70, 3), LeakyReLU, Conv2d(70, 130, 3, stride = 2, padding = 1), GELU
    });
}

fn pools(report: &mut Report, batches: &[usize]) {
    images!(report, batches, "MaxPool2d(2)", (3, 4, 6) => (3, 2, 3) { Conv2d(3, 3, 1), MaxPool2d(2) });
    images!(report, batches, "MaxPool2d, a row left over", (2, 5, 7) => (2, 2, 3) { Conv2d(2, 2, 1), MaxPool2d(2) });
    images!(report, batches, "MaxPool2d, windows that overlap", (2, 5, 7) => (2, 5, 4) {
        Conv2d(2, 2, 1), MaxPool2d((3, 4), stride = (1, 2), padding = (1, 2))
    });
    images!(report, batches, "MaxPool2d, windows with gaps", (1, 7, 5) => (1, 2, 2) {
        Conv2d(1, 1, 1), MaxPool2d((1, 2), stride = (4, 3))
    });
    images!(report, batches, "Flatten and Linear", (2, 6, 6) => 4 {
        Conv2d(2, 8, 3), ReLU, MaxPool2d(2), Flatten, Linear(32, 4)
    });
}

sequential! {
    /// Nothing that computes.
    struct Nothing: (3, 5) => 15 {
        Identity, Flatten, Identity, Identity, Identity, Identity, Identity, Identity, Identity
    }
}

sequential! {
    /// Activations after `Softmax` and after another activation.
    struct Stacked<N: StaticDim>: N => N {
        Softmax, GELU, Tanh, Softplus, SiLU, LogSoftmax, Sigmoid, Identity, Identity
    }
}

fn nothing(report: &mut Report, batches: &[usize]) {
    both!(report, "layers: Identity and Flatten", batches, Uninit::<Nothing>::new());
    both!(report, "layers: stacked activations of 1", batches, Uninit::<Stacked<D<1>>>::new());
    both!(report, "layers: stacked activations of 13", batches, Uninit::<Stacked<D<13>>>::new());
}
