//! Bars, as SVG.

use std::fmt::Write as _;

use super::tables::{Better, Table, cell, contenders, short, sizes};
use crate::figures::Results;

const WIDTH: f64 = 720.0;
const NAMES: f64 = 120.0;
const VALUES: f64 = 90.0;
const ROW: f64 = 24.0;
const TOP: f64 = 44.0;

/// Draws the chart of a table, one for each size. Returns file names and pictures.
pub(crate) fn draw(table: &Table, results: &Results) -> Vec<(String, String)> {
    let Some(column) = table.chart.map(|place| &table.columns[place]) else { return Vec::new() };
    let mut charts = Vec::new();
    for size in sizes(table, results) {
        let bars: Vec<_> = contenders(table.group)
            .into_iter()
            .filter_map(|name| Some((name, cell(table, column, size, name, results)?)))
            .collect();
        if bars.len() < 2 {
            continue;
        }
        // One that is far beyond all others would make the others invisible: its bar is cut.
        let mut medians: Vec<f64> = bars.iter().map(|(_, spread)| spread.median).collect();
        medians.sort_by(f64::total_cmp);
        let longest = medians[medians.len() - 1].min(4.0 * medians[(medians.len() - 1) * 2 / 3]);
        let scale = (WIDTH - NAMES - VALUES) / longest.max(f64::MIN_POSITIVE);
        let height = TOP + ROW * bars.len() as f64 + 12.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
             font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"8\" y=\"20\" font-weight=\"bold\">{}: {}</text>\n\
             <text x=\"8\" y=\"36\" fill=\"#666\">{}</text>\n",
            table.title,
            column.head,
            if column.better == Better::More { "longer is better" } else { "shorter is better" },
        );
        for (place, (name, spread)) in bars.iter().enumerate() {
            let y = TOP + ROW * place as f64;
            let end = |value: f64| NAMES + (value.min(longest) * scale);
            let colour = if name.starts_with("mnem") { "#1f77b4" } else { "#b0b0b0" };
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\n\
                 <rect x=\"{NAMES}\" y=\"{}\" width=\"{:.1}\" height=\"16\" fill=\"{colour}\"/>\n\
                 <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"#333\"/>\n\
                 <text x=\"{:.1}\" y=\"{}\">{}{}</text>\n",
                NAMES - 8.0,
                y + 13.0,
                y,
                end(spread.median) - NAMES,
                end(spread.min),
                end(spread.max),
                y + 8.0,
                y + 8.0,
                end(spread.max.max(spread.median)) + 6.0,
                y + 13.0,
                short(spread.median),
                if spread.median > longest { " (cut)" } else { "" },
            );
        }
        svg.push_str("</svg>\n");
        let name: String = table.title.to_lowercase().replace([' ', ','], "-");
        charts.push((format!("{}-{name}-{size}.svg", table.group), svg));
    }
    charts
}
