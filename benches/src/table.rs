//! Results of several rounds and several libraries as one table.

use plywood_bench_protocol::{EQUAL, Line, Machine, NOISY, Row, Task};
use std::fmt::Write;

/// The rounds of each result as one row: the median of their medians, of the quiet rounds if there are any.
pub(crate) fn merge(rows: &[Row]) -> Vec<Row> {
    let mut merged: Vec<Row> = Vec::new();
    for row in rows {
        let same = |other: &&Row| {
            (&other.by, &other.w, &other.kind, other.threads) == (&row.by, &row.w, &row.kind, row.threads)
        };
        if merged.iter().any(|row| same(&row)) {
            continue;
        }
        let rounds = || rows.iter().filter(same);
        let mut used: Vec<&Row> = rounds().filter(|row| row.other <= NOISY).collect();
        if used.is_empty() {
            used = rounds().collect();
        }
        used.sort_by(|a, b| a.us.total_cmp(&b.us));
        let largest = |of: fn(&Row) -> f64| used.iter().map(|row| of(row)).fold(f64::MIN, f64::max);
        merged.push(Row {
            us: used[used.len() / 2].us,
            min: used.iter().map(|row| row.min).fold(f64::MAX, f64::min),
            max: largest(|row| row.max),
            other: largest(|row| row.other),
            // A wrong result is wrong in any round.
            loss_error: rounds().map(|row| row.loss_error).fold(0.0, f64::max),
            ..row.clone()
        });
    }
    merged
}

/// The limits of the machine, and the merged rows.
pub(crate) fn summary(lines: &[Line]) -> Vec<Line> {
    let machines = lines.iter().filter(|line| matches!(line, Line::Machine(_))).cloned();
    machines.chain(merge(&rows_of(lines)).into_iter().map(Line::Row)).collect()
}

fn rows_of(lines: &[Line]) -> Vec<Row> {
    lines.iter().filter_map(|line| if let Line::Row(row) = line { Some(row.clone()) } else { None }).collect()
}

/// A table for each number of threads.
pub(crate) fn print(lines: &[Line]) -> String {
    let rows = merge(&rows_of(lines));
    let machines: Vec<&Machine> =
        lines.iter().filter_map(|line| if let Line::Machine(machine) = line { Some(machine) } else { None }).collect();
    let mut threads: Vec<usize> = rows.iter().map(|row| row.threads).collect();
    threads.sort_unstable();
    threads.dedup();
    let mut text = String::new();
    for threads in threads {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.threads == threads).collect();
        let mut limits: Vec<&Machine> = machines.iter().filter(|machine| machine.threads == threads).copied().collect();
        limits.sort_by(|a, b| a.peak_gflops.total_cmp(&b.peak_gflops));
        writeln!(text, "{threads} thread{}\n", if threads == 1 { "" } else { "s" }).expect("a string");
        if let Some(machine) = limits.get(limits.len() / 2) {
            text += &limits_of(machine);
        }
        text += &table(&rows);
        text += &behind(&rows);
    }
    text
}

/// Where another library is faster than Plywood, the largest difference first; only equal work counts.
fn behind(rows: &[&Row]) -> String {
    let mut ratios = Vec::new();
    for own in rows.iter().filter(|row| row.by == "plywood" && equal(row)) {
        for peer in rows.iter().filter(|row| (&row.w, &row.kind) == (&own.w, &own.kind) && equal(row)) {
            ratios.push((own.us / peer.us, format!("{}:{} {}", own.w, own.kind, peer.by)));
        }
    }
    ratios.retain(|(ratio, _)| *ratio > 1.0);
    ratios.sort_by(|a, b| b.0.total_cmp(&a.0));
    if ratios.is_empty() {
        return String::new();
    }
    let list: Vec<String> = ratios.iter().map(|(ratio, who)| format!("{who} ({ratio:.2} times faster)")).collect();
    format!("Behind: {}.\n\n", list.join(", "))
}

fn limits_of(machine: &Machine) -> String {
    let [triad, read] = [machine.triad, machine.read].map(|gbs| gbs.map(|gbs| format!("{gbs:.0}")).join(", "));
    let Machine { cpu, cores, vectors, peak_gflops, .. } = machine;
    format!(
        "{cpu}, {cores} cores. Multiply-adds ({vectors}): {peak_gflops:.0} GFLOP/s. \
         Triad in L2, L3, memory: {triad} GB/s; reading: {read} GB/s.\n\n"
    )
}

fn table(rows: &[&Row]) -> String {
    let mut peers: Vec<&str> = rows.iter().map(|row| row.by.as_str()).filter(|by| *by != "plywood").collect();
    peers.sort_unstable();
    peers.dedup();
    let mut cells: Vec<Vec<String>> = vec![["task", "floor", "plywood", "× floor"].map(String::from).to_vec()];
    cells[0].extend(peers.iter().map(|peer| (*peer).to_owned()));
    for task in Task::all() {
        let by = |by: &str| {
            let kind = task.kind.to_string();
            rows.iter().find(|row| row.by == by && row.w == task.workload.name && row.kind == kind)
        };
        let own = by("plywood");
        let floor = own.and_then(|row| row.floor_us);
        let mut line = vec![task.to_string(), floor.map_or(String::new(), time)];
        line.push(own.map_or(String::new(), |row| range(row) + &marks(row)));
        line.push(own.zip(floor).map_or(String::new(), |(row, floor)| format!("{:.2}", row.us / floor)));
        for peer in &peers {
            line.push(by(peer).map_or(String::new(), |row| {
                let ratio = own.map_or(String::new(), |own| format!(" ({:.2})", row.us / own.us));
                format!("{}{ratio}{}", time(row.us), marks(row))
            }));
        }
        if line[2..].iter().any(|cell| !cell.is_empty()) {
            cells.push(line);
        }
    }
    markdown(&cells)
}

/// Rows of cells, the first of them the head, as a table that reads well as text too.
pub(crate) fn markdown(cells: &[Vec<String>]) -> String {
    let columns = cells[0].len();
    let width = |column: usize| cells.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (i, line) in cells.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            let width = width(column);
            write!(text, "| {cell:<width$} ").expect("a string");
        }
        text += "|\n";
        if i == 0 {
            for column in 0..columns {
                write!(text, "|{}", "-".repeat(width(column) + 2)).expect("a string");
            }
            text += "|\n";
        }
    }
    text + "\n"
}

/// Is this row's work equal to PyTorch's?
pub(crate) fn equal(row: &Row) -> bool {
    row.loss_error <= EQUAL
}

/// `!` other processes took part of the machine; `≠` the losses are not PyTorch's.
fn marks(row: &Row) -> String {
    let noisy = if row.other > NOISY { " !" } else { "" };
    format!("{noisy}{}", if equal(row) { "" } else { " ≠" })
}

/// Microseconds in three digits with their unit.
fn time(us: f64) -> String {
    let (factor, unit) = unit(us);
    format!("{} {unit}", digits(us * factor))
}

/// The median with its unit, and the range in the same unit.
fn range(row: &Row) -> String {
    let (factor, _) = unit(row.us);
    format!("{} ({}–{})", time(row.us), digits(row.min * factor), digits(row.max * factor))
}

fn unit(us: f64) -> (f64, &'static str) {
    match us {
        _ if us < 0.9995 => (1e3, "ns"),
        _ if us < 999.5 => (1.0, "µs"),
        _ => (1e-3, "ms"),
    }
}

fn digits(value: f64) -> String {
    let digits = match value {
        _ if value < 9.995 => 2,
        _ if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(us: f64, other: f64) -> Row {
        let (by, w, kind) = ("plywood".to_owned(), "W1".to_owned(), "sgd".to_owned());
        Row { by, w, kind, us, min: us, max: us, threads: 1, floor_us: Some(0.5), loss_error: 0.0, other }
    }

    #[test]
    fn quiet_rounds_count_and_noisy_ones_only_if_there_are_no_others() {
        let merged = merge(&[row(3.0, 0.0), row(9.0, 1.0), row(1.0, 0.1), row(2.0, 0.0)]);
        assert_eq!((merged.len(), merged[0].us, merged[0].min, merged[0].max), (1, 2.0, 1.0, 3.0));
        assert!(print(&[Line::Row(row(9.0, 1.0))]).contains("9.00 µs (9.00–9.00) ! | 18.00"));
    }

    #[test]
    fn who_is_faster_is_told() {
        let peer = |by: &str, us, error| Line::Row(Row { by: by.to_owned(), loss_error: error, ..row(us, 0.0) });
        let text = print(&[Line::Row(row(3.0, 0.0)), peer("a", 2.0, 0.0), peer("b", 4.0, 0.0), peer("c", 1.0, 1.0)]);
        assert!(text.ends_with("Behind: W1:sgd a (1.50 times faster).\n\n"), "{text}");
    }

    #[test]
    fn a_wrong_round_marks_the_row() {
        for error in [2e-4, f64::MAX] {
            let wrong = Row { loss_error: error, ..row(1.0, 0.0) };
            for rows in [[row(1.0, 0.0), wrong.clone()], [wrong.clone(), row(1.0, 0.0)]] {
                assert!(!equal(&merge(&rows)[0]), "{error}");
            }
        }
        assert!(equal(&merge(&[row(1.0, 0.0)])[0]));
    }

    #[test]
    fn times_have_three_digits() {
        assert_eq!(
            [0.0171, 0.9999, 12.34, 999.9, 123_456.0].map(time),
            ["17.1 ns", "1.00 µs", "12.3 µs", "1.00 ms", "123 ms"]
        );
    }
}
