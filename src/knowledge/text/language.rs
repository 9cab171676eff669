//! Which language a text is written in.

use tertulia_actors::domain::Language;
use whatlang::{Detector, Lang, Script, detect_script};

/// The languages that the detector knows, by both codes of ISO 639 (two letters and three).
const CODES: &[(&str, &str)] = &[
    ("af", "afr"),
    ("ak", "aka"),
    ("am", "amh"),
    ("ar", "ara"),
    ("az", "aze"),
    ("be", "bel"),
    ("bg", "bul"),
    ("bn", "ben"),
    ("ca", "cat"),
    ("cs", "ces"),
    ("cy", "cym"),
    ("da", "dan"),
    ("de", "deu"),
    ("el", "ell"),
    ("en", "eng"),
    ("eo", "epo"),
    ("es", "spa"),
    ("et", "est"),
    ("fa", "pes"),
    ("fi", "fin"),
    ("fr", "fra"),
    ("gu", "guj"),
    ("he", "heb"),
    ("hi", "hin"),
    ("hr", "hrv"),
    ("hu", "hun"),
    ("hy", "hye"),
    ("id", "ind"),
    ("it", "ita"),
    ("ja", "jpn"),
    ("jv", "jav"),
    ("ka", "kat"),
    ("km", "khm"),
    ("kn", "kan"),
    ("ko", "kor"),
    ("la", "lat"),
    ("lt", "lit"),
    ("lv", "lav"),
    ("mk", "mkd"),
    ("ml", "mal"),
    ("mr", "mar"),
    ("my", "mya"),
    ("nb", "nob"),
    ("ne", "nep"),
    ("nl", "nld"),
    ("or", "ori"),
    ("pa", "pan"),
    ("pl", "pol"),
    ("pt", "por"),
    ("ro", "ron"),
    ("ru", "rus"),
    ("si", "sin"),
    ("sk", "slk"),
    ("sl", "slv"),
    ("sn", "sna"),
    ("sr", "srp"),
    ("sv", "swe"),
    ("ta", "tam"),
    ("te", "tel"),
    ("th", "tha"),
    ("tk", "tuk"),
    ("tl", "tgl"),
    ("tr", "tur"),
    ("uk", "ukr"),
    ("ur", "urd"),
    ("uz", "uzb"),
    ("vi", "vie"),
    ("yi", "yid"),
    ("zh", "cmn"),
    ("zu", "zul"),
];

/// Characters of a text that the detector reads.
const TEXT_CHARS_MAX: usize = 2_000;

/// Finds a text's language among the configured ones.
#[derive(Clone, Debug)]
pub(in crate::knowledge) struct Languages {
    known: Vec<(Language, Lang)>,
    /// Whether some configured language is unknown to the detector, so that a script alone decides nothing.
    incomplete: bool,
}

impl Languages {
    /// Looks for these languages and no others.
    pub(in crate::knowledge) fn new(languages: &[Language]) -> Self {
        let known: Vec<_> =
            languages.iter().filter_map(|language| Some((*language, by_code(language.as_str())?))).collect();
        Self { incomplete: known.len() < languages.len(), known }
    }

    /// The language of a longer text among all that the detector knows, where it is sure.
    pub(in crate::knowledge) fn sure(text: &str) -> Option<Language> {
        let found = whatlang::detect(beginning(text)).filter(whatlang::Info::is_reliable)?;
        let (code, _) = CODES.iter().find(|(_, code)| *code == found.lang().code())?;
        code.parse().ok()
    }

    /// Whether a language is written as a text is; so is a text without letters.
    pub(in crate::knowledge) fn writes(language: Language, text: &str) -> bool {
        match (detect_script(beginning(text)), by_code(language.as_str())) {
            (Some(script), Some(lang)) => script.langs().contains(&lang),
            _ => true,
        }
    }

    /// The language of a text. The script comes first: where only one configured language uses it, even "hi" is sure.
    /// Between several of one script the detector must be sure, which it seldom is of a few words; then there is none.
    pub(in crate::knowledge) fn detect(&self, text: &str) -> Option<Language> {
        let text = beginning(text);
        let script = detect_script(text)?;
        let writers: Vec<_> = self.known.iter().filter(|(_, lang)| script.langs().contains(lang)).collect();
        match writers[..] {
            [] => None,
            [(language, _)] if !self.incomplete || script == Script::Arabic => Some(*language),
            _ => {
                let allowed = writers.iter().map(|(_, lang)| *lang).collect();
                let found = Detector::with_allowlist(allowed).detect(text)?;
                let sure = found.is_reliable() && writers.len() > 1;
                writers.iter().find(|(_, lang)| sure && *lang == found.lang()).map(|(language, _)| *language)
            }
        }
    }
}

/// As much of a text as is read.
fn beginning(text: &str) -> &str {
    let end = text.char_indices().nth(TEXT_CHARS_MAX).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

fn by_code(two_letters: &str) -> Option<Lang> {
    let (_, code) = CODES.iter().find(|(code, _)| *code == two_letters)?;
    Lang::from_code(*code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(languages: &str, text: &str) -> Option<String> {
        let languages: Vec<Language> = languages.split(' ').map(|code| code.parse().unwrap()).collect();
        Languages::new(&languages).detect(text).map(|language| language.to_string())
    }

    #[test]
    fn every_code_is_known_to_the_detector() {
        for (two, _) in CODES {
            assert!(by_code(two).is_some(), "{two}");
        }
        assert_eq!(CODES.len(), Lang::all().len(), "all of the detector's languages have a code");
    }

    #[test]
    fn the_script_decides_where_one_language_uses_it() {
        for (languages, text, expected) in [
            ("en ar", "hi", Some("en")),
            ("en ar", "ok thx", Some("en")),
            ("en ar", "مرحبا", Some("ar")),
            ("en ar", "سعر bottle؟ كم", Some("ar")),
            ("en ar", "", None),
            ("en ar", "👍 123 ?!", None),
            ("en ar", "привет", None),
            ("en ru ar", "привет", Some("ru")),
            ("ar", "hi", None),
        ] {
            assert_eq!(detect(languages, text).as_deref(), expected, "{languages}: {text}");
        }
    }

    #[test]
    fn between_languages_of_one_script_the_detector_must_be_sure() {
        for (languages, text, expected) in [
            ("en es fr", "hi", None),
            (
                "en es fr",
                "Quisiera saber cuánto cuesta una botella de agua y cuándo la pueden traer a mi casa",
                Some("es"),
            ),
            (
                "en es fr",
                "I would like to know how much a bottle of water costs and whether you deliver to my house",
                Some("en"),
            ),
        ] {
            assert_eq!(detect(languages, text).as_deref(), expected, "{languages}: {text}");
        }
    }

    #[test]
    fn a_longer_text_tells_its_language_among_all() {
        for (text, expected) in [
            (
                "Nous livrons de l'eau tous les jours de la semaine, entre neuf heures et cinq heures du soir.",
                "fr",
            ),
            (
                "نوصل الماء كل يوم من أيام الأسبوع بين التاسعة صباحا والخامسة مساء إلى جميع أحياء المدينة.",
                "ar",
            ),
            ("我们每天从早上九点到下午五点送水，节假日除外。", "zh"),
        ] {
            assert_eq!(
                Languages::sure(text).map(|found| found.to_string()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        assert_eq!(Languages::sure("ok"), None);
    }

    #[test]
    fn a_text_in_another_script_is_not_written_in_a_language() {
        for (language, text, expected) in [
            ("en", "water", true),
            ("en", "ماء", false),
            ("ar", "ماء", true),
            ("zh", "水", true),
            ("en", "12 - 3", true),
        ] {
            assert_eq!(Languages::writes(language.parse().unwrap(), text), expected, "{language} {text}");
        }
    }

    #[test]
    fn a_configured_language_that_the_detector_does_not_know_makes_the_script_alone_unsure() {
        assert_eq!(detect("en sw", "habari"), None);
    }
}
