//! Arrays between NumPy and Plywood; `tests/parity/numpy_files.py` makes the files and reads those written here.

use plywood::io::{Npz, NpzWriter, from_npy, read_npy, to_npy, write_npy};
use plywood::prelude::*;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("parity/fixtures/numpy").join(name)
}

/// The folder that `numpy_files.py --check` reads.
fn target(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("numpy");
    fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder.join(name)
}

/// Both orders and both orders of bytes give these numbers; what was read is written as the same bytes.
fn both_ways<E: Element>(dtype: &str, numbers: [[E; 3]; 2]) {
    for variant in ["", "_fortran", "_big"] {
        let x: Tensor<Shape![_, 3], E> = read_npy(fixture(&format!("{dtype}{variant}.npy"))).unwrap();
        assert_eq!(x.sizes(), [2, 3], "{dtype}{variant}");
        assert_eq!(x.as_slice(), numbers.as_flattened(), "{dtype}{variant}");
    }
    let file = fs::read(fixture(&format!("{dtype}.npy"))).unwrap();
    let x: Tensor<Shape![2, 3], E> = from_npy(dtype, &file[..]).unwrap();
    assert_eq!(to_npy(&x), file, "{dtype}: what NumPy saved and Plywood read, Plywood writes as the same bytes");
    write_npy(&x, target(&format!("{dtype}.npy"))).unwrap();
    for variant in ["", "_fortran", "_big"] {
        let file = fs::read(fixture(&format!("{dtype}{variant}.npy"))).unwrap();
        for end in 0..file.len() {
            assert!(from_npy::<Shape![_, 3], E>(dtype, &file[..end]).is_err(), "{dtype}{variant}: {end} bytes");
        }
    }
}

#[test]
fn numpys_arrays_of_every_type_are_read_and_written() {
    both_ways("bool", [[true, false, true], [false, true, false]]);
    both_ways("int8", [[-14i8, -7, 0], [7, 14, 21]]);
    both_ways("int16", [[-14i16, -7, 0], [7, 14, 21]]);
    both_ways("int32", [[-14i32, -7, 0], [7, 14, 21]]);
    both_ways("int64", [[-14i64, -7, 0], [7, 14, 21]]);
    both_ways("uint8", [[0u8, 7, 14], [21, 28, 35]]);
    both_ways("uint16", [[0u16, 7, 14], [21, 28, 35]]);
    both_ways("uint32", [[0u32, 7, 14], [21, 28, 35]]);
    both_ways("uint64", [[0u64, 7, 14], [21, 28, 35]]);
    both_ways("float32", [[-3.0f32, -1.5, 0.0], [1.5, 3.0, 4.5]]);
    both_ways("float64", [[-3.0f64, -1.5, 0.0], [1.5, 3.0, 4.5]]);
}

#[test]
fn ranks_and_versions_of_numpy_are_read() {
    let cube: Tensor<Shape![2, 3, 4]> = read_npy(fixture("cube_fortran.npy")).unwrap();
    assert_eq!(cube.to_vec(), (0..24u8).map(f32::from).collect::<Vec<_>>());
    assert_eq!(read_npy::<Shape![], f64>(fixture("scalar.npy")).unwrap().item(), 1.5);
    assert_eq!(read_npy::<Shape![_, 3], f32>(fixture("empty.npy")).unwrap().sizes(), [0, 3]);
    assert_eq!(read_npy::<Shape![2, 3], i64>(fixture("version_2.npy")).unwrap().to_vec(), [-14, -7, 0, 7, 14, 21]);
}

#[test]
fn numpys_archives_are_read_and_written() {
    for name in ["stored", "compressed"] {
        let mut archive = Npz::open(fixture(&format!("{name}.npz"))).unwrap();
        assert_eq!(archive.names(), ["x", "labels", "mask"]);
        let x: Tensor<Shape![_, 3]> = archive.read("x").unwrap();
        let labels: Tensor<Shape![_], i64> = archive.read("labels").unwrap();
        let mask: Tensor<Shape![2], bool> = archive.read("mask").unwrap();
        assert_eq!(x.to_vec(), [-3.0, -1.5, 0.0, 1.5, 3.0, 4.5]);
        assert_eq!((labels.to_vec(), mask.to_vec()), (vec![3, 1], vec![true, false]));

        let writer = NpzWriter::new().array("x", &x).array("labels", &labels).array("mask", &mask);
        let writer = if name == "compressed" { writer.compressed() } else { writer };
        writer.write(target(&format!("{name}.npz"))).unwrap();

        let file = fs::read(fixture(&format!("{name}.npz"))).unwrap();
        for end in 0..file.len() {
            assert!(Npz::from_reader(name, std::io::Cursor::new(&file[..end])).is_err(), "{name}: {end} bytes");
        }
    }
}

#[test]
fn what_is_no_tensor_is_an_error_that_names_the_file_and_the_reason() {
    for (name, reason) in [
        ("objects.npy", "the file holds Python objects, which only Python can read (`|O`)"),
        (
            "half.npy",
            "the file holds floats of another size; in NumPy, `x.astype(numpy.float32)` makes f32 of them (`<f2`)",
        ),
        ("text.npy", "the file holds text (`<U2`)"),
        ("records.npy", "the file holds records of several fields; save each field as an array"),
        ("int64.npy", "the file holds elements of type i64, but the tensor's type says f32"),
        ("cube_fortran.npy", "the file holds a tensor of shape [2, 3, 4], but the type is [_]"),
        ("stored.npz", "this is not an .npy file: it is an archive, as `numpy.savez` writes it; read it as .npz"),
    ] {
        let path = fixture(name);
        let wrong = read_npy::<Shape![_], f32>(&path).unwrap_err();
        assert_eq!(wrong.to_string(), format!("{}: {reason}", path.display()));
    }
}

proptest! {
    #[test]
    fn bytes_at_random_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = from_npy::<Shape![_], f32>("random.npy", &bytes[..]);
        let behind = [b"\x93NUMPY\x01\x00", &bytes[..]].concat();
        let _ = from_npy::<Shape![_], f32>("random.npy", &behind[..]);
        let _ = Npz::from_reader("random.npz", std::io::Cursor::new(bytes));
    }

    #[test]
    fn a_header_at_random_never_panics(text in "[{}()\\[\\]'\":, a-z0-9<>TrueFals]{0,80}") {
        let mut text = text;
        for start in ["", "{'descr': '<f4', 'fortran_order': False, 'shape': ("] {
            text.insert_str(0, start);
            let length = u16::try_from(text.len()).unwrap().to_le_bytes();
            let bytes = [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), &[0; 64]].concat();
            let _ = from_npy::<Shape![_, _], f32>("random.npy", &bytes[..]);
        }
    }
}
