//! PDF: files made here, and files that are damaged.

use lopdf::content::Operation;
use lopdf::{Dictionary, Object, Stream, StringFormat, dictionary};

use super::*;

/// A file of pages with these contents and a font `F1` of one byte, and `F2` of two bytes, whose codes are those of Unicode.
fn file(pages: &[&[Operation]]) -> Vec<u8> {
    let mut document = Document::with_version("1.7");
    let parent = document.new_object_id();
    let to_unicode = "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapName /Plain def\n\
        1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n1 beginbfrange\n<0000> <FFFF> <0000>\nendbfrange\nendcmap\n\
        CMapName currentdict /CMap defineresource pop\nend\nend";
    let to_unicode = document.add_object(Stream::new(Dictionary::new(), to_unicode.as_bytes().to_vec()));
    let letters = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "CIDFontType2", "DW" => 500,
        "W" => vec![0x4E00.into(), 0x9FFF.into(), 1_000.into(), 0x20.into(), vec![250.into()].into()],
    });
    let one = document.add_object(
        dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding" },
    );
    let two = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type0", "Encoding" => "Identity-H", "DescendantFonts" => vec![letters.into()],
        "ToUnicode" => to_unicode,
    });
    let kids: Vec<Object> = pages
        .iter()
        .map(|operations| {
            let content = Content { operations: operations.to_vec() }.encode().unwrap();
            let content = document.add_object(Stream::new(Dictionary::new(), content));
            let page = dictionary! {
                "Type" => "Page", "Parent" => parent, "Contents" => content,
                "Resources" => dictionary! { "Font" => dictionary! { "F1" => one, "F2" => two } },
            };
            document.add_object(page).into()
        })
        .collect();
    let count = i64::try_from(kids.len()).unwrap();
    let box_ = vec![0.into(), 0.into(), 600.into(), 800.into()];
    document.set_object(
        parent,
        dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count, "MediaBox" => box_ },
    );
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => parent });
    document.trailer.set("Root", catalog);
    document.compress();
    let mut bytes = vec![];
    document.save_to(&mut bytes).unwrap();
    bytes
}

fn font(name: &str, size: i64) -> Operation {
    Operation::new("Tf", vec![name.into(), size.into()])
}

fn at(x: i64, y: i64) -> Operation {
    Operation::new("Tm", vec![1.into(), 0.into(), 0.into(), 1.into(), x.into(), y.into()])
}

fn tj(text: &str) -> Operation {
    Operation::new("Tj", vec![Object::string_literal(text)])
}

/// Shows a text with the font of two bytes, in the order in which it is given.
fn wide(text: &str) -> Operation {
    let bytes = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    Operation::new("Tj", vec![Object::String(bytes, StringFormat::Hexadecimal)])
}

fn op(operator: &str) -> Operation {
    Operation::new(operator, vec![])
}

/// The blocks of a file, headings with their level before them.
fn of(pages: &[&[Operation]]) -> Vec<String> {
    let said = |block| match block {
        Block::Heading { level, text } => format!("{level} {text}"),
        Block::Text(text) => text,
        Block::End(_) => String::new(),
    };
    blocks(&file(pages)).unwrap().into_iter().map(said).collect()
}

#[test]
fn larger_lines_are_headings_and_near_ones_a_paragraph() {
    let first = [
        op("BT"),
        font("F1", 24),
        at(50, 700),
        tj("Guide"),
        font("F1", 18),
        at(50, 650),
        tj("How do I"),
        at(50, 628),
        tj("order?"),
        font("F1", 12),
        at(50, 600),
        tj("Write to us, or"),
        at(50, 586),
        tj("call. We ans-"),
        at(50, 572),
        tj("wer."),
        at(50, 540),
        tj("A second paragraph."),
        at(50, 526),
        tj("- an item"),
        at(50, 100),
        tj("It goes on"),
        op("ET"),
    ];
    let second = [op("BT"), font("F1", 12), at(50, 700), tj("on the next page."), op("ET")];
    let expected = [
        "1 Guide",
        "2 How do I order?",
        "Write to us, or call. We answer.",
        "A second paragraph.",
        "- an item",
        "It goes on on the next page.",
    ];
    assert_eq!(of(&[&first, &second]), expected);
}

#[test]
fn words_are_parted_by_the_room_between_them() {
    let apart = Operation::new(
        "TJ",
        vec![
            vec![
                Object::string_literal("one"),
                (-300).into(),
                Object::string_literal("two"),
                20.into(),
                Object::string_literal("gether"),
            ]
            .into(),
        ],
    );
    let next = |x: i64| Operation::new("Td", vec![x.into(), 0.into()]);
    let line = [
        op("BT"),
        font("F1", 10),
        at(50, 700),
        apart,
        at(200, 700),
        tj("four"),
        next(20),
        tj("teen"),
        next(30),
        tj("five"),
        op("ET"),
    ];
    assert_eq!(of(&[&line]), ["one twogether fourteen five"]);
}

#[test]
fn lines_are_where_the_page_puts_them() {
    let moved = Operation::new("cm", vec![1.into(), 0.into(), 0.into(), 1.into(), 0.into(), (-200).into()]);
    let page = [
        op("q"),
        op("BT"),
        font("F1", 10),
        at(50, 700),
        tj("one"),
        op("ET"),
        op("Q"),
        op("q"),
        moved,
        op("BT"),
        font("F1", 10),
        at(50, 700),
        tj("two."),
        op("ET"),
        op("Q"),
        op("BT"),
        font("F1", 10),
        Operation::new("TL", vec![12.into()]),
        at(50, 400),
        tj("three"),
        op("T*"),
        tj("four"),
        Operation::new("'", vec![Object::string_literal("five")]),
        op("ET"),
    ];
    assert_eq!(of(&[&page]), ["one", "two.", "three four five"]);
}

#[test]
fn what_is_written_from_right_to_left_is_read_so() {
    let backwards = |text: &str| text.chars().rev().collect::<String>();
    let page = [
        op("BT"),
        font("F2", 12),
        at(50, 700),
        wide(&backwards("كم السعر؟")),
        at(50, 650),
        wide(&format!("{} 10 {}", backwards("دراهم."), backwards("السعر"))),
        // The shapes that letters have within words, and two letters in one shape.
        at(50, 600),
        wide("\u{FEAD}\u{FE8E}\u{FECC}\u{FEB3}\u{FEF7}\u{FE8D}"),
        at(50, 550),
        wide("我们每天"),
        at(50, 536),
        wide("送水。"),
        op("ET"),
    ];
    assert_eq!(of(&[&page]), ["كم السعر؟", "السعر 10 دراهم.", "الأسعار", "我们每天送水。"]);
}

#[test]
fn a_few_characters_without_a_name_are_left_out() {
    let text = format!("\u{FFFD} {}", "an item ".repeat(20));
    let items = format!("an item {}", "an item ".repeat(19));
    assert_eq!(of(&[&[op("BT"), font("F2", 12), at(1, 1), wide(&text), op("ET")]]), [items.trim()]);
}

#[test]
fn what_cannot_be_read_is_refused_and_says_why() {
    let empty = file(&[&[op("BT"), op("ET")]]);
    let nameless = file(&[&[op("BT"), font("F2", 12), at(1, 1), wide("\u{FFFD}\u{FFFD}a"), op("ET")]]);
    let whole = file(&[&[op("BT"), font("F1", 12), at(1, 1), tj("text"), op("ET")]]);
    for (name, bytes, expected) in [
        ("no file", vec![], "the PDF cannot be read: "),
        ("a text", b"not a PDF at all".to_vec(), "the PDF cannot be read: "),
        ("a head alone", b"%PDF-1.7\n%\xE2\xE3".to_vec(), "the PDF cannot be read: "),
        ("a beginning", whole[..whole.len() / 3].to_vec(), "the PDF cannot be read: "),
        ("no text", empty, "the PDF cannot be read: it has no text: its pages may be pictures"),
        ("no names", nameless, "the PDF cannot be read: 2 of its 3 characters have no name"),
    ] {
        let error = blocks(&bytes).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{name}: {error}");
    }
}

#[test]
fn damage_anywhere_ends_in_a_text_or_an_error() {
    let whole =
        file(&[&[op("BT"), font("F2", 12), at(1, 1), wide("text"), font("F1", 12), tj("more"), op("ET")]]);
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] = damaged[at].wrapping_add(97);
        // Whichever it is: it returned.
        drop(lines_of(&damaged));
        drop(lines_of(&whole[..at]));
    }
}

#[test]
fn a_reader_that_panics_or_does_not_end_is_an_error() {
    let broken = guarded::<()>(|| panic!("a bad file"), PATIENCE).unwrap_err();
    assert!(broken.contains("breaks the reader"), "{broken}");
    let (keep, forever) = mpsc::channel::<()>();
    let late =
        guarded(move || forever.recv().map_err(|error| error.to_string()), Duration::ZERO).unwrap_err();
    assert!(late.contains("takes longer"), "{late}");
    drop(keep);
}
