//! Whether a markup is well formed, as XML would have it: what is opened is closed, nothing stands bare.

/// Checks a page, or a part of one.
///
/// # Errors
/// What is wrong, and where.
pub(in super::super) fn check(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = vec![];
    let mut rest = text.strip_prefix("<!DOCTYPE html>\n").unwrap_or(text);
    while let Some(at) = rest.find('<') {
        characters(&rest[..at])?;
        let end = end_of_tag(&rest[at..]).ok_or_else(|| format!("no end of the tag {:.60}", &rest[at..]))?;
        let tag = &rest[at + 1..at + end];
        rest = &rest[at + end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop();
            if opened != Some(name) {
                return Err(format!("</{name}> closes {opened:?} before {:.60}", rest));
            }
        } else {
            let (name, is_closed) = opening(tag)?;
            if !is_closed {
                open.push(name);
            }
            if name == "style" {
                // Of style sheets, nothing is interpreted but their end.
                rest = &rest[rest.find("</style>").ok_or("no end of the style sheet")?..];
            }
        }
    }
    characters(rest)?;
    if open.is_empty() { Ok(()) } else { Err(format!("never closed: {open:?}")) }
}

/// Where a tag ends; what stands in quotation marks does not end it.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            '<' if at > 0 && !is_quoted => return None,
            '>' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The name of an opening tag, and whether it closes itself.
fn opening(tag: &str) -> Result<(&str, bool), String> {
    let (tag, is_closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
    let name = tag.split([' ', '\n']).next().unwrap_or_default();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(format!("no name of a tag: {tag:.60}"));
    }
    let mut rest = tag[name.len()..].trim_start();
    let mut seen: Vec<&str> = vec![];
    while !rest.is_empty() {
        let (key, value) =
            rest.split_once("=\"").ok_or_else(|| format!("no attribute: {rest:.60} in {tag:.60}"))?;
        if seen.contains(&key) || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(format!("twice or no name of an attribute: {key:?} in {tag:.60}"));
        }
        if key.starts_with("on") || matches!(key, "src" | "srcset" | "action") {
            return Err(format!("an attribute that acts: {key:?} in {tag:.60}"));
        }
        let (value, after) =
            value.split_once('"').ok_or_else(|| format!("no end of {key:?} in {tag:.60}"))?;
        if key == "href" && !value.starts_with('#') {
            return Err(format!("a link that leaves the page: {value}"));
        }
        characters(value)?;
        seen.push(key);
        rest = after.trim_start();
    }
    if matches!(name, "script" | "link" | "img" | "iframe" | "object" | "base") {
        return Err(format!("a page that stands by itself has no <{name}>"));
    }
    Ok((name, is_closed))
}

/// Checks what stands between tags or in a value.
fn characters(text: &str) -> Result<(), String> {
    if let Some(c) = text.chars().find(|c| *c == '>' || c.is_control() && !"\n\t".contains(*c)) {
        return Err(format!("a bare {c:?} in {text:.60}"));
    }
    for (at, _) in text.match_indices('&') {
        let name = text[at + 1..].split(';').next().unwrap_or_default();
        if !matches!(name, "amp" | "lt" | "gt" | "quot" | "#39") {
            return Err(format!("a bare & in {:.60}", &text[at..]));
        }
    }
    Ok(())
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let wrong = [
        "<p>",
        "</p>",
        "<p></b></p>",
        "<p",
        "a > b",
        "a & b",
        "&copy;",
        "<p a=b></p>",
        "<p a=\"1\" a=\"2\"></p>",
        "<p a></p>",
        "<p onload=\"x\"></p>",
        "<a href=\"https://a.example\"></a>",
        "<script></script>",
        "<img src=\"x\"/>",
        "\u{1b}",
        "< p></p>",
        "<p <b></b></p>",
        "<p a=\"&\"></p>",
    ];
    for text in wrong {
        assert!(check(text).is_err(), "{text}");
    }
    let right = [
        "",
        "a &amp; b",
        "<p a=\"1\" b=\"&lt;\">x<br/></p>",
        "<a href=\"#x\">y</a>",
        "<style>a > b { c: \"d\" }</style>",
        "<!DOCTYPE html>\n<html></html>",
    ];
    for text in right {
        assert_eq!(check(text), Ok(()), "{text}");
    }
}
