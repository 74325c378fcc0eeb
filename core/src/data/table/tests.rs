use super::*;
use crate::prelude::*;

fn zoo() -> Table {
    Table::read_csv(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/zoo.csv")).unwrap()
}

fn message(text: &str) -> String {
    Table::from_csv("t.csv", text).unwrap_err().to_string()
}

#[test]
fn the_zoo_is_read_as_it_is() {
    let zoo = zoo();
    assert_eq!((zoo.rows(), zoo.column_names().len()), (101, 18));
    let x: Tensor<Shape![_, 16]> = zoo.columns_except(&["animal", "type"]).unwrap();
    assert_eq!(x.sizes(), [101, 16]);
    assert_eq!(x.row(0).unwrap().to_vec(), [1., 0., 0., 1., 0., 0., 1., 1., 1., 1., 0., 0., 4., 0., 0., 1.]);
    let types = zoo.classes("type").unwrap();
    assert_eq!(types.names, ["amphibian", "bird", "fish", "insect", "mammal", "mollusc.et.al", "reptile"]);
    let counts: Vec<usize> = (0..7).map(|class| types.labels.iter().filter(|label| **label == class).count()).collect();
    assert_eq!(counts, [4, 20, 13, 8, 41, 10, 5]);
}

#[test]
fn a_stratified_split_of_the_zoo_keeps_each_type_in_both_parts_and_finds_the_animals() {
    let zoo = zoo();
    let animals = zoo.strings("animal").unwrap();
    let types = zoo.classes("type").unwrap();
    let x: Tensor<Shape![_, 16]> = zoo.columns_except(&["animal", "type"]).unwrap();
    let all = TensorDataset::new(x, types.labels.clone()).unwrap();
    let (train, test) = all.stratified_split(0.8, &mut Generator::manual_seed(0)).unwrap();
    let counts = |part: &TensorDataset<Shape![16]>| -> Vec<usize> {
        (0..7).map(|class| part.targets().iter().filter(|label| **label == class).count()).collect()
    };
    assert_eq!(counts(&train), [3, 16, 11, 6, 33, 8, 4]);
    assert_eq!(counts(&test), [1, 4, 2, 2, 8, 2, 1]);

    let table_types = zoo.strings("type").unwrap();
    for (row, index) in test.indices().iter().enumerate() {
        assert!(!animals[*index].is_empty());
        let label = test.targets().get([row]).unwrap();
        assert_eq!(types.names[label as usize], table_types[*index], "{}", animals[*index]);
    }
}

#[test]
fn columns_come_in_the_order_of_their_names_and_may_repeat() {
    let table = Table::from_csv("t.csv", "a,b,c\n1,2,3\n4,5,6\n").unwrap();
    let x: Tensor<Shape![_, 3], f64> = table.columns(["c", "a", "c"]).unwrap();
    assert_eq!(x.to_vec(), [3.0, 1.0, 3.0, 6.0, 4.0, 6.0]);
    let none: Tensor<Shape![_, 0]> = table.columns([]).unwrap();
    assert_eq!(none.sizes(), [2, 0]);
}

#[test]
fn lines_are_those_of_a_text_editor() {
    for line_break in ["\n", "\r\n", "\r"] {
        for text in
            ["\u{feff}x,name\n1,a\n\n\n2,\"two\nlines\"\nthree,c\n", "\nx,name\n1,a\n2,\"two\n\nlines\"\nthree,c"]
        {
            let text = text.replace('\n', line_break);
            let table = Table::from_csv("t.csv", &text).unwrap();
            assert_eq!(table.column_names(), ["x", "name"], "{text:?}");
            let wrong = table.column::<f32>("x").unwrap_err().to_string();
            assert_eq!(wrong, "t.csv, line 7, column `x`: `three` is not a number", "{text:?}");
            assert_eq!(table.strings("name").unwrap()[0], "a");
        }
    }
}

#[test]
fn quotes_hold_commas_quotes_and_line_breaks() {
    let table = Table::from_csv("t.csv", "a,b\n\"1,2\",\"say \"\"x\"\"\"\n\"p\nq\" , r \n").unwrap();
    assert_eq!(table.strings("a").unwrap()[0], "1,2");
    assert_eq!(table.strings("b").unwrap(), ["say \"x\"", "r"]);
    let table = Table::from_csv("t.csv", "a,b\n1,\"x\ny\"\n").unwrap();
    assert_eq!(table.strings("b").unwrap(), ["x\ny"]);
}

#[test]
fn broken_tables_are_errors_that_name_the_place() {
    assert_eq!(message(""), "t.csv: the file is empty; its first line should name the columns");
    assert_eq!(message("\u{feff}\n\n"), "t.csv: the file is empty; its first line should name the columns");
    assert_eq!(message("a,b,a\n"), "t.csv, line 1, column `a`: columns 1 and 3 have the same name");
    assert_eq!(message("a,b\n1,2\n3,4,5\n"), "t.csv, line 3: the row has 3 cells, but the table has 2 columns");
    assert_eq!(message("a,b\n1,\"2\n3,4\n"), "t.csv, line 2: a quote `\"` is opened in this row and never closed");
    assert_eq!(message("a,\"b\n1,2\n"), "t.csv, line 1: a quote `\"` is opened in this row and never closed");
    let latin1 = Table::from_reader("t.csv", &b"a\nok\nM\xfcller\n"[..]).unwrap_err();
    assert_eq!(latin1.to_string(), "t.csv, line 3: this is not UTF-8 text; save the table as CSV in UTF-8");
}

#[test]
fn missing_and_infinite_cells_are_errors_that_name_the_place() {
    let table = Table::from_csv("t.csv", "x,kind\n1,a\n ,\nnan,b\n").unwrap();
    let empty = "the cell is empty; fill it in or leave the row out";
    assert_eq!(table.column::<f32>("x").unwrap_err().to_string(), format!("t.csv, line 3, column `x`: {empty}"));
    assert_eq!(table.classes("kind").unwrap_err().to_string(), format!("t.csv, line 3, column `kind`: {empty}"));
    assert_eq!(table.strings("kind").unwrap(), ["a", "", "b"]);
    let table = Table::from_csv("t.csv", "x\nnan\n").unwrap();
    assert!(table.column::<f32>("x").unwrap_err().to_string().contains("`nan` is not a finite number"));
}

#[test]
fn an_unknown_column_is_an_error_that_helps() {
    let zoo = zoo();
    let wrong = |name| zoo.strings(name).unwrap_err().to_string();
    assert!(
        wrong("feathrs").contains("did you mean `feathers`? The columns are `animal`, `hair`"),
        "{}",
        wrong("feathrs")
    );
    assert!(wrong("Hair").contains("did you mean `hair`?"));
    assert!(wrong("colour").contains("there is no such column. The columns are `animal`"));
    assert!(zoo.columns_except::<D<16>, f32>(&["animal", "kind"]).unwrap_err().to_string().contains("column `kind`"));

    let header: Vec<String> = (0..100).map(|i| format!("pixel{i}")).collect();
    let wide = Table::from_csv("t.csv", &header.join(",")).unwrap();
    assert!(wide.strings("label").unwrap_err().to_string().ends_with("`pixel29` and 70 more"));
}

#[test]
fn a_column_of_text_among_numbers_is_named() {
    let wrong = zoo().columns_except::<D<17>, f32>(&["animal"]).unwrap_err().to_string();
    assert!(wrong.ends_with("zoo.csv, line 2, column `type`: `mammal` is not a number"), "{wrong}");
}

#[test]
fn a_header_without_rows_is_a_table_of_no_rows() {
    let table = Table::from_csv("t.csv", "a,b").unwrap();
    assert_eq!(table.rows(), 0);
    assert_eq!(table.columns::<f32, 2>(["a", "b"]).unwrap().sizes(), [0, 2]);
    assert!(table.classes("a").unwrap().names.is_empty());
}

#[test]
fn no_text_makes_the_reader_panic() {
    let mut rng = Generator::manual_seed(0);
    let pieces = ["a", "1", ",", "\"", "\n", "\r", "\r\n", " ", "é", "\u{feff}", "nan", "\0"];
    for _ in 0..3_000 {
        let text: String = (0..rng.below(24)).map(|_| pieces[rng.below(pieces.len())]).collect();
        if let Ok(table) = Table::from_csv("t.csv", &text) {
            for name in table.column_names() {
                let _ = (table.column::<f32>(name), table.classes(name), table.strings(name));
            }
        }
    }
}
