//! Whatever is in a file, reading it as IDX gives a tensor or an error, never a panic.

use plywood::data::from_idx;
use plywood::prelude::*;
use proptest::prelude::*;

fn read(bytes: &[u8]) -> plywood::Result<Tensor<Shape![_, 2, 3], u8>> {
    from_idx("damaged.idx", bytes)
}

fn file(images: &[[u8; 6]]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, u8::try_from(images.len()).unwrap(), 0, 0, 0, 2, 0, 0, 0, 3];
    bytes.extend(images.as_flattened());
    bytes
}

/// The file of one image gzipped, by `gzip.compress(…, mtime=0)` in Python.
const GZIPPED: [u8; 39] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x63, 0x60, 0xe0, 0x60, 0x66, 0x60, 0x60, 0x60, 0x04,
    0x62, 0x26, 0x20, 0x66, 0x66, 0x64, 0x62, 0x66, 0x61, 0x65, 0x03, 0x00, 0xc8, 0x4f, 0xef, 0x76, 0x16, 0x00, 0x00,
    0x00,
];

proptest! {
    #[test]
    fn what_was_written_is_read(images in proptest::collection::vec(any::<[u8; 6]>(), 0..20)) {
        let x = read(&file(&images)).unwrap();
        prop_assert_eq!(x.sizes(), [images.len(), 2, 3]);
        prop_assert_eq!(x.as_slice(), images.as_flattened());
    }

    #[test]
    fn a_file_cut_short_or_made_longer_is_an_error(
        images in proptest::collection::vec(any::<[u8; 6]>(), 0..20),
        cut in any::<proptest::sample::Index>(),
        more in 1usize..9,
    ) {
        let mut bytes = file(&images);
        prop_assert!(read(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.extend(vec![0; more]);
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn bytes_at_random_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), gz in any::<bool>()) {
        let _ = read(&bytes);
        if gz && bytes.len() > 3 {
            bytes[..4].copy_from_slice(&[0x1f, 0x8b, 8, 0]);
            let _ = read(&bytes);
        }
        bytes.splice(0..0, [0, 0, 8, 3]);
        let _ = read(&bytes);
        let _ = from_idx::<Shape![_, _, _], f64>("damaged.idx", &bytes[..]);
    }

    #[test]
    fn one_wrong_byte_never_panics_and_never_makes_up_elements(at in 0..GZIPPED.len(), byte in any::<u8>()) {
        let image = read(&GZIPPED).unwrap();
        let mut bytes = GZIPPED;
        bytes[at] = byte;
        if let Ok(x) = read(&bytes) {
            prop_assert_eq!(x, image);
        }
    }
}
