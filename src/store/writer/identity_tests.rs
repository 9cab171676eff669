//! The table of who is who.

use tertulia_actors::domain::{ConversationId, Sender};
use uuid::Uuid;

use super::identity::{Found, Plan, resolve};

const A: ConversationId = ConversationId::new(Uuid::from_u128(0xa));
const B: ConversationId = ConversationId::new(Uuid::from_u128(0xb));

fn sender(phone: &str, user_id: &str) -> Sender {
    let given = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    Sender { phone: given(phone), user_id: given(user_id), ..Sender::default() }
}

fn found(id: ConversationId, phone: &str, user_id: &str) -> Option<Found> {
    let Sender { phone, user_id, .. } = sender(phone, user_id);
    Some(Found { id, phone, user_id })
}

#[test]
fn a_bsuid_outranks_a_phone_number() {
    let new = Plan { take_phone: true, take_user_id: true, ..Plan::default() };
    let to = |id| Plan { conversation: Some(id), ..Plan::default() };
    for (case, sender, by_user, by_phone, expected) in [
        ("nobody knows them", sender("1", "X"), None, None, new),
        ("new, by phone alone", sender("1", ""), None, None, Plan { take_phone: true, ..Plan::default() }),
        ("known by phone alone", sender("1", ""), None, found(A, "1", ""), to(A)),
        ("phone alone, of somebody with a bsuid", sender("1", ""), None, found(A, "1", "X"), to(A)),
        ("new, by bsuid alone", sender("", "X"), None, None, new),
        ("known by bsuid alone", sender("", "X"), found(A, "1", "X"), None, to(A)),
        ("known by both", sender("1", "X"), found(A, "1", "X"), found(A, "1", "X"), to(A)),
        (
            "a phone gets its bsuid",
            sender("1", "X"),
            None,
            found(A, "1", ""),
            Plan { take_user_id: true, ..to(A) },
        ),
        (
            "a phone was given to somebody new",
            sender("1", "Y"),
            None,
            found(A, "1", "X"),
            Plan { lose_phone: Some(A), ..new },
        ),
        (
            "a phone was given to somebody known",
            sender("1", "Y"),
            found(B, "2", "Y"),
            found(A, "1", "X"),
            Plan { take_phone: true, lose_phone: Some(A), ..to(B) },
        ),
        (
            "a person changed to a free number",
            sender("3", "X"),
            found(A, "1", "X"),
            None,
            Plan { take_phone: true, ..to(A) },
        ),
        (
            "two conversations prove to be one person",
            sender("1", "X"),
            found(B, "", "X"),
            found(A, "1", ""),
            Plan { take_phone: true, merge: Some(A), ..to(B) },
        ),
    ] {
        assert_eq!(resolve(&sender, by_user.as_ref(), by_phone.as_ref()), expected, "{case}");
    }
}
