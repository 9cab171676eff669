//! Who wrote a message: its own fields and the contact that belongs to it.

use serde_json::value::RawValue;
use tertulia_actors::domain::Sender;

use super::payload::{Contact, Message, Text};

/// How one part of a payload names a person.
#[derive(Clone, Copy)]
struct Names<'a> {
    phone: Option<&'a str>,
    user_id: Option<&'a str>,
}

impl<'a> Names<'a> {
    fn of_message(message: &'a Message<'_>) -> Self {
        Self { phone: given(message.from.as_ref()), user_id: given(message.from_user_id.as_ref()) }
    }

    fn of_contact(contact: &'a Contact<'_>) -> Self {
        Self { phone: given(contact.wa_id.as_ref()), user_id: given(contact.user_id.as_ref()) }
    }

    /// Whether some name is the same, and whether some name differs.
    fn compare(self, other: Self) -> (bool, bool) {
        let pairs = [(self.phone, other.phone), (self.user_id, other.user_id)];
        let both = pairs.into_iter().filter_map(|(one, two)| Some(one? == two?));
        both.fold((false, false), |(same, differs), equal| (same || equal, differs || !equal))
    }
}

/// A field that is there and not empty.
fn given<'a>(text: Option<&'a Text<'_>>) -> Option<&'a str> {
    text.map(Text::as_str).filter(|text| !text.is_empty())
}

/// The contacts of a payload that can be read. One that cannot is left out: it may only have told a name. So whoever counts
/// them, counts them before.
pub(super) fn contacts<'a>(items: Option<Vec<&'a RawValue>>) -> Vec<Contact<'a>> {
    items.unwrap_or_default().into_iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
}

/// Who wrote `message`.
///
/// A contact is used that shares a name with the message, or where both are the only ones of the payload (`is_pair`); never one that contradicts it, since then two people would be taken for one.
pub(super) fn sender(message: &Message<'_>, contacts: &[Contact<'_>], is_pair: bool) -> Sender {
    let own = Names::of_message(message);
    let contact = contacts.iter().find(|contact| {
        let (same, differs) = own.compare(Names::of_contact(contact));
        !differs && (same || is_pair)
    });
    let told = contact.map_or(Names { phone: None, user_id: None }, Names::of_contact);
    let profile = contact.and_then(|contact| contact.profile.as_ref());
    Sender {
        phone: own.phone.or(told.phone).map(str::to_owned),
        user_id: own.user_id.or(told.user_id).map(str::to_owned),
        handle: None,
        name: profile.and_then(|profile| given(profile.name.as_ref())).map(str::to_owned),
    }
}

/// Whether a message comes from the business itself: written on its phone, or an echo of what we sent.
pub(super) fn is_echo(message: &Message<'_>, display_phone_number: Option<&Text<'_>>) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (Some(from), Some(own)) = (given(message.from.as_ref()), given(display_phone_number)) else {
        return false;
    };
    let from = digits(from);
    !from.is_empty() && from == digits(own)
}
