//! The shapes of a Cloud API webhook, as far as they are read. Everything is optional that the provider may leave out, and
//! lists are taken apart item by item, so that one malformed item does not lose its neighbours.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;
use tertulia_actors::domain::Timestamp;

/// A string that is borrowed from the body where it has no escapes. A number is taken as it is written, and anything else
/// as an empty string: one odd field is no reason to lose the words beside it.
#[derive(Default)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?.get();
        Ok(match raw.as_bytes().first() {
            Some(b'"') => Self(serde_json::from_str::<Words<'a>>(raw).map_err(Error::custom)?.0),
            Some(b'-' | b'0'..=b'9') => Self(Cow::Borrowed(raw)),
            _ => Self::default(),
        })
    }
}

/// A JSON string.
#[derive(Deserialize)]
#[serde(transparent)]
struct Words<'a>(#[serde(borrow)] Cow<'a, str>);

/// A list whose items are read one by one.
pub(super) type Items<'a> = Option<Vec<&'a RawValue>>;

#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) object: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) entry: Items<'a>,
}

#[derive(Deserialize)]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    pub(super) changes: Items<'a>,
}

#[derive(Deserialize)]
pub(super) struct Change<'a> {
    #[serde(borrow)]
    pub(super) field: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Value<'a> {
    #[serde(borrow)]
    pub(super) metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    pub(super) contacts: Items<'a>,
    #[serde(borrow)]
    pub(super) messages: Items<'a>,
    #[serde(borrow)]
    pub(super) statuses: Items<'a>,
    #[serde(borrow)]
    pub(super) errors: Option<Vec<Failure<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    pub(super) phone_number_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) display_phone_number: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Contact<'a> {
    #[serde(borrow)]
    pub(super) wa_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) user_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) profile: Option<Profile<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Profile<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) from: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) from_user_id: Option<Text<'a>>,
    pub(super) timestamp: Option<Seconds>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Body<'a>>,
    #[serde(borrow)]
    pub(super) interactive: Option<Interactive<'a>>,
    #[serde(borrow)]
    pub(super) button: Option<Button<'a>>,
    #[serde(borrow)]
    pub(super) image: Option<Media<'a>>,
    #[serde(borrow)]
    pub(super) video: Option<Media<'a>>,
    #[serde(borrow)]
    pub(super) document: Option<Media<'a>>,
}

impl Message<'_> {
    /// What the person said in words, whichever kind of message carries them.
    pub(super) fn words(&self) -> Option<&str> {
        let text = self.text.as_ref().map(|text| &text.body);
        let reply = || self.interactive.as_ref().and_then(Interactive::words);
        let button = || self.button.as_ref().map(|button| &button.text);
        let media = || [&self.image, &self.video, &self.document].into_iter().flatten();
        text.or_else(reply)
            .or_else(button)
            .or_else(|| media().find_map(|media| media.caption.as_ref()))
            .map(Text::as_str)
    }
}

#[derive(Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow, default)]
    body: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct Interactive<'a> {
    #[serde(borrow)]
    button_reply: Option<Reply<'a>>,
    #[serde(borrow)]
    list_reply: Option<Reply<'a>>,
    #[serde(borrow)]
    nfm_reply: Option<Flow<'a>>,
}

impl<'a> Interactive<'a> {
    fn words(&self) -> Option<&Text<'a>> {
        let title = self.button_reply.as_ref().or(self.list_reply.as_ref()).map(|reply| &reply.title);
        title.or_else(|| {
            self.nfm_reply.as_ref().and_then(|flow| flow.response_json.as_ref().or(flow.body.as_ref()))
        })
    }
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    title: Text<'a>,
}

#[derive(Deserialize)]
struct Flow<'a> {
    /// What the person filled in, as JSON.
    #[serde(borrow)]
    response_json: Option<Text<'a>>,
    /// Always `Sent`.
    #[serde(borrow)]
    body: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Button<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct Media<'a> {
    #[serde(borrow)]
    caption: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Status<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) status: Text<'a>,
    pub(super) timestamp: Option<Seconds>,
    #[serde(borrow)]
    pub(super) biz_opaque_callback_data: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) errors: Option<Vec<Failure<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct Failure<'a> {
    #[serde(borrow)]
    code: Option<Text<'a>>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.title.as_ref().map_or("without a title", Text::as_str);
        match &self.code {
            Some(code) => write!(f, "{}: {title}", code.as_str()),
            None => f.write_str(title),
        }
    }
}

/// A provider's time in whole seconds, documented as a string. One that cannot be read is as good as none: it is no reason
/// to lose a message.
pub(super) struct Seconds(pub(super) Option<Timestamp>);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl SecondsVisitor {
    fn seconds<E>(seconds: Option<i64>) -> Result<Seconds, E> {
        Ok(Seconds(seconds.and_then(|seconds| seconds.checked_mul(1_000)).map(Timestamp)))
    }
}

impl Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since the epoch")
    }

    fn visit_str<E>(self, text: &str) -> Result<Seconds, E> {
        Self::seconds(text.trim().parse().ok())
    }

    fn visit_u64<E>(self, seconds: u64) -> Result<Seconds, E> {
        Self::seconds(seconds.try_into().ok())
    }

    fn visit_i64<E>(self, seconds: i64) -> Result<Seconds, E> {
        Self::seconds(Some(seconds))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Seconds, E> {
        Self::seconds(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Seconds, E> {
        Self::seconds(None)
    }
}
