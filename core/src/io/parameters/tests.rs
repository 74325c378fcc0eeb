use super::{load, load_bytes, save, to_bytes};
use crate::error::Error;
use crate::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::fs;

sequential! {
    /// A part of another network.
    struct Encoder {
        Linear(3, 4),
        Tanh,
    }
}

sequential! {
    /// Tensors named by position, by name and by part.
    struct Net {
        encoder: Encoder,
        Linear(4, 4),
        ReLU,
        out: Linear(_, 2),
    }
}

sequential! {
    /// No parameters.
    struct Nothing: 2 => 2 {
        ReLU,
    }
}

type Net64 = <Net as Model>::As<f64>;

fn net(seed: u64) -> Net {
    Net::init(&mut Generator::manual_seed(seed))
}

fn bits(model: &impl Model<Elem = f32>) -> Vec<u32> {
    model.parameters().iter().map(|x| x.to_bits()).collect()
}

/// A tensor of a file to be: name, element type, shape, bytes.
type Raw = (String, Dtype, Vec<usize>, Vec<u8>);

fn raw(model: &Net) -> Vec<Raw> {
    model
        .state_dict()
        .map(|t| (t.name.clone(), Dtype::F32, t.shape.to_vec(), bytemuck::cast_slice(t.data).to_vec()))
        .collect()
}

fn file_of(tensors: &[Raw]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// What loading these tensors says; it must not change the network.
fn refused(tensors: &[Raw]) -> String {
    refused_bytes(&file_of(tensors))
}

fn refused_bytes(bytes: &[u8]) -> String {
    let mut model = net(1);
    let before = bits(&model);
    let message = match load_bytes(&mut model, bytes) {
        Err(Error::Parameters { message, .. }) => message,
        other => panic!("a wrong file gave {other:?}"),
    };
    assert_eq!(bits(&model), before, "the network changed, though: {message}");
    message
}

#[test]
fn names_are_those_of_pytorch() {
    let model = net(0);
    let names: Vec<String> = model.state_dict().map(|tensor| tensor.name).collect();
    assert_eq!(names, ["encoder.0.weight", "encoder.0.bias", "1.weight", "1.bias", "out.weight", "out.bias"]);
    let bytes = to_bytes(&model).unwrap();
    let parsed = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for tensor in model.state_dict() {
        let stored = parsed.tensor(&tensor.name).unwrap();
        assert_eq!((stored.dtype(), stored.shape()), (Dtype::F32, tensor.shape));
        assert_eq!(stored.data(), bytemuck::cast_slice::<f32, u8>(tensor.data));
    }
    assert_eq!(parsed.len(), names.len());
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
}

#[test]
fn the_bytes_are_those_of_the_safetensors_crate() {
    let model = net(0);
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let tensors = raw(&model);
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    assert_eq!(to_bytes(&model).unwrap(), safetensors::serialize(views, Some(metadata)).unwrap());
}

#[test]
fn every_bit_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.safetensors");

    let mut model = net(0);
    let special = [f32::NAN, -f32::NAN, f32::INFINITY, -0.0, f32::MIN_POSITIVE / 2.0, f32::from_bits(0x7f80_0001)];
    model.parameters_mut()[..special.len()].copy_from_slice(&special);
    save(&model, &file).unwrap();
    let mut other = net(1);
    load(&mut other, &file).unwrap();
    assert_eq!(bits(&other), bits(&model));
    assert_eq!(fs::read(&file).unwrap(), to_bytes(&model).unwrap());

    let model = Net64::init(&mut Generator::manual_seed(0));
    save(&model, &file).unwrap();
    let mut other = Net64::init(&mut Generator::manual_seed(1));
    load(&mut other, &file).unwrap();
    let bits = |model: &Net64| model.parameters().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&other), bits(&model));
}

#[test]
fn a_network_without_parameters_is_a_file_without_tensors() {
    let mut model = sequential![Linear(2, 2)].init(&mut Generator::manual_seed(0));
    let mut none = Nothing::init(&mut Generator::manual_seed(0));
    let bytes = to_bytes(&none).unwrap();
    load_bytes(&mut none, &bytes).unwrap();
    let message = load_bytes(&mut model, &bytes).unwrap_err().to_string();
    assert_eq!(
        message,
        "bytes in memory: 2 tensors do not fit the model:\n  `0.weight` [2, 2] is missing\n  `0.bias` [2] is missing"
    );
}

#[test]
fn the_order_of_the_file_does_not_matter() {
    let source = net(0);
    // One header by hand, with the tensors back to front: other writers do not sort as this one does.
    let mut tensors = raw(&source);
    tensors.reverse();
    let (mut header, mut numbers) = (Vec::new(), Vec::new());
    for (name, dtype, shape, data) in &tensors {
        let start = numbers.len();
        numbers.extend_from_slice(data);
        let end = numbers.len();
        header.push(format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#));
    }
    // An odd length: the numbers then lie at no multiple of four bytes.
    let mut header = format!("{{{}}}", header.join(","));
    header.extend(std::iter::repeat_n(' ', 1 + header.len() % 2));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&numbers);
    let mut model = net(1);
    load_bytes(&mut model, &bytes).unwrap();
    assert_eq!(bits(&model), bits(&source));
}

#[test]
fn a_missing_tensor_is_named() {
    let mut tensors = raw(&net(0));
    tensors.remove(2);
    assert_eq!(refused(&tensors), "`1.weight` [4, 4] is missing");
}

#[test]
fn a_tensor_under_another_name_is_suggested() {
    let mut tensors = raw(&net(0));
    tensors[4].0 = "head.weight".to_owned();
    assert_eq!(
        refused(&tensors),
        "2 tensors do not fit the model:
  `out.weight` is missing; is it `head.weight`, which has the same shape?
  `head.weight` is in the file, but not in the model"
    );
    tensors[4].0 = "out.wieght".to_owned();
    assert!(refused(&tensors).contains("`out.weight` is missing; is it `out.wieght`,"));
    // Of several, the nearest; one of another shape is not meant.
    tensors[4].0 = "output.weight".to_owned();
    tensors.push(("classifier.weight".to_owned(), Dtype::F32, vec![2, 4], vec![0; 32]));
    tensors.push(("ou.weight".to_owned(), Dtype::F32, vec![4, 2], vec![0; 32]));
    assert!(refused(&tensors).contains("`out.weight` is missing; is it `output.weight`,"));
}

#[test]
fn a_tensor_too_many_is_named() {
    let mut tensors = raw(&net(0));
    tensors.push(("out.scale".to_owned(), Dtype::F32, vec![2], vec![0; 8]));
    assert_eq!(refused(&tensors), "`out.scale` is in the file, but not in the model");
}

#[test]
fn a_wrong_shape_is_told_with_both_shapes() {
    let mut tensors = raw(&net(0));
    tensors[0].2 = vec![3, 4];
    assert_eq!(refused(&tensors), "`encoder.0.weight` has shape [3, 4] in the file, but [4, 3] in the model");
    tensors[0].2 = vec![12];
    assert_eq!(refused(&tensors), "`encoder.0.weight` has shape [12] in the file, but [4, 3] in the model");
}

#[test]
fn a_wrong_element_type_is_told_with_both_types() {
    let mut tensors = raw(&net(0));
    tensors[5] = ("out.bias".to_owned(), Dtype::BF16, vec![2], vec![0; 4]);
    assert_eq!(refused(&tensors), "`out.bias` holds bf16 in the file, but f32 in the model");

    let message = refused_bytes(&to_bytes(&Net64::init(&mut Generator::manual_seed(0))).unwrap());
    assert!(
        message.starts_with("6 tensors do not fit the model:\n  `encoder.0.weight` holds f64 in the file, but f32 ")
    );
    let mut model = Net64::init(&mut Generator::manual_seed(0));
    let message = load_bytes(&mut model, &to_bytes(&net(0)).unwrap()).unwrap_err().to_string();
    assert!(message.contains("`1.bias` holds f32 in the file, but f64 in the model"));
}

#[test]
fn all_problems_of_a_file_are_listed() {
    let mut tensors = raw(&net(0));
    tensors[0] = ("encoder.0.weight".to_owned(), Dtype::F64, vec![2, 2], vec![0; 32]);
    tensors[1].2 = vec![2, 2];
    tensors.remove(3);
    tensors.push(("7.weight".to_owned(), Dtype::I8, vec![], vec![0]));
    assert_eq!(
        refused(&tensors),
        "4 tensors do not fit the model:
  `encoder.0.weight` has shape [2, 2] in the file, but [4, 3] in the model, and holds f64 in the file, but f32 in the model
  `encoder.0.bias` has shape [2, 2] in the file, but [4] in the model
  `1.bias` [4] is missing
  `7.weight` is in the file, but not in the model"
    );
}

#[test]
fn files_that_are_something_else_say_so() {
    assert_eq!(refused_bytes(b""), "empty, where a safetensors file is expected");
    assert!(
        refused_bytes(b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl").starts_with("this is what `torch.save` writes")
    );
    assert_eq!(
        refused_bytes(b"hello, world"),
        "not a safetensors file, or cut off: there is no whole header in its 12 bytes"
    );
    assert!(
        refused_bytes(b"\x02\0\0\0\0\0\0\0[]").starts_with("not a safetensors file, or damaged: the header is wrong:")
    );
    assert!(refused_bytes(b"\x02\0\0\0\0\0\0\0{}").starts_with("6 tensors do not fit the model"));
    let mut longer = to_bytes(&net(0)).unwrap();
    longer.push(0);
    assert_eq!(
        refused_bytes(&longer),
        "damaged or cut off: the header speaks of 184 bytes of numbers, but there are 185"
    );
}

#[test]
fn lengths_that_overflow_are_refused() {
    // Eight tensors of 2⁶¹ - 1 bytes end just below 2⁶⁴, so that adding the header's length wraps around.
    let each = (1u64 << 61) - 1;
    let header: Vec<String> = (0..8)
        .map(|i| {
            let (start, end) = (i * each, (i + 1) * each);
            format!(r#""{i}":{{"dtype":"U8","shape":[{each}],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", header.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    assert!(refused_bytes(&bytes).starts_with("damaged or cut off"));
    for length in [u64::MAX, u64::MAX - 7, 1 << 63, 100_000_001] {
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        assert!(refused_bytes(&bytes).contains("no whole header"));
    }
}

#[test]
fn a_header_that_contradicts_itself_is_refused() {
    let refused = |header: &str, numbers: usize| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + numbers, 0);
        let message = refused_bytes(&bytes);
        message.strip_prefix("not a safetensors file, or damaged: the header is wrong: ").unwrap().to_owned()
    };
    let tensor = |place: &str| format!(r#"{{"dtype":"U8","shape":[4],"data_offsets":{place}}}"#);
    let [first, second, gap] = ["[0,4]", "[2,6]", "[6,10]"].map(tensor);
    assert!(refused(&format!(r#"{{"a":{first},"a":{first}}}"#), 4).starts_with("`a` stands in it twice"));
    assert_eq!(
        refused(&format!(r#"{{"a":{first},"b":{second}}}"#), 6),
        "`b` lies in the bytes 2 to 6, where 4 are taken"
    );
    assert_eq!(
        refused(&format!(r#"{{"b":{gap},"a":{first}}}"#), 10),
        "`b` lies in the bytes 6 to 10, where 4 are taken"
    );
    assert_eq!(
        refused(&format!(r#"{{"a":{}}}"#, tensor("[4,0]")), 4),
        "`a` lies in the bytes 4 to 0, where 0 are taken"
    );
    assert_eq!(refused(&format!(r#"{{"a":{}}}"#, tensor("[0,5]")), 5), "`a` of shape [4] does not fill its 5 bytes");
    let huge = r#"{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}"#;
    assert_eq!(refused(huge, 0), "`a` of shape [2305843009213693952] does not fill its 0 bytes");
    for wrong in ["4", r#"{"dtype":"U8","shape":[4]}"#, r#"{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}"#] {
        assert_eq!(refused(&format!(r#"{{"a\n":{wrong}}}"#), 4), "`a\\n` is no tensor");
    }
}

#[test]
fn the_message_begins_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = net(0);

    let missing = folder.path().join("missing.safetensors");
    let error = load(&mut model, &missing).unwrap_err();
    assert!(matches!(&error, Error::Io { file, .. } if *file == missing));
    assert!(error.to_string().starts_with(&format!("{}: ", missing.display())));

    let empty = folder.path().join("empty.safetensors");
    fs::write(&empty, "").unwrap();
    let error = load(&mut model, &empty).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: empty, where a safetensors file is expected", empty.display()));

    assert!(matches!(load(&mut model, folder.path()), Err(Error::Io { .. })));
    assert!(matches!(save(&model, folder.path()), Err(Error::Io { .. })));
    assert!(matches!(save(&model, missing.join("below")), Err(Error::Io { .. })));
}

#[test]
fn a_file_cut_off_anywhere_changes_nothing() {
    let bytes = to_bytes(&net(0)).unwrap();
    for end in 0..bytes.len() {
        refused_bytes(&bytes[..end]);
    }
}

#[test]
fn a_damaged_file_changes_all_or_nothing() {
    let source = net(0);
    let bytes = to_bytes(&source).unwrap();
    let header = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let mut state = 1u64;
    let mut draw = |below: usize| {
        // Knuth's linear congruential generator; the upper bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut model = net(1);
    let before = bits(&model);
    for round in 0..20_000 {
        let mut damaged = bytes.clone();
        // Half of the damage goes to the header, where most of what can go wrong is.
        let within = if round % 2 == 0 { header } else { damaged.len() };
        for _ in 0..=draw(3) {
            damaged[draw(within)] = u8::try_from(draw(256)).unwrap();
        }
        match load_bytes(&mut model, &damaged) {
            Err(_) => assert_eq!(bits(&model), before, "round {round}"),
            Ok(()) => {
                // Names, shapes and places must have been sound, so only numbers can differ from the source,
                // and they are those of the file.
                let parsed = safetensors::SafeTensors::deserialize(&damaged).unwrap();
                for tensor in model.state_dict() {
                    let stored = parsed.tensor(&tensor.name).unwrap();
                    assert_eq!(stored.data(), bytemuck::cast_slice::<f32, u8>(tensor.data), "round {round}");
                }
                model = net(1);
            }
        }
    }
}
