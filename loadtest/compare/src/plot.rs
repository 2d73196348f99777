//! Results as a picture: for each workload a bar for each relay, as SVG that needs nothing to be shown.

use std::fmt::Write;

use loadtest::figures::number;

use crate::drive::Figures;
use crate::peers::Name;
use crate::results::Results;
use crate::table::shown;
use crate::workload::Workload;

const WIDTH: usize = 860;
const PANEL: usize = WIDTH / 2;
const HEAD: usize = 46;
const BAR: usize = 18;
/// Where bars begin, and how long the longest is.
const LEFT: usize = 100;
const LONGEST: usize = 250;

/// The whole file.
pub fn svg(results: &Results) -> String {
    let panels = shown(results);
    let bars = panels.iter().map(|(_, medians)| medians.len()).max().unwrap_or_default();
    let height = HEAD + bars * BAR + 14;
    let total = 30 + panels.len().div_ceil(2) * height;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{total}\" viewBox=\"0 0 {WIDTH} {total}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"18\">Processor time of the relay for a GB or a million messages received (less is better). {}, commit {}</text>\n",
        escaped(&results.time),
        escaped(&results.commit)
    );
    for (number, (workload, medians)) in panels.iter().enumerate() {
        panel(&mut text, (number % 2 * PANEL, 30 + number / 2 * height), workload, medians);
    }
    text.push_str("</svg>\n");
    text
}

fn panel(text: &mut String, (x, y): (usize, usize), workload: &Workload, medians: &[(Name, Figures)]) {
    _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{}\" font-weight=\"bold\">{}</text>\n<text x=\"{}\" y=\"{}\" fill=\"#555\">{}: {}</text>",
        x + 10,
        y + 18,
        workload.what,
        x + 10,
        y + 34,
        workload.how,
        workload.key.unit()
    );
    let most = medians.iter().map(|(_, figures)| workload.key.of(figures)).fold(f64::MIN_POSITIVE, f64::max);
    for (place, (peer, figures)) in medians.iter().enumerate() {
        let (cost, top) = (workload.key.of(figures), y + HEAD + place * BAR);
        let length = cost / most * LONGEST as f64;
        let (colour, weight) = if *peer == Name::Distributary { ("#1f6fb4", "bold") } else { ("#b8c4ce", "normal") };
        _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>\
             <rect x=\"{}\" y=\"{top}\" width=\"{length:.1}\" height=\"{}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            x + LEFT - 6,
            top + 11,
            peer.label(),
            x + LEFT,
            BAR - 5,
            (x + LEFT) as f64 + length + 5.0,
            top + 11,
            number(cost)
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
