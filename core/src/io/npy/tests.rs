use super::*;
use crate::prelude::*;

fn message<S: Shape, E: Element>(bytes: &[u8]) -> String {
    from_npy::<S, E>("a.npy", bytes).unwrap_err().to_string()
}

/// A file with this dictionary and these bytes behind it.
fn npy(dictionary: &str, elements: &[u8]) -> Vec<u8> {
    let length = u16::try_from(dictionary.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], dictionary.as_bytes(), elements].concat()
}

fn header(descr: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")
}

#[test]
fn a_file_of_another_kind_is_an_error() {
    assert_eq!(
        message::<Shape![_], f32>(b""),
        "a.npy: this is not an .npy file: it does not begin with 93 4e 55 4d 50 59 (`\\x93NUMPY`)"
    );
    assert_eq!(
        message::<Shape![_], f32>(b"PK\x03\x04...."),
        "a.npy: this is not an .npy file: it is an archive, as `numpy.savez` writes it; read it as .npz"
    );
    assert_eq!(
        message::<Shape![_], f32>(b"\x93NUMPY\x04\x01"),
        "a.npy: the file has version 4.1 of the format, but 1.0 to 3.0 are known"
    );
    assert_eq!(
        message::<Shape![_], f32>(&npy("{'descr': '<f4'}", b"")),
        "a.npy: damaged: the header is `{'descr': '<f4'}`"
    );
}

#[test]
fn what_a_tensor_cannot_be_is_said() {
    let of = |descr: &str| message::<Shape![2], f32>(&npy(&header(descr, "(2,)"), &[0; 8]));
    assert_eq!(of("'|O'"), "a.npy: the file holds Python objects, which only Python can read (`|O`)");
    assert_eq!(
        of("'<f2'"),
        "a.npy: the file holds floats of another size; in NumPy, `x.astype(numpy.float32)` makes f32 of them (`<f2`)"
    );
    assert_eq!(of("'<U7'"), "a.npy: the file holds text (`<U7`)");
    assert_eq!(of("'<é8'"), "a.npy: the file holds elements of a type that is unknown here (`<é8`)");
    assert_eq!(
        of("[('x', '<f4'), ('y', '<f4', (2, 2))]"),
        "a.npy: the file holds records of several fields; save each field as an array"
    );
    assert_eq!(of("'>i4'"), "a.npy: the file holds elements of type i32, but the tensor's type says f32");
    let shaped = |shape: &str, bytes| message::<Shape![_, 2], f32>(&npy(&header("'<f4'", shape), bytes));
    assert_eq!(shaped("(2, 3)", &[]), "a.npy: the file holds a tensor of shape [2, 3], but the type is [_, 2]");
    assert_eq!(shaped("()", &[]), "a.npy: the file holds a tensor of shape [], but the type is [_, 2]");
    assert_eq!(shaped("(1, 2)", &[0; 7]), "a.npy: the elements of shape [1, 2] take 8 bytes, but the file has 7");
    assert_eq!(shaped("(1, 2)", &[0; 9]), "a.npy: the elements of shape [1, 2] take 8 bytes, but the file has more");
    // The header's promise alone takes no memory.
    assert!(shaped("(99999999999, 2)", &[0; 16]).ends_with("take 799999999992 bytes, but the file has 16"));
    assert_eq!(
        shaped("(9999999999999999999, 2)", &[]),
        "a.npy: a tensor of shape [9999999999999999999, 2] does not fit into memory"
    );
    assert_eq!(
        message::<Shape![3], bool>(&npy(&header("'|b1'", "(3,)"), &[1, 0, 2])),
        "a.npy: element 2 is the byte 2, but a bool is 0 or 1"
    );
}

#[test]
fn more_than_a_chunk_is_read_in_either_order_and_either_byte_first() {
    let numbers: Vec<i32> = (0..100_000).collect();
    let read = |order, descr, bytes: fn(&i32) -> [u8; 4]| -> Tensor<Shape![_, 1000], i32> {
        let elements: Vec<u8> = numbers.iter().flat_map(bytes).collect();
        let dictionary = format!("{{'shape': (100, 1000), 'descr': '{descr}', 'fortran_order': {order}}}");
        from_npy("a.npy", &npy(&dictionary, &elements)[..]).unwrap()
    };
    let x = read("False", "<i4", |x| x.to_le_bytes());
    assert_eq!(x.as_slice(), numbers);
    assert_eq!(x.as_slice().as_ptr() as usize % 64, 0);
    assert_eq!(read("False", ">i4", |x| x.to_be_bytes()), x);
    let columns = read("True", "<i4", |x| x.to_le_bytes());
    assert_eq!((columns.get([0, 1]), columns.get([1, 0]), columns.get([99, 999])), (Some(100), Some(1), Some(99_999)));
}

#[test]
fn versions_2_and_3_have_longer_headers() {
    let dictionary = header("'<u2'", "(1,)");
    for version in [2, 3] {
        let length = u32::try_from(dictionary.len()).unwrap().to_le_bytes();
        let bytes = [b"\x93NUMPY", &[version, 0][..], &length, dictionary.as_bytes(), &[1, 2]].concat();
        assert_eq!(from_npy::<Shape![_], u16>("a.npy", &bytes[..]).unwrap().to_vec(), [0x0201]);
        assert_eq!(message::<Shape![_], u16>(&bytes[..11]), "a.npy: the file ends within its header");
    }
}

#[test]
fn every_type_and_rank_comes_back() {
    fn there_and_back<S: Shape, E: Element>(x: &Tensor<S, E>) {
        let bytes = to_npy(x);
        assert_eq!(&from_npy::<S, E>("a.npy", &bytes[..]).unwrap(), x);
        for end in 0..bytes.len() {
            assert!(from_npy::<S, E>("a.npy", &bytes[..end]).is_err(), "{end} bytes");
        }
    }
    there_and_back::<Shape![], f32>(&Tensor::full(1.5));
    there_and_back::<Shape![3], bool>(&Tensor::full(true));
    there_and_back::<Shape![2, 1], f64>(&Tensor::full(f64::MIN_POSITIVE));
    there_and_back::<Shape![1, 2, 1], i8>(&Tensor::full(-1));
    there_and_back::<Shape![1, 1, 1, 3], i16>(&Tensor::full(-2));
    there_and_back::<Shape![1, 1, 1, 1, 2], i32>(&Tensor::full(i32::MIN));
    there_and_back::<Shape![1, 1, 1, 1, 1, 2], i64>(&Tensor::full(i64::MAX));
    there_and_back::<Shape![2], u8>(&Tensor::full(255));
    there_and_back::<Shape![2], u16>(&Tensor::full(256));
    there_and_back::<Shape![2], u32>(&Tensor::full(u32::MAX));
    there_and_back::<Shape![2], u64>(&Tensor::full(u64::MAX));
}

#[test]
fn nothing_is_an_array_too() {
    let empty: Tensor<Shape![_, 3]> = Tensor::zeros_of((Dyn(0), D));
    assert_eq!(from_npy::<Shape![_, 3], f32>("a.npy", &to_npy(&empty)[..]).unwrap(), empty);
}

#[cfg(feature = "npz")]
mod archives {
    use super::*;
    use std::io::Cursor;

    fn bytes(compressed: bool) -> Vec<u8> {
        let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let labels: Tensor<Shape![3], i64> = tensor![7, 8, 9];
        let writer = NpzWriter::new().array("x", &x).array("labels", &labels);
        if compressed { writer.compressed().to_bytes().unwrap() } else { writer.to_bytes().unwrap() }
    }

    type Arrays = (Tensor<Shape![_, 3]>, Tensor<Shape![_], i64>);

    fn read(bytes: &[u8]) -> plywood::Result<Arrays> {
        let mut archive = Npz::from_reader("a.npz", Cursor::new(bytes))?;
        Ok((archive.read("x")?, archive.read("labels")?))
    }

    #[test]
    fn what_is_missing_wrong_or_no_archive_is_said() {
        let bytes = bytes(false);
        let mut archive = Npz::from_reader("a.npz", Cursor::new(&bytes)).unwrap();
        assert_eq!(archive.read::<Shape![3], i64>("labels.npy").unwrap().to_vec(), [7, 8, 9]);
        let mut message = |name| archive.read::<Shape![3], f32>(name).unwrap_err().to_string();
        assert_eq!(message("lables"), "a.npz: there is no array `lables`; is it `labels`?");
        assert_eq!(message("velocities"), "a.npz: there is no array `velocities`, but `x`, `labels`");
        assert_eq!(
            message("labels"),
            "a.npz: array `labels`: the file holds elements of type i64, but the tensor's type says f32"
        );
        assert_eq!(message("x"), "a.npz: array `x`: the file holds a tensor of shape [2, 3], but the type is [3]");
        let open = |bytes: &[u8]| Npz::from_reader("a.npz", Cursor::new(bytes)).unwrap_err().to_string();
        assert!(open(b"").starts_with("a.npz: this is not an .npz file, or cut off: "), "{}", open(b""));
        assert_eq!(
            open(&to_npy(&tensor![1.0])),
            "a.npz: this is not an .npz file: it is a single array, as `numpy.save` writes it; read it as .npy"
        );
    }

    #[test]
    fn an_archive_cut_short_is_an_error_and_a_damaged_one_gives_no_other_numbers() {
        for compressed in [false, true] {
            let bytes = bytes(compressed);
            let whole = read(&bytes).unwrap();
            for end in 0..bytes.len() {
                assert!(read(&bytes[..end]).is_err(), "{end} bytes");
            }
            for at in 0..bytes.len() {
                for flip in [0x01, 0x55, 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[at] ^= flip;
                    // Some bytes, as the time of writing, say nothing about the arrays.
                    if let Ok(read) = read(&damaged) {
                        assert_eq!(read, whole, "byte {at} of {}", bytes.len());
                    }
                }
            }
        }
    }

    #[test]
    fn an_archive_that_cannot_be_written_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        NpzWriter::new().array("x", &tensor![1.5]).write(&path).unwrap();
        let before = std::fs::read(&path).unwrap();
        let twice = NpzWriter::new().array("x", &tensor![1.0]).array("x", &tensor![2.0]);
        assert!(twice.write(&path).unwrap_err().to_string().ends_with("a.npz: two arrays have the name `x`"));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(Npz::open(&path).unwrap().read::<Shape![1], f64>("x").unwrap().to_vec(), [1.5]);
    }
}
