//! Realistic payloads, and what is read from them.

use std::cell::Cell;
use std::sync::Mutex;

use serde_json::{Value as Json, json};
use tertulia_actors::domain::{Receipt, Tick};

use super::*;

#[derive(Default)]
struct Counter(Mutex<Cell<i64>>);

impl ReceiptSource for Counter {
    fn receipt(&self) -> Receipt {
        let count = self.0.lock().unwrap();
        count.set(count.get() + 1);
        Receipt { at: Timestamp(7), tick: Tick(7), seq: count.get() }
    }
}

fn channel() -> WhatsappInbound {
    WhatsappInbound::new(&"verify".into(), &"app secret".into())
}

fn read(body: &Json) -> Admission {
    read_bytes(body.to_string().as_bytes())
}

fn read_bytes(body: &[u8]) -> Admission {
    channel().read(body, &Counter::default())
}

fn envelope(changes: &[Json]) -> Json {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": changes}]})
}

fn change(mut value: Json) -> Json {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] =
        json!({"display_phone_number": "+1 555-078-3881", "phone_number_id": "106540352242922"});
    json!({"field": "messages", "value": value})
}

/// One message inside a whole payload, with the usual contact.
fn one(message: &Json) -> Json {
    let contacts = json!([{"profile": {"name": "Sheena"}, "wa_id": "16505551234"}]);
    envelope(&[change(json!({"contacts": contacts, "messages": [message]}))])
}

fn text(id: &str, from: &str, body: &str) -> Json {
    json!({"from": from, "id": id, "timestamp": "1749416383", "type": "text", "text": {"body": body}})
}

fn ids(admission: &Admission) -> Vec<&str> {
    admission.messages.iter().map(|message| message.provider_id.as_str()).collect()
}

#[test]
fn a_text_is_read_whole() {
    let admission = read(&one(&text("wamid.1", "16505551234", "Does it come in another colour?")));
    let expected = InboundMessage {
        account: Account::new(Channel::Whatsapp, "106540352242922"),
        provider_id: "wamid.1".into(),
        sender: tertulia_actors::domain::Sender {
            phone: Some("16505551234".into()),
            user_id: None,
            handle: None,
            name: Some("Sheena".into()),
        },
        kind: "text".into(),
        text: Some("Does it come in another colour?".into()),
        content: None,
        provider_at: Some(Timestamp(1_749_416_383_000)),
        suppressed: None,
        receipt: Receipt { at: Timestamp(7), tick: Tick(7), seq: 1 },
    };
    assert_eq!(admission, Admission { messages: vec![expected], ..Admission::default() });
}

#[test]
fn every_kind_of_message_gives_its_words() {
    let message = |kind: &str, content: Json| {
        let mut message = json!({"from": "16505551234", "id": "wamid.1", "timestamp": "1", "type": kind});
        message[kind] = content;
        message
    };
    for (kind, content, expected) in [
        ("text", json!({"body": ""}), Some("")),
        (
            "interactive",
            json!({"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}),
            Some("Yes"),
        ),
        (
            "interactive",
            json!({"type": "list_reply", "list_reply": {"id": "1", "title": "19 l", "description": "d"}}),
            Some("19 l"),
        ),
        (
            "interactive",
            json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"day\":\"Friday\"}"}}),
            Some("{\"day\":\"Friday\"}"),
        ),
        ("button", json!({"payload": "p", "text": "Order again"}), Some("Order again")),
        ("image", json!({"id": "1", "mime_type": "image/jpeg", "caption": "broken tap"}), Some("broken tap")),
        ("video", json!({"id": "1", "caption": "look"}), Some("look")),
        ("document", json!({"id": "1", "filename": "a.pdf", "caption": "the bill"}), Some("the bill")),
        ("image", json!({"id": "1"}), None),
        ("audio", json!({"id": "1", "voice": true}), None),
        ("sticker", json!({"id": "1"}), None),
        ("location", json!({"latitude": 1.5, "longitude": 2.5}), None),
        ("contacts", json!([{"name": {"formatted_name": "x"}}]), None),
        ("order", json!({"catalog_id": "1", "text": "note"}), None),
        ("reaction", json!({"message_id": "wamid.0", "emoji": "👍"}), None),
        ("system", json!({"body": "changed number", "type": "user_changed_number"}), None),
        ("unsupported", json!({}), None),
    ] {
        let admission = read(&one(&message(kind, content.clone())));
        let [read] = admission.messages.as_slice() else { panic!("{kind} {content}: {admission:?}") };
        assert_eq!((read.kind.as_str(), read.text.as_deref()), (kind, expected), "{content}");
        assert_eq!(admission.quarantined, [], "{content}");
        let kept = read.content.as_deref().map(|kept| serde_json::from_str::<Json>(kept).unwrap());
        assert_eq!(kept, (kind != "text").then(|| message(kind, content.clone())), "{content}");
    }
}

#[test]
fn every_entry_change_and_message_is_read_in_order() {
    let messages = |ids: [&str; 2]| change(json!({"messages": ids.map(|id| text(id, "1", id))}));
    let body = json!({"object": "whatsapp_business_account", "entry": [
        {"id": "1", "changes": [messages(["a", "b"]), messages(["c", "d"])]},
        {"id": "2", "changes": [messages(["e", "f"]), messages(["g", "h"])]},
    ]});
    let admission = read(&body);
    assert_eq!(ids(&admission), ["a", "b", "c", "d", "e", "f", "g", "h"]);
    let receipts: Vec<_> = admission.messages.iter().map(|message| message.receipt.seq).collect();
    assert_eq!(receipts, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_person_is_known_by_phone_or_user_id_or_both() {
    const BSUID: &str = "US.13491208655302741918";
    let (phone, bsuid) = (Some("16505551234"), Some(BSUID));
    for (name, message, contacts, expected) in [
        ("phone only", json!({"from": "16505551234"}), json!(null), (phone, None)),
        ("user id only", json!({"from_user_id": BSUID}), json!(null), (None, bsuid)),
        ("both", json!({"from": "16505551234", "from_user_id": BSUID}), json!(null), (phone, bsuid)),
        ("phone from the only contact", json!({}), json!([{"wa_id": "16505551234"}]), (phone, None)),
        ("user id from the only contact", json!({}), json!([{"user_id": BSUID}]), (None, bsuid)),
        (
            "contact found by phone",
            json!({"from": "16505551234"}),
            json!([{"wa_id": "999"}, {"wa_id": "16505551234", "user_id": BSUID}]),
            (phone, bsuid),
        ),
        (
            "contact found by user id",
            json!({"from_user_id": BSUID}),
            json!([{"user_id": "US.1"}, {"wa_id": "16505551234", "user_id": BSUID}]),
            (phone, bsuid),
        ),
        (
            "a contact of somebody else",
            json!({"from": "16505551234"}),
            json!([{"wa_id": "999", "user_id": BSUID}]),
            (phone, None),
        ),
        (
            "malformed contact",
            json!({"from": "16505551234"}),
            json!([{"wa_id": 5}, {"wa_id": "16505551234", "user_id": BSUID}]),
            (phone, bsuid),
        ),
        ("empty fields are none", json!({"from": "", "from_user_id": BSUID}), json!(null), (None, bsuid)),
    ] {
        let mut message = message;
        for (key, value) in [("id", "m"), ("type", "text")] {
            message[key] = json!(value);
        }
        let admission = read(&envelope(&[change(json!({"contacts": contacts, "messages": [message]}))]));
        let [read] = admission.messages.as_slice() else { panic!("{name}: {admission:?}") };
        assert_eq!((read.sender.phone.as_deref(), read.sender.user_id.as_deref()), expected, "{name}");
    }
}

#[test]
fn a_message_from_nobody_is_quarantined_and_its_neighbours_are_read() {
    let nobody = json!({"id": "b", "timestamp": "1", "type": "text", "text": {"body": "?"}});
    let body = envelope(&[change(json!({"messages": [text("a", "1", "x"), nobody, text("c", "1", "x")]}))]);
    let admission = read(&body);
    assert_eq!(ids(&admission), ["a", "c"]);
    let [quarantined] = admission.quarantined.as_slice() else { panic!("{admission:?}") };
    assert_eq!(quarantined.reason, "entry 0 change 0 message 1: neither a phone number nor a user id");
    assert_eq!(quarantined.body, body.to_string().as_bytes());
}

#[test]
fn an_odd_field_does_not_lose_the_words_beside_it() {
    let mut image = text("a", "1", "look at this");
    image["image"] = json!({"id": "1", "caption": 5});
    let mut number = text("b", "", "from a number");
    number["from"] = json!(16_505_551_234_i64);
    let status = json!({"id": "w", "status": "failed", "errors": [{"code": "131026", "title": "x"}]});
    let mut change = change(json!({"messages": [image, number], "statuses": [status]}));
    change["value"]["metadata"]["display_phone_number"] = json!(15_550_783_881_i64);
    let admission = read(&envelope(&[change]));
    assert_eq!(admission.quarantined, []);
    let words: Vec<_> = admission.messages.iter().map(|message| message.text.as_deref().unwrap()).collect();
    assert_eq!(words, ["look at this", "from a number"]);
    assert_eq!(admission.messages[1].sender.phone.as_deref(), Some("16505551234"));
    assert_eq!(admission.statuses[0].error.as_deref(), Some("131026: x"));
}

#[test]
fn bytes_that_are_not_utf_8_lose_no_message_and_the_body_is_kept() {
    let body = envelope(&[change(json!({"messages": [text("a", "1", "b@d"), text("b", "1", "good")]}))]);
    let mut body = body.to_string().into_bytes();
    let bad = body.iter().position(|byte| *byte == b'@').unwrap();
    body[bad] = 0xff;
    let admission = read_bytes(&body);
    assert_eq!(ids(&admission), ["a", "b"]);
    assert_eq!(admission.messages[0].text.as_deref(), Some("b\u{fffd}d"));
    assert_eq!(admission.quarantined[0].body, body);
}

#[test]
fn a_contact_that_may_belong_to_another_message_names_nobody() {
    let mut one = text("a", "", "x");
    one["from_user_id"] = json!("SA.1");
    let messages = json!([one, text("b", "9661", "y")]);
    for contacts in [json!([{"user_id": "SA.1"}]), json!([{"user_id": "SA.1"}, 5])] {
        let admission = read(&envelope(&[change(json!({"contacts": contacts, "messages": messages}))]));
        let other = &admission.messages[1].sender;
        assert_eq!((other.phone.as_deref(), other.user_id.as_deref()), (Some("9661"), None));
    }
}

#[test]
fn a_malformed_item_does_not_lose_its_neighbours() {
    for malformed in [json!(5), json!({}), json!({"id": [5], "from": "1"}), json!({"id": ""}), json!(null)] {
        let messages = json!([text("a", "1", "x"), malformed, text("c", "1", "x")]);
        let admission = read(&envelope(&[change(json!({"messages": messages}))]));
        assert_eq!(ids(&admission), ["a", "c"], "{malformed}");
        assert_eq!(admission.quarantined.len(), 1, "{malformed}");
    }
    for malformed in [
        json!(5),
        json!({"changes": 5}),
        json!({"changes": [5]}),
        json!({"changes": [{"value": {"messages": 1}}]}),
    ] {
        let good = json!({"id": "1", "changes": [change(json!({"messages": [text("a", "1", "x")]}))]});
        let admission = read(&json!({"object": "whatsapp_business_account", "entry": [malformed, good]}));
        assert_eq!(ids(&admission), ["a"], "{malformed}");
        assert_eq!(admission.quarantined.len(), 1, "{malformed}");
    }
}

#[test]
fn a_body_with_many_faults_is_kept_once() {
    let messages = vec![json!(5); 1_000];
    let admission = read(&envelope(&[change(json!({"messages": messages}))]));
    assert_eq!(admission.quarantined.len(), 1);
    assert!(
        admission.quarantined[0].reason.ends_with("; and 992 more"),
        "{}",
        admission.quarantined[0].reason
    );
}

#[test]
fn bodies_that_are_not_understood_are_quarantined() {
    let unknown = |value: Json| envelope(&[json!({"field": "user_id_update", "value": value})]).to_string();
    let no_account = json!({"field": "messages", "value": {"messages": [text("a", "1", "x")]}});
    for (body, reason) in [
        ("not json".to_owned(), "not a webhook"),
        (String::new(), "not a webhook"),
        ("\u{feff}{}".to_owned(), "not a webhook"),
        ("[]".to_owned(), "not a webhook"),
        ("{}".to_owned(), "no object"),
        (r#"{"object":"page","entry":[]}"#.to_owned(), "unknown object 'page'"),
        (r#"{"object":"whatsapp_business_account"}"#.to_owned(), "no entry"),
        (unknown(json!({"a": 1})), "entry 0 change 0: field 'user_id_update' without messages or statuses"),
        (envelope(&[no_account]).to_string(), "entry 0 change 0: no metadata"),
        (
            envelope(&[change(json!({"errors": [{"code": 130_429, "title": "Rate limit hit"}]}))])
                .to_string(),
            "entry 0 change 0: error 130429: Rate limit hit",
        ),
    ] {
        let admission = read_bytes(body.as_bytes());
        assert_eq!(admission.messages, [], "{body}");
        let [quarantined] = admission.quarantined.as_slice() else { panic!("{body}: {admission:?}") };
        assert!(quarantined.reason.starts_with(reason), "{body}: {}", quarantined.reason);
    }
    assert_eq!(read_bytes(&[b'{', 0xff, b'}']).quarantined.len(), 1);
}

#[test]
fn echoes_and_news_of_the_account_are_left_alone() {
    let echo = |field: &str| {
        let value = json!({"metadata": {"phone_number_id": "1", "display_phone_number": "15550783881"},
            "message_echoes": [text("e", "15550783881", "ours")], "messages": [text("e", "15550783881", "ours")]});
        json!({"field": field, "value": value})
    };
    let template = json!({"field": "message_template_status_update", "value": {"event": "APPROVED"}});
    let changes = [echo("smb_message_echoes"), echo("message_echoes"), template];
    assert_eq!(read(&envelope(&changes)), Admission::default());

    let own = one(&text("wamid.1", "15550783881", "written on the business's phone"));
    assert_eq!(read(&own), Admission::default());
}

#[test]
fn statuses_are_read_with_our_own_id_and_the_reason_of_a_failure() {
    const PART: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    let status = |status: &str| json!({"id": "wamid.9", "status": status, "timestamp": "1749416390", "recipient_id": "1"});
    let mut failed = status("failed");
    failed["biz_opaque_callback_data"] = json!(PART);
    failed["errors"] = json!([{"code": 131_047, "title": "Re-engagement message"}, {"code": 1}]);
    let mut foreign = status("sent");
    foreign["biz_opaque_callback_data"] = json!("not ours");
    foreign["timestamp"] = json!(1_749_416_391);
    let told = ["delivered", "read", "played", "deleted", "warning"].map(status);
    let statuses: Vec<Json> = [failed, foreign, json!({"id": 1})].into_iter().chain(told).collect();
    let admission = read(&envelope(&[change(json!({"statuses": statuses}))]));

    use DeliveryStatus::{Delivered, Failed, Read, Sent};
    let states: Vec<_> = admission.statuses.iter().map(|status| status.status).collect();
    assert_eq!(states, [Failed, Sent, Delivered, Read, Read]);
    let failed = &admission.statuses[0];
    assert_eq!(failed.part.map(|part| part.to_string()).as_deref(), Some(PART));
    assert_eq!(failed.error.as_deref(), Some("131047: Re-engagement message; 1: without a title"));
    assert_eq!((failed.provider_id.as_str(), failed.at), ("wamid.9", Some(Timestamp(1_749_416_390_000))));
    let foreign = &admission.statuses[1];
    assert_eq!((foreign.part, &foreign.error, foreign.at), (None, &None, Some(Timestamp(1_749_416_391_000))));
    assert_eq!(admission.quarantined.len(), 1, "the status with a malformed id");
}

#[test]
fn a_time_that_cannot_be_read_is_no_reason_to_lose_a_message() {
    for (time, expected) in [
        (json!("1749416383"), Some(1_749_416_383_000)),
        (json!(1_749_416_383), Some(1_749_416_383_000)),
        (json!(1.5), None),
        (json!("soon"), None),
        (json!("99999999999999999999"), None),
        (json!(null), None),
        (json!(true), None),
    ] {
        let mut message = text("a", "1", "x");
        message["timestamp"] = time.clone();
        let admission = read(&one(&message));
        assert_eq!(admission.messages[0].provider_at, expected.map(Timestamp), "{time}");
    }
}

#[test]
fn unusual_texts_survive_unchanged() {
    let emoji = "😀".repeat(4_096);
    for body in ["", " ", "a\0b", "\u{200f}مرحبا\u{202e}", "\"\\\n\t", "e\u{301}", emoji.as_str()] {
        let admission = read(&one(&text("a", "16505551234", body)));
        assert_eq!(admission.messages[0].text.as_deref(), Some(body), "{body:?}");
    }
}

#[test]
fn a_body_of_three_megabytes_with_a_thousand_messages_is_read() {
    let messages: Vec<Json> = (0..1_000).map(|n| text(&format!("m{n}"), "1", &"x".repeat(3_000))).collect();
    let admission = read(&envelope(&[change(json!({"messages": messages}))]));
    assert_eq!(admission.messages.len(), 1_000);
    assert_eq!(admission.messages[999].provider_id, "m999");
}

#[test]
fn only_the_right_signature_of_the_raw_bytes_is_accepted() {
    // HMAC-SHA256 of RFC 4231, test case 2.
    const RFC_4231: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let (body, channel) =
        (b"what do ya want for nothing?".as_slice(), WhatsappInbound::new(&"v".into(), &"Jefe".into()));
    let header = format!("sha256={RFC_4231}");
    assert!(channel.verifies(Some(&header), body));
    assert!(channel.verifies(Some(&format!("sha256={}", RFC_4231.to_uppercase())), body));
    for wrong in [
        None,
        Some(String::new()),
        Some(RFC_4231.to_owned()),
        Some(format!("sha1={RFC_4231}")),
        Some(header.replace("5bdc", "5bdd")),
        Some(header[..header.len() - 2].to_owned()),
        Some(format!("{header}00")),
        Some(header.replace('5', "é")),
        Some("sha256=".to_owned()),
    ] {
        assert!(!channel.verifies(wrong.as_deref(), body), "{wrong:?}");
    }
    assert!(!channel.verifies(Some(&header), b"what do ya want for nothing!"));
    let without_secret = WhatsappInbound::new(&"v".into(), &Secret::default());
    assert!(!without_secret.verifies(Some(&header), body));
}

#[test]
fn only_a_subscription_with_the_right_token_is_accepted() {
    let channel = channel();
    assert!(channel.accepts_handshake("subscribe", "verify"));
    for (mode, token) in
        [("subscribe", "wrong"), ("subscribe", ""), ("unsubscribe", "verify"), ("", "verify")]
    {
        assert!(!channel.accepts_handshake(mode, token), "{mode} {token}");
    }
    assert!(!WhatsappInbound::new(&Secret::default(), &"s".into()).accepts_handshake("subscribe", ""));
}
