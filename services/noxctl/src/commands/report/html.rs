//! The page: one file that needs nothing else. Whatever users named is escaped.

use std::{fmt::Write, time::Duration};

use super::figures::{Figures, Part};

/// Of the picture, in pixels.
const WIDTH: usize = 960;
const HEIGHT: usize = 160;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2em auto;max-width:62em;padding:0 1em}\
table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #8884}\
td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto}\
.succeeded{fill:#2a7}.failed{fill:#c33}.canceled{fill:#999}.submitted{fill:none;stroke:#36c;stroke-width:2}";

/// The whole report.
pub fn page(figures: &Figures) -> String {
    let Figures { from, to, .. } = figures;
    let all = figures.all();
    let seconds = to.since(*from).as_secs_f64();
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Nox, {from} to {to}</title>\
         <style>{STYLE}</style><h1>Nox, {from} to {to}</h1>\
         <p>{} jobs submitted, {} succeeded, {} failed, {} canceled; {:.2} ended a second.</p>",
        all.submitted,
        all.succeeded,
        all.failed,
        all.canceled,
        ended(&all) as f64 / seconds
    );
    page +=
        "<h2>Throughput</h2><p>Bars are jobs that ended, the line those that were submitted.</p>";
    page += &picture(&figures.parts);
    let waits = figures.waits.iter().map(|(code, of)| {
        let mean = of.all / u32::try_from(of.count).unwrap_or(u32::MAX).max(1);
        vec![(*code).to_owned(), of.count.to_string(), span(of.all), span(mean), span(of.longest)]
    });
    page += &table("Waits by reason", &["reason", "waits", "all", "mean", "longest"], waits);
    let failures = figures
        .failures
        .iter()
        .map(|((module, code), count)| vec![module.to_string(), code.clone(), count.to_string()]);
    page += &table("Failures", &["module", "error", "jobs"], failures);
    let users = figures.users.iter().map(|((tenant, user), of)| {
        let ends = &of.ends;
        let cells = [ends.submitted, ends.succeeded, ends.failed, ends.canceled, of.violations];
        let cells = cells.iter().map(u64::to_string);
        let core = [of.core_seconds.to_string(), of.overrun.to_string()];
        [format!("{tenant}/{user}")].into_iter().chain(cells).chain(core).collect()
    });
    let head = [
        "user",
        "submitted",
        "succeeded",
        "failed",
        "canceled",
        "violations",
        "core s",
        "beyond reserved",
    ];
    page += &table("Who used what", &head, users);
    page
}

fn ended(part: &Part) -> u64 {
    part.succeeded + part.failed + part.canceled
}

/// Bars of what ended, and a line of what came.
fn picture(parts: &[Part]) -> String {
    let most = parts.iter().map(|part| ended(part).max(part.submitted)).max().unwrap_or(0).max(1);
    let width = WIDTH / parts.len().max(1);
    let height = |count: u64| count as f64 * HEIGHT as f64 / most as f64;
    let mut picture = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    let mut line = String::new();
    for (at, part) in parts.iter().enumerate() {
        let x = at * width;
        let mut below = HEIGHT as f64;
        for (class, count) in
            [("succeeded", part.succeeded), ("failed", part.failed), ("canceled", part.canceled)]
        {
            below -= height(count);
            // Writing to a string does not fail.
            let _ = write!(
                picture,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{below:.1}\" width=\"{}\" height=\"{:.1}\"/>",
                width.saturating_sub(2),
                height(count)
            );
        }
        let y = HEIGHT as f64 - height(part.submitted);
        let _ = write!(line, "{} {y:.1} ", x + width / 2);
    }
    let _ = write!(picture, "<polyline class=\"submitted\" points=\"{}\"/></svg>", line.trim());
    picture
}

fn table(title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let row = |tag: &str, cells: Vec<String>| {
        let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)));
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let head = row("th", head.iter().map(|name| (*name).to_owned()).collect());
    let rows: String = rows.map(|cells| row("td", cells)).collect();
    if rows.is_empty() {
        return format!("<h2>{title}</h2><p>None.</p>");
    }
    format!("<h2>{title}</h2><table>{head}{rows}</table>")
}

fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    if seconds < 120.0 { format!("{seconds:.1} s") } else { format!("{:.1} min", seconds / 60.0) }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_named_is_no_markup() {
        let cells = vec!["<script>alert(\"1\")</script> & co".to_owned()];
        let table = table("Failures", &["error"], [cells].into_iter());
        assert!(table.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; co"));
        assert!(!table.contains("<script>"));
    }

    #[test]
    fn the_highest_bar_fills_the_picture() {
        let parts = [Part { succeeded: 4, ..Part::default() }, Part::default()];
        let picture = picture(&parts);
        assert!(picture.contains("y=\"0.0\" width=\"478\" height=\"160.0\""), "{picture}");
    }
}
