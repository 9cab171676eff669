//! PDF: files made here, and files that are damaged.

use lopdf::content::Operation;
use lopdf::{Dictionary, Object, Stream, StringFormat, dictionary};

use super::*;

/// A file of pages with these operations.
fn file(pages: &[&[Operation]]) -> Vec<u8> {
    let encoded = |operations: &&[Operation]| Content { operations: operations.to_vec() }.encode().unwrap();
    save(&mut document(pages.iter().map(encoded).collect()))
}

fn save(document: &mut Document) -> Vec<u8> {
    document.compress();
    let mut bytes = vec![];
    document.save_to(&mut bytes).unwrap();
    bytes
}

/// A file of pages with these contents, and with fonts: `F1` of one byte; `F2` of two bytes, whose codes are those of Unicode; `F3` of
/// two bytes that mean nothing; `F4` of one byte, whose A has a name that nobody knows; `F5` the same, with a table.
fn document(pages: Vec<Vec<u8>>) -> Document {
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
    let blind = document.add_object(
        dictionary! { "Type" => "Font", "Subtype" => "Type0", "BaseFont" => "AB+Blind", "Encoding" => "Identity-H",
        "DescendantFonts" => vec![letters.into()] },
    );
    let own =
        || dictionary! { "Type" => "Encoding", "Differences" => vec![65.into(), "g17".into(), "B".into()] };
    let odd = document.add_object(
        dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Odd", "Encoding" => own() },
    );
    let told = "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapName /Own def\n\
        1 begincodespacerange\n<00> <FF>\nendcodespacerange\n1 beginbfchar\n<41> <00E9>\nendbfchar\nendcmap\n\
        CMapName currentdict /CMap defineresource pop\nend\nend";
    let told = document.add_object(Stream::new(Dictionary::new(), told.as_bytes().to_vec()));
    let tabled = document.add_object(
        dictionary! { "Type" => "Font", "Subtype" => "Type1", "Encoding" => own(), "ToUnicode" => told },
    );
    let kids: Vec<Object> = pages
        .into_iter()
        .map(|content| {
            let content = document.add_object(Stream::new(Dictionary::new(), content));
            let page = dictionary! {
                "Type" => "Page", "Parent" => parent, "Contents" => content,
                "Resources" => dictionary! {
                    "Font" => dictionary! { "F1" => one, "F2" => two, "F3" => blind, "F4" => odd, "F5" => tabled },
                },
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
    document
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

/// A line that is shown by a font.
fn line(font_name: &str, text: &str) -> Vec<u8> {
    format!("BT /{font_name} 12 Tf 1 0 0 1 50 700 Tm ({text}) Tj ET").into_bytes()
}

/// The texts of a file of pages with these contents, and what of it is missing; or why it is refused.
fn of_contents(contents: &[Vec<u8>]) -> Result<(Vec<String>, Vec<String>), String> {
    let (blocks, missing) =
        blocks(&save(&mut document(contents.to_vec()))).map_err(|error| error.to_string())?;
    Ok((blocks.into_iter().map(said).collect(), missing))
}

/// The blocks of a file, headings with their level before them.
fn of(pages: &[&[Operation]]) -> Vec<String> {
    blocks(&file(pages)).unwrap().0.into_iter().map(said).collect()
}

fn said(block: Block) -> String {
    match block {
        Block::Heading { level, text } => format!("{level} {text}"),
        Block::Text(text) => text,
        Block::End(_) => String::new(),
    }
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
        drop(read(&damaged, Budget::new()));
        drop(read(&whole[..at], Budget::new()));
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

#[test]
fn a_page_that_breaks_off_is_told_with_its_number_and_the_rest_is_kept() {
    let whole = line("F1", "All is well.");
    // A text that does not end, a bracket that nothing opened, and what is no operator.
    for broken in ["BT /F1 12 Tf (lost", "BT /F1 12 Tf ] (lost) Tj ET", "BT \u{1} (lost) Tj ET"] {
        let second = [line("F1", "It begins."), format!("\n{broken}").into_bytes()].concat();
        let (texts, missing) = of_contents(&[whole.clone(), second.clone(), whole.clone()]).unwrap();
        assert_eq!(texts, ["All is well.", "It begins.", "All is well."], "{broken}");
        assert!(missing[0].starts_with("1 of its 3 pages cannot be read to their end (2)"), "{missing:?}");
        let refused = of_contents(&[second.clone(), second, whole.clone()]).unwrap_err();
        assert!(refused.contains("2 of its 3 pages cannot be read to their end (1, 2)"), "{refused}");
    }
    // A picture whose filter is not known ends where it says so.
    let picture = b" BI /W 1 /H 1 /BPC 8 /CS /G /F /CCF ID x EI ".to_vec();
    let pictured = [picture, whole].concat();
    assert_eq!(of_contents(&[pictured]), Ok((vec!["All is well.".to_owned()], vec![])));
}

#[test]
fn text_in_a_font_that_cannot_be_read_is_told_and_more_of_it_than_of_others_is_refused() {
    let page = |font: &str, text: &str| [line("F1", "Good morning."), line(font, text)].concat();
    for (font, name) in [("F3", "AB+Blind"), ("F9", "one that is missing")] {
        let (texts, missing) = of_contents(&[page(font, "abcd")]).unwrap();
        assert_eq!(texts, ["Good morning."], "{font}");
        let expected = format!("1 of its fonts cannot be read ({name}), so that");
        assert!(missing.len() == 1 && missing[0].starts_with(&expected), "{missing:?}");
        let refused = of_contents(&[page(font, &"abcd".repeat(10))]).unwrap_err();
        assert!(refused.contains(&expected), "{refused}");
    }
}

#[test]
fn a_name_that_nobody_knows_costs_its_own_character_and_a_table_is_believed() {
    let page = [line("F1", &"A good morning to you. ".repeat(5)), line("F4", "BAB")].concat();
    let (texts, missing) = of_contents(&[page]).unwrap();
    assert!(texts[0].ends_with("BB"), "{texts:?}");
    assert!(missing.len() == 1 && missing[0].starts_with("1 of its "), "{missing:?}");
    let refused = of_contents(&[line("F4", "AAB")]).unwrap_err();
    assert!(refused.contains("2 of its 3 characters have no name"), "{refused}");
    assert_eq!(of_contents(&[line("F5", "A")]), Ok((vec!["é".to_owned()], vec![])));
}

#[test]
fn pages_that_are_drawn_alone_are_told_and_blank_ones_are_not() {
    let text = line("F1", "Good morning.");
    let drawn = b"q 100 0 0 100 0 0 cm /Im1 Do Q".to_vec();
    let (texts, missing) = of_contents(&[text.clone(), drawn, b"q Q".to_vec(), vec![], text]).unwrap();
    assert_eq!(texts.len(), 2);
    assert!(
        missing.len() == 1 && missing[0].starts_with("1 of its 5 pages have no text that can be read (2)"),
        "{missing:?}"
    );
}

#[test]
fn what_all_parts_unpack_to_is_bounded_together() {
    let too_large = "its parts unpack to more than";
    // Each is small, and packs well.
    let page = [line("F1", "Good morning."), vec![b' '; 100_000]].concat();
    let pages = save(&mut document(vec![page; 5]));
    assert!(pages.len() < 20_000);
    let within = |bytes: &[u8], left: usize| read(bytes, Budget::of(left)).map(|read| read.lines.len());
    assert_eq!(within(&pages, 700_000), Ok(5));
    assert!(within(&pages, 400_000).unwrap_err().contains(too_large));

    let mut packed = document(vec![line("F1", "Good morning.")]);
    for _ in 0..1_000 {
        packed.add_object(Object::string_literal(vec![b'x'; 1_000]));
    }
    let mut objects = vec![];
    let options = lopdf::SaveOptions::builder()
        .use_object_streams(true)
        .compression_level(6)
        .use_xref_streams(true)
        .build();
    packed.save_with_options(&mut objects, options).unwrap();
    assert!(objects.len() < 50_000, "{}", objects.len());
    assert_eq!(within(&objects, 2_000_000), Ok(1));
    assert!(within(&objects, 900_000).unwrap_err().contains(too_large));
}

#[test]
fn a_table_of_a_font_that_unpacks_to_much_is_refused() {
    let mut large = document(vec![line("F1", "Good morning.")]);
    let blank = large.add_object(Stream::new(Dictionary::new(), vec![b' '; 100_000]));
    for object in large.objects.values_mut() {
        if let Ok(font) = object.as_dict_mut()
            && font.has_type(b"Font")
            && font.has(b"DescendantFonts")
        {
            font.set("ToUnicode", blank);
        }
    }
    let bytes = save(&mut large);
    let refused = read(&bytes, Budget::of(80_000)).map(|read| read.lines.len()).unwrap_err();
    assert!(refused.contains("its parts unpack to more than"), "{refused}");
}

#[test]
fn pages_are_found_although_their_places_are_wrong() {
    let mut bytes = file(&[&[op("BT"), font("F1", 12), at(1, 1), tj("text"), op("ET")]]);
    let place = bytes.windows(9).rposition(|word| word == b"startxref").unwrap();
    bytes.truncate(place);
    bytes.extend_from_slice(b"startxref\n7\n%%EOF\n");
    assert_eq!(read(&bytes, Budget::new()).map(|read| read.lines.len()), Ok(1));
}

#[test]
fn pictures_are_not_kept() {
    let mut pictured = document(vec![line("F1", "Good morning.")]);
    let picture = dictionary! { "Type" => "XObject", "Subtype" => "Image", "Width" => 1, "Height" => 1 };
    pictured.add_object(Stream::new(picture, vec![7; 500_000]));
    let mut bytes = vec![];
    pictured.save_to(&mut bytes).unwrap();
    assert!(bytes.len() > 500_000);
    assert_eq!(read(&bytes, Budget::of(400_000)).map(|read| read.lines.len()), Ok(1));
}
