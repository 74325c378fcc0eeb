//! Colours, fonts, the heading of a figure and its legend.

use super::draw::{Area, Drawn};
use core::fmt::Display;
use core::ops::Range;
use plotters::element::{Circle, PathElement, Polygon};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle, register_font as register};

/// DejaVu Sans with the characters of figures; see `font/LICENSE`.
pub(super) const FONT: &[u8] = include_bytes!("font/DejaVuSans-subset.ttf");

pub(super) const INK: RGBColor = RGBColor(0x26, 0x26, 0x26);
pub(super) const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
/// Lines that others are to be seen against.
pub(super) const FAINT: RGBColor = RGBColor(0xa0, 0xa0, 0xa0);
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// Okabe and Ito, *Color Universal Design*, 2008, in an order in which neighbours differ most; without yellow, which
/// does not show on white.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x00, 0x00),
];

pub(super) const TITLE: u32 = 34;
pub(super) const NAME: u32 = 26;
pub(super) const TICK: u32 = 22;
pub(super) const TITLE_HEIGHT: u32 = 56;
pub(super) const LEGEND_HEIGHT: u32 = 36;

pub(super) fn text(error: impl Display) -> String {
    error.to_string()
}

pub(super) fn register_font() -> Drawn {
    register("sans-serif", FontStyle::Normal, FONT).map_err(|_| "the font of the crate is damaged".to_owned())
}

pub(super) fn colour(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

/// `share` of the colour on white.
pub(super) fn tint(colour: RGBColor, share: f64) -> RGBColor {
    let mix = |c: u8| (255.0 - share.clamp(0.0, 1.0) * (255.0 - f64::from(c))).round() as u8;
    RGBColor(mix(colour.0), mix(colour.1), mix(colour.2))
}

pub(super) fn font(size: u32, colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&colour).pos(Pos::new(h, v))
}

pub(super) fn width_of(area: &Area<'_>, words: &str, size: u32) -> Result<i32, String> {
    let (width, _) = area.estimate_text_size(words, &font(size, INK, HPos::Left, VPos::Top)).map_err(text)?;
    Ok(width as i32)
}

/// Writes the title at the top and gives the area below it.
pub(super) fn heading<'a>(area: &Area<'a>, title: &str, size: u32) -> Result<Area<'a>, String> {
    if title.is_empty() {
        return Ok(area.clone());
    }
    let (head, rest) = area.split_vertically(TITLE_HEIGHT);
    let (width, height) = head.dim_in_pixel();
    // Long titles shrink rather than leave the figure.
    let room = f64::from(width) - 24.0;
    let size = (f64::from(size) * (room / f64::from(width_of(area, title, size)?.max(1))).min(1.0)) as u32;
    let middle = (width as i32 / 2, height as i32 / 2 + 6);
    head.draw_text(title, &font(size, INK, HPos::Center, VPos::Center), middle).map_err(text)?;
    Ok(rest)
}

/// How a series shows: by lines in dashes of its own, or by points of a form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Line,
    Points,
}

/// Dash and gap in pixels of the `index`-th line; the first is not broken.
pub(super) fn dash(index: usize) -> Option<(i32, i32)> {
    [None, Some((16, 8)), Some((4, 6)), Some((28, 6)), Some((9, 5))][index % 5]
}

/// The outline of the `index`-th form of points around (x, y); `None` is a circle.
fn outline(index: usize, (x, y): (i32, i32), r: i32) -> Option<Vec<(i32, i32)>> {
    match index % 5 {
        0 => None,
        1 => Some(vec![(x - r, y + r), (x, y - r - 1), (x + r, y + r)]),
        2 => Some(vec![(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]),
        3 => Some(vec![(x, y - r - 2), (x + r + 2, y), (x, y + r + 2), (x - r - 2, y)]),
        _ => Some(vec![(x - r, y - r), (x, y + r + 1), (x + r, y - r)]),
    }
}

/// A point of the `index`-th form at a pixel of the area.
pub(super) fn point(
    area: &Area<'_>,
    index: usize,
    at: (i32, i32),
    r: i32,
    fill: ShapeStyle,
    rim: Option<RGBColor>,
) -> Drawn {
    match outline(index, at, r) {
        None => {
            area.draw(&Circle::new(at, r, fill)).map_err(text)?;
            if let Some(rim) = rim {
                area.draw(&Circle::new(at, r, rim.stroke_width(1))).map_err(text)?;
            }
        }
        Some(mut corners) => {
            area.draw(&Polygon::new(corners.clone(), fill)).map_err(text)?;
            if let Some(rim) = rim {
                corners.push(corners[0]);
                area.draw(&PathElement::new(corners, rim.stroke_width(1))).map_err(text)?;
            }
        }
    }
    Ok(())
}

/// The line without points that are a few pixels from the one before: between them, whole pixels make stairs of a slope.
/// Where the line jumps, both ends of the jump stay.
pub(super) fn thinned(points: &[(i32, i32)]) -> Vec<(i32, i32)> {
    const NEAR: f64 = 7.0;
    let distance = |a: (i32, i32), b: (i32, i32)| f64::from(a.0 - b.0).hypot(f64::from(a.1 - b.1));
    let mut kept: Vec<(i32, i32)> = Vec::new();
    let mut before = None;
    for (index, point) in points.iter().copied().enumerate() {
        let near = kept.last().is_some_and(|last| distance(*last, point) < NEAR);
        if near && index + 1 < points.len() {
            before = Some(point);
            continue;
        }
        kept.extend(before.take().filter(|before| distance(*before, point) >= NEAR));
        kept.push(point);
    }
    kept
}

/// A line through pixels of the area, in dashes if asked.
pub(super) fn line(area: &Area<'_>, points: &[(i32, i32)], dash: Option<(i32, i32)>, style: ShapeStyle) -> Drawn {
    let Some((on, off)) = dash else {
        return area.draw(&PathElement::new(points.to_vec(), style)).map_err(text);
    };
    let (mut drawn, mut left) = (true, f64::from(on));
    let mut stroke = vec![points[0]];
    for ends in points.windows(2) {
        let [a, b] = [ends[0], ends[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        let mut at = 0.0;
        while length - at > left {
            at += left;
            let part = at / length;
            let turn = ((a.0 + part * (b.0 - a.0)).round() as i32, (a.1 + part * (b.1 - a.1)).round() as i32);
            stroke.push(turn);
            if drawn {
                area.draw(&PathElement::new(core::mem::take(&mut stroke), style)).map_err(text)?;
            }
            stroke = vec![turn];
            drawn = !drawn;
            left = f64::from(if drawn { on } else { off });
        }
        left -= length - at;
        stroke.push(ends[1]);
    }
    if drawn {
        area.draw(&PathElement::new(stroke, style)).map_err(text)?;
    }
    Ok(())
}

/// An entry of a legend.
pub(super) struct Entry<'n> {
    pub(super) name: &'n str,
    pub(super) mark: Mark,
    pub(super) colour: RGBColor,
    /// The number of the dashes or of the form.
    pub(super) form: usize,
}

/// Writes the entries in as many rows as they need and gives the area below them.
pub(super) fn legend<'a>(area: &Area<'a>, entries: &[Entry<'_>]) -> Result<Area<'a>, String> {
    const SAMPLE: i32 = 46;
    const GAP: i32 = 34;
    let width = area.dim_in_pixel().0 as i32;
    let mut rows: Vec<(i32, Vec<(&Entry<'_>, i32)>)> = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.name.is_empty()) {
        let needed = SAMPLE + width_of(area, entry.name, TICK)? + GAP;
        match rows.last_mut() {
            Some((used, row)) if *used + needed <= width - 40 => {
                *used += needed;
                row.push((entry, needed));
            }
            _ => rows.push((needed, vec![(entry, needed)])),
        }
    }
    let (strip, rest) = area.split_vertically(LEGEND_HEIGHT * rows.len() as u32);
    for (number, (used, row)) in rows.into_iter().enumerate() {
        let y = (LEGEND_HEIGHT * number as u32 + LEGEND_HEIGHT / 2) as i32;
        let mut x = (width - used + GAP) / 2;
        for (entry, needed) in row {
            match entry.mark {
                Mark::Line => {
                    line(&strip, &[(x, y), (x + 36, y)], dash(entry.form), entry.colour.stroke_width(4))?;
                }
                Mark::Points => point(&strip, entry.form, (x + 22, y), 7, entry.colour.filled(), Some(INK))?,
            }
            strip.draw_text(entry.name, &font(TICK, INK, HPos::Left, VPos::Center), (x + SAMPLE, y)).map_err(text)?;
            x += needed;
        }
    }
    Ok(rest)
}

/// The numbers' range with some air around; one number alone stands in the middle.
pub(super) fn range<'n>(numbers: impl Iterator<Item = &'n f64>, air: f64) -> Option<Range<f64>> {
    let (low, high) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
    if low > high {
        return None;
    }
    let pad = if high > low { air * (high - low) } else { 0.5 * low.abs().max(1.0) };
    Some(low - pad..high + pad)
}

/// A number beside an axis: no more digits than it needs, and a minus that is as wide as a plus.
pub(super) fn tick(x: f64) -> String {
    // What is left of 0 after steps of 0.2 is 0.
    let x = if x.abs() < 1e-12 { 0.0 } else { x };
    let words = if x != 0.0 && (x.abs() >= 1e6 || x.abs() < 1e-3) {
        format!("{x:.1e}")
    } else {
        let words = format!("{x:.4}");
        words.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if words == "-0" { "0".to_owned() } else { words.replace('-', "−") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beside_axes_are_short() {
        let ticks = [0.0, -1e-17, 0.30000000000000004, -2.5, 1500.0, 2e7, 0.00025].map(tick);
        assert_eq!(ticks, ["0", "0", "0.3", "−2.5", "1500", "2.0e7", "2.5e−4"]);
    }

    #[test]
    fn a_thinned_line_keeps_its_ends_and_its_jumps() {
        let step: Vec<(i32, i32)> = (0..50).map(|x| (x, if x < 25 { 0 } else { 100 })).collect();
        let line = thinned(&step);
        assert_eq!((line[0], line[line.len() - 1]), ((0, 0), (49, 100)));
        assert!(line.contains(&(24, 0)) && line.contains(&(25, 100)) && line.len() < 20, "{line:?}");
        assert_eq!(thinned(&[(1, 2), (2, 2)]), [(1, 2), (2, 2)]);
        assert!(thinned(&[]).is_empty());
    }

    #[test]
    fn one_number_alone_has_a_range_and_none_has_not() {
        assert_eq!(range([3.0].iter(), 0.1), Some(1.5..4.5));
        assert_eq!(range([0.0, 10.0].iter(), 0.1), Some(-1.0..11.0));
        assert_eq!(range([].iter(), 0.1), None);
    }

    /// Relative luminance of WCAG 2.
    fn luminance(colour: RGBColor) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(colour.0) + 0.7152 * linear(colour.1) + 0.0722 * linear(colour.2)
    }

    #[test]
    fn words_are_readable_and_lines_show_on_white() {
        assert!(1.05 / (luminance(INK) + 0.05) > 7.0);
        for index in 0..PALETTE.len() {
            assert!(1.05 / (luminance(colour(index)) + 0.05) > 2.0, "colour {index}");
        }
    }
}
