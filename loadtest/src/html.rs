//! A report as one HTML file, its plots in it as SVG.

use std::fmt::Write;

use plotters::prelude::*;

use crate::report::{Point, Report};

const SIZE: (u32, u32) = (860, 320);

/// The whole file.
///
/// # Errors
/// A plot that cannot be drawn.
pub fn page(report: &Report) -> anyhow::Result<String> {
    let mut page = String::new();
    let title = escaped(&report.name);
    writeln!(
        page,
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{font-family:sans-serif;max-width:60em;margin:2em auto}}pre{{background:#f4f4f4;padding:1em}}</style>\n\
         <h1>{title}</h1>\n<p>{}</p>\n<p>{}</p>\n<pre>{}</pre>",
        escaped(&report.plan.about),
        escaped(&report.time),
        escaped(&report.text())
    )?;
    let mut plots = vec![
        ("Latency: how much of all receipts came within", latency(report)?),
        ("Receipts a second", rate(report, |point| point.receipts as f64)?),
    ];
    if report.server.is_some() {
        plots.push(("Processor time of the servers, in cores", rate(report, |point| point.server_cpu)?));
        plots.push(("Memory of the servers, MiB", line(report, |point| point.server_resident as f64 / 1_048_576.0)?));
    }
    for (heading, plot) in plots {
        writeln!(page, "<h2>{heading}</h2>\n{plot}")?;
    }
    writeln!(page, "<h2>Plan</h2>\n<pre>{}</pre>\n</html>", escaped(&toml::to_string(&report.plan)?))?;
    Ok(page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The share of receipts over milliseconds, one line for each group.
fn latency(report: &Report) -> anyhow::Result<String> {
    let most = report.groups.iter().flat_map(|group| &group.curve).map(|(_, time)| *time).fold(1.0, f64::max);
    let lines = report.groups.iter().map(|group| {
        let points = group.curve.iter().map(|(quantile, time)| (time.max(0.01), *quantile)).collect();
        (group.name.clone(), points)
    });
    draw(most, 1.0, "ms", lines.collect())
}

/// What grows, as its growth in a second.
fn rate(report: &Report, value: fn(&Point) -> f64) -> anyhow::Result<String> {
    let growth = report.timeline.windows(2).filter_map(|pair| {
        let [then, now] = pair else { return None };
        Some((now.at, (value(now) - value(then)) / (now.at - then.at).max(1e-3)))
    });
    plain(growth.collect())
}

fn line(report: &Report, value: fn(&Point) -> f64) -> anyhow::Result<String> {
    plain(report.timeline.iter().map(|point| (point.at, value(point))).collect())
}

fn plain(points: Vec<(f64, f64)>) -> anyhow::Result<String> {
    let most = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).fold(1e-3, f64::max);
    let (x, y) = (most(|point| point.0), most(|point| point.1));
    draw(x, y * 1.05, "s", vec![(String::new(), points)])
}

fn draw(x: f64, y: f64, unit: &str, lines: Vec<(String, Vec<(f64, f64)>)>) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let fault = |error: &dyn std::fmt::Display| anyhow::anyhow!("a plot cannot be drawn: {error}");
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(35)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..x, 0.0..y)
            .map_err(|error| fault(&error))?;
        chart.configure_mesh().x_desc(unit).light_line_style(WHITE).draw().map_err(|error| fault(&error))?;
        let is_named = lines.iter().any(|(name, _)| !name.is_empty());
        for (number, (name, points)) in lines.into_iter().enumerate() {
            let colour = Palette99::pick(number).to_rgba();
            let series =
                chart.draw_series(LineSeries::new(points, colour.stroke_width(2))).map_err(|error| fault(&error))?;
            if !name.is_empty() {
                series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 15, y)], colour));
            }
        }
        if is_named {
            chart.configure_series_labels().border_style(BLACK).draw().map_err(|error| fault(&error))?;
        }
        area.present().map_err(|error| fault(&error))?;
    }
    Ok(svg)
}
