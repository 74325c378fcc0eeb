//! What is computed in the fastest of several ways is right in each.

use super::*;
use plywood_tests::gpu::{is_emulated, output_of_a_process, runs};

const SLOW: &str = "PLYWOOD_EMULATOR_SLOW";

sequential! { struct Chain { Linear(6, 40), ReLU, Linear(_, 130), ReLU, Linear(_, 36), ReLU, Linear(_, 32), Linear(_, 3) } }

/// Losses and parameters of a training, of which the last batch of an epoch is smaller.
fn chain_trained(device: &Device) -> (Vec<f64>, Chain) {
    let model = Chain::init(&mut Generator::manual_seed(2));
    let mut trainer = Trainer::new(model, CrossEntropyLoss, SGD::new(0.1)).on(device).unwrap();
    let losses = trainer.fit(&data(), Fit::epochs(20).batch(40).shuffle(3).quiet()).unwrap().losses();
    (losses, trainer.into_model().to(&Device::Cpu).unwrap())
}

/// A linear layer's bias, activation and their gradients are computed in one of several ways, of which the fastest is taken:
/// here each in turn seems to be the fastest.
#[test]
fn linear_layers_in_every_way() {
    let Some(gpu) = gpu() else { return };
    const TEST: &str = "ways::linear_layers_in_every_way";
    const RELU_FORWARD: &str = "cublasLtMatmul(RELU_AUX_BIAS)";
    const MASKED: &str = "cublasLtMatmul(DRELU_BGRAD)";
    const SUMS: &str = "cublasLtMatmul(BGRADB)";
    let counted = ("PLYWOOD_EMULATOR_RUNS", "1");
    if !is_emulated(&gpu) {
        return;
    }
    let run = |variables: &[(&str, &str)]| output_of_a_process(TEST, &[variables, &[counted]].concat());
    // By masks, which a kernel writes as cuBLASLt's max(0, NaN) is 0.
    let slow = (SLOW, "act_backward_bias");
    if let Some(text) = run(&[slow]) {
        assert!(runs(&text, MASKED) > 300 && runs(&text, SUMS) > 150, "{text}");
        assert!(runs(&text, "bias_act_mask") > 300 && runs(&text, RELU_FORWARD) < 10, "{text}");
        // By cuBLASLt alone.
        let text = run(&[slow, ("PLYWOOD_EMULATOR_RELU_KEEPS_NAN", "1")]).unwrap();
        assert!(runs(&text, MASKED) > 300 && runs(&text, RELU_FORWARD) > 300, "{text}");
        assert_eq!(runs(&text, "bias_act_mask"), 0, "{text}");
        // Apart, since it is faster or since cuBLASLt has nothing else.
        let text = run(&[(SLOW, &format!("{MASKED},{SUMS}"))]).unwrap();
        assert!(runs(&text, "bias_act_mask") < 150 && runs(&text, "act_backward_bias") > 500, "{text}");
        let text = run(&[("PLYWOOD_EMULATOR_WITHOUT", &format!("{MASKED},{SUMS},{RELU_FORWARD}"))]).unwrap();
        assert_eq!([MASKED, SUMS, RELU_FORWARD].map(|name| runs(&text, name)), [0; 3], "{text}");
        return;
    }

    let gpu = &gpu;
    compare_both!(gpu, Chain, [6], |batch, rng| Tensor::<Shape![_, 3], E>::randn_of((Dyn(batch), D), rng), MSELoss);
    let ((losses, model), (losses_there, there)) = (chain_trained(&Device::Cpu), chain_trained(gpu));
    close("losses", &losses_there, &losses, 1e-4);
    close("parameters", there.parameters(), model.parameters(), 1e-3);
    for precision in [plywood::Precision::High, plywood::Precision::Bf16, plywood::Precision::Highest] {
        plywood::set_float32_matmul_precision(precision);
        close(&format!("losses in {precision:?}"), &chain_trained(gpu).0, &losses, 0.05);
    }
    // A network that went wrong does not look right, in the first step or after it.
    let mut trainer =
        Trainer::new(Chain::init(&mut Generator::manual_seed(2)), MSELoss, SGD::new(0.1)).on(gpu).unwrap();
    let y = Tensor::<Shape![4, 3]>::ones();
    let mut x = Tensor::<Shape![4, 6]>::ones();
    for _ in 0..3 {
        trainer.step(&x, &y).unwrap();
    }
    x.as_mut_slice()[7] = f32::NAN;
    for _ in 0..3 {
        let wrong = trainer.step(&x, &y).unwrap_err();
        assert!(wrong.to_string().starts_with("the loss became NaN"), "{wrong}");
    }
    trainer.step(&Tensor::<Shape![4, 6]>::ones(), &y).unwrap();
}

const CUDNN: [&str; 3] = ["cudnnConvolutionForward", "cudnnConvolutionBackwardData", "cudnnConvolutionBackwardFilter"];
const OWN: &str = "conv_forward,conv_forward_32,conv_forward_16,conv_backward_data,conv_backward_data_32,\
                   conv_backward_data_16,conv_backward_weight,conv_backward_weight_32,conv_backward_weight_16";

/// Losses and parameters of a training with batches of several sizes by turns, each of which is recorded.
fn images_trained(device: &Device) -> (Vec<f64>, Images) {
    let mut rng = Generator::manual_seed(5);
    let x: Tensor<Shape![_, 2, 9, 7]> = Tensor::randn_of((Dyn(50), D, D, D), &mut rng);
    let y: Tensor<Shape![_, 3]> = Tensor::randn_of((Dyn(50), D), &mut rng);
    let data = TensorDataset::new(x, y).unwrap();
    let model = Images::init(&mut rng);
    let mut trainer = Trainer::new(model, MSELoss, SGD::new(0.05)).on(device).unwrap();
    let mut losses = Vec::new();
    for batch in [8, 50, 8] {
        let fit = Fit::epochs(4).batch(batch).shuffle(3).quiet();
        losses.extend(trainer.fit(&data, fit).unwrap().losses());
    }
    (losses, trainer.into_model().to(&Device::Cpu).unwrap())
}

/// Convolutions are computed by kernels or by cuDNN, whichever is faster: here either in turn seems to be, and cuDNN is absent
/// or does not start.
#[test]
fn convolutions_in_every_way() {
    let Some(gpu) = gpu() else { return };
    const TEST: &str = "ways::convolutions_in_every_way";
    if !is_emulated(&gpu) {
        return;
    }
    let counted = ("PLYWOOD_EMULATOR_RUNS", "1");
    let run = |variables: &[(&str, &str)]| output_of_a_process(TEST, &[variables, &[counted]].concat());
    if let Some(text) = run(&[(SLOW, OWN)]) {
        assert!(text.contains("with cuDNN)"), "{text}");
        let by_kernels = |text: &str, i: usize| -> usize {
            let name = ["conv_forward", "conv_backward_data", "conv_backward_weight"][i];
            ["", "_32", "_16"].iter().map(|size| runs(text, &format!("{name}{size}"))).sum()
        };
        for (i, theirs) in CUDNN.into_iter().enumerate() {
            assert!(runs(&text, theirs) > 2 * by_kernels(&text, i) && by_kernels(&text, i) > 0, "{text}");
            assert_eq!(runs(&text, &format!("{theirs}(atomic)")), 0, "{text}");
        }
        let text = run(&[(SLOW, &CUDNN.map(|name| format!("{name},{name}(transformed)")).join(","))]);
        let text = text.unwrap();
        for (i, theirs) in CUDNN.into_iter().enumerate() {
            assert!(by_kernels(&text, i) > runs(&text, theirs), "{text}");
        }
        // Whichever is faster.
        run(&[]).unwrap();
        // It does not start, or has no way for the first that is asked.
        let text = run(&[("PLYWOOD_EMULATOR_FAIL", "cudnnCreate:1=1001")]).unwrap();
        assert_eq!(CUDNN.map(|name| runs(&text, name)), [0; 3], "{text}");
        run(&[("PLYWOOD_EMULATOR_FAIL", "cudnnSetConvolution2dDescriptor:1=3000"), (SLOW, OWN)]);
        // It is not there.
        let emulator = std::env::var("PLYWOOD_CUDA_LIBS").unwrap();
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-cudnn");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        for name in ["libcuda.so.1", "libcuda.so", "libnvrtc.so.13", "libcublasLt.so.13"] {
            std::os::unix::fs::symlink(format!("{emulator}/{name}"), folder.join(name)).unwrap();
        }
        let text = run(&[("PLYWOOD_CUDA_LIBS", folder.to_str().unwrap())]).unwrap();
        assert!(text.contains("without cuDNN)") && runs(&text, "conv_forward_16") > 0, "{text}");
        assert_eq!(CUDNN.map(|name| runs(&text, name)), [0; 3], "{text}");
        return;
    }

    let gpu = &gpu;
    println!("{gpu:#}");
    macro_rules! all {
        ($($Net:ident $sizes:tt)*) => {
            $(compare_both!(gpu, $Net, $sizes, |batch, rng| Tensor::<Shape![_, 3], E>::randn_of((Dyn(batch), D), rng), MSELoss);)*
        };
    }
    all! { Images [2, 9, 7] Strides [3, 11, 12] }
    let (losses, model) = images_trained(&Device::Cpu);
    // Two threads, of which one may plan while the other records. What one is measured to take has the other's work in it, so
    // this is not done where the faster way is to be a certain one.
    if std::env::var_os(SLOW).is_none() {
        let both = std::thread::scope(|scope| {
            [0, 1].map(|_| scope.spawn(|| images_trained(gpu).0)).map(|thread| thread.join().unwrap())
        });
        both.iter().for_each(|losses_there| close("losses of two threads", losses_there, &losses, 1e-4));
    }
    let (losses_there, there) = images_trained(gpu);
    close("losses", &losses_there, &losses, 1e-4);
    close("parameters", there.parameters(), model.parameters(), 1e-3);
    plywood::set_float32_matmul_precision(plywood::Precision::High);
    close("losses in TF32", &images_trained(gpu).0, &losses, 0.01);
    plywood::set_float32_matmul_precision(plywood::Precision::Bf16);
    close("losses in bf16", &images_trained(gpu).0, &losses, 0.05);
}

#[test]
fn a_convolution_that_fails() {
    let Some(gpu) = gpu() else { return };
    let fails = [("PLYWOOD_EMULATOR_FAIL", "cudnnConvolutionForward:99=5000"), (SLOW, OWN)];
    if !is_emulated(&gpu) || !in_a_process_of_its_own("ways::a_convolution_that_fails", &fails) {
        return;
    }
    let model = Images::init(&mut Generator::manual_seed(2)).to(&gpu).unwrap();
    let x = Tensor::<Shape![4, 2, 9, 7]>::ones().to(&gpu).unwrap();
    let error = (0..99).find_map(|_| model.try_forward(&x).err()).unwrap().to_string();
    assert!(
        error.starts_with("cuda:0: the output of the convolution of [4, ") && error.contains("in F32 by cuDNN failed")
    );
    assert!(error.ends_with("CUDNN_STATUS_EXECUTION_FAILED (5000)"), "{error}");
    model.try_forward(&x).unwrap();
}
