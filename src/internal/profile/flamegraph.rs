//! Flamegraphs as SVG, with search and zoom: the root on top, a colour for each crate, remarks below.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use inferno::flamegraph::{
    Direction, Options,
    color::{Color, PaletteMap},
    from_lines,
};

use super::Profile;

/// A frame that is narrower than this share of the picture, in percent, is not drawn: nobody could read or hit it, and
/// the picture would be megabytes.
const NARROWEST: f64 = 0.02;

pub(super) fn svg(profile: &Profile, title: &str) -> Result<Vec<u8>, String> {
    let folded = folded(profile);
    if folded.is_empty() {
        return Err("there is nothing to draw: no sample was taken".to_owned());
    }
    let mut colors = PaletteMap::default();
    for name in profile.samples.iter().flat_map(|sample| sample.frames().map(|frame| plain(&frame.name))) {
        colors.insert(&name, color(crate_of(&name)));
    }
    let mut options = Options::default();
    title.clone_into(&mut options.title);
    profile.unit().clone_into(&mut options.count_name);
    options.min_width = NARROWEST;
    options.direction = Direction::Inverted;
    options.palette_map = Some(&mut colors);
    let mut svg = Vec::new();
    from_lines(&mut options, folded.iter().map(String::as_str), &mut svg).map_err(|error| error.to_string())?;
    let svg = String::from_utf8(svg).map_err(|error| error.to_string())?;
    Ok(with_remarks(&svg, &profile.remarks).into_bytes())
}

/// A line for each stack, from the outermost frame inwards; the labels' texts are the outermost of all.
fn folded(profile: &Profile) -> Vec<String> {
    let mut weights = BTreeMap::<String, i64>::new();
    for sample in &profile.samples {
        let labels = sample.labels.iter().map(|(_, text)| text.as_str());
        let frames = sample.frames().rev().map(|frame| &*frame.name);
        let names: Vec<String> = labels.chain(frames).map(plain).collect();
        *weights.entry(names.join(";")).or_default() += profile.weight(sample);
    }
    weights.into_iter().filter(|(_, weight)| *weight > 0).map(|(stack, weight)| format!("{stack} {weight}")).collect()
}

/// Without what separates names in a line.
fn plain(name: &str) -> String {
    name.replace([';', '\n'], ":")
}

/// The crate that a function belongs to; empty for C, and where there is no name.
fn crate_of(name: &str) -> &str {
    let name = name.trim_start_matches(['<', '&', '*', '(', '[']);
    let name = name.strip_prefix("dyn ").or_else(|| name.strip_prefix("mut ")).unwrap_or(name);
    name.split_once("::").map_or("", |(first, _)| first)
}

/// The same for each function of a crate; ours is the only strong one, the standard library and C are grey.
fn color(name: &str) -> Color {
    match name {
        "" => Color { r: 214, g: 214, b: 210 },
        "alloc" | "core" | "std" => Color { r: 196, g: 202, b: 208 },
        env!("CARGO_PKG_NAME") => Color { r: 255, g: 150, b: 60 },
        _ => {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            let [one, two, three, ..] = hasher.finish().to_le_bytes();
            // Light enough for black letters.
            let light = |byte: u8| 150 + byte % 90;
            Color { r: light(one), g: light(two), b: light(three) }
        }
    }
}

/// Adds the remarks below the picture as HTML, which breaks lines at any width.
fn with_remarks(svg: &str, remarks: &[String]) -> String {
    // A line for each 45 letters, which is what a phone shows.
    let height: usize = remarks.iter().map(|remark| 8 + 18 * remark.len().div_ceil(45)).sum();
    let old = svg.split_once("height=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(height, _)| height);
    let (Some(old), true) = (old, height > 0) else { return svg.to_owned() };
    let Ok(top) = old.parse::<usize>() else { return svg.to_owned() };
    let new = top + height;
    let svg = svg.replacen(&format!("height=\"{old}\""), &format!("height=\"{new}\""), 1).replacen(
        &format!(" {old}\" xmlns"),
        &format!(" {new}\" xmlns"),
        1,
    );
    let paragraph = |remark: &String| format!("<p style=\"margin: 4px 10px\">{}</p>", escaped(remark));
    let paragraphs: String = remarks.iter().map(paragraph).collect::<Vec<_>>().concat();
    let html = format!(
        "<foreignObject id=\"remarks\" x=\"0\" y=\"{top}\" width=\"100%\" height=\"{height}\"><div \
         xmlns=\"http://www.w3.org/1999/xhtml\" style=\"font: 13px/18px sans-serif\">{paragraphs}</div></foreignObject></svg>"
    );
    match svg.rsplit_once("</svg>") {
        Some((drawn, end)) => format!("{drawn}{html}{end}"),
        None => svg,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{color, crate_of, with_remarks};

    #[test]
    fn function_has_the_color_of_its_crate() {
        for (name, expected) in [
            ("hyper::server::serve", "hyper"),
            ("<&mut hyper::Body as core::fmt::Debug>::fmt", "hyper"),
            ("<dyn shop::Till as core::any::Any>::type_id", "shop"),
            ("memset", ""),
            ("0x55d0a119e840", ""),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
        assert_eq!(color("hyper"), color("hyper"));
        assert_ne!(color("hyper"), color("tokio"));
    }

    #[test]
    fn remarks_stand_below_the_picture_as_html() {
        let svg = "<svg width=\"1200\" height=\"90\" viewBox=\"0 0 1200 90\" xmlns=\"x\"><rect height=\"90\"/></svg>\n";
        let drawn = with_remarks(svg, &["a < b & c".to_owned()]);
        assert!(drawn.contains("height=\"116\" viewBox=\"0 0 1200 116\" xmlns"), "{drawn}");
        assert!(
            drawn.contains("y=\"90\"") && drawn.contains(">a &lt; b &amp; c</p></div></foreignObject></svg>"),
            "{drawn}"
        );
        assert_eq!(with_remarks(svg, &[]), svg);
    }
}
