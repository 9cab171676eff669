//! What an answer of the Graph API means for the part that was sent.

use std::time::Duration;

use serde::Deserialize;
use tertulia_actors::ports::SendError;

/// Error codes that Meta documents as throttling: the message was not accepted and may be sent again.
///
/// Source: WhatsApp Cloud API, error codes, "Throttling errors" (4 app, 80007 account, 130429 throughput, 131048 spam rate,
/// 131056 pair rate, 133016 registration).
const THROTTLING: [i64; 6] = [4, 80_007, 130_429, 131_048, 131_056, 133_016];

/// The token is wrong or has expired.
const TOKEN_EXPIRED: i64 = 190;

/// Whether a code says that the token does not let us send, whatever is sent and to whom; another token may.
///
/// Source: WhatsApp Cloud API, error codes, "Authorization errors" (0 authentication, 3 capability, 10 permission, 190 expired,
/// 200 to 299 permission).
const fn is_about_the_token(code: i64) -> bool {
    matches!(code, 0 | 3 | 10 | TOKEN_EXPIRED | 200..=299)
}

/// The longest wait that is taken from a `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

#[derive(Deserialize)]
struct Accepted {
    messages: Vec<AcceptedMessage>,
}

#[derive(Deserialize)]
struct AcceptedMessage {
    id: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: GraphError,
}

#[derive(Deserialize)]
struct GraphError {
    code: i64,
    #[serde(default)]
    message: String,
}

/// Judges a complete answer; `body` is empty where it could not be read.
pub(super) fn judge(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Result<String, SendError> {
    if (200..300).contains(&status) {
        let accepted = serde_json::from_slice::<Accepted>(body).ok();
        let id = accepted.and_then(|accepted| accepted.messages.into_iter().next()).map(|message| message.id);
        return id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| SendError::Ambiguous(format!("{status} without a message id")));
    }
    let error = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| refusal.error);
    Err(judge_refusal(status, retry_after, error))
}

fn judge_refusal(status: u16, retry_after: Option<Duration>, error: Option<GraphError>) -> SendError {
    let code = error.as_ref().map(|error| error.code);
    let is_refusal = (400..500).contains(&status);
    let short = match code {
        Some(code) => format!("{status}, code {code}"),
        None => format!("{status} without a well-formed error"),
    };
    let reason = error.map_or_else(|| short.clone(), |error| format!("{short}: {}", clip(&error.message)));
    if status == 429 || code.is_some_and(|code| THROTTLING.contains(&code)) {
        SendError::Retryable { reason, retry_after }
    } else if status == 401
        || code == Some(TOKEN_EXPIRED)
        || is_refusal && code.is_some_and(is_about_the_token)
    {
        // Its message may quote the token.
        SendError::Unauthorized(short)
    } else if is_refusal && code.is_some() {
        SendError::Refused(reason)
    } else {
        SendError::Ambiguous(reason)
    }
}

/// The wait that a `Retry-After` in seconds asks for; its other form, a date, is not used by the Graph API.
pub(super) fn retry_after(header: Option<&str>) -> Option<Duration> {
    let seconds = header?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(PartialEq, Debug)]
    enum Kind {
        Accepted,
        Retryable(Option<u64>),
        Unauthorized,
        Refused,
        Ambiguous,
    }

    fn kind(status: u16, after: Option<u64>, body: &str) -> Kind {
        match judge(status, after.map(Duration::from_secs), body.as_bytes()) {
            Ok(_) => Kind::Accepted,
            Err(SendError::Retryable { retry_after, .. }) => {
                Kind::Retryable(retry_after.map(|wait| wait.as_secs()))
            }
            Err(SendError::Unauthorized(_)) => Kind::Unauthorized,
            Err(SendError::Refused(_)) => Kind::Refused,
            Err(SendError::Ambiguous(_)) => Kind::Ambiguous,
        }
    }

    fn error(code: i64) -> String {
        format!(
            r#"{{"error":{{"message":"(#{code}) x","type":"OAuthException","code":{code},"fbtrace_id":"A"}}}}"#
        )
    }

    #[test]
    fn every_answer_of_the_graph_api_has_its_meaning() {
        let accepted = r#"{"messaging_product":"whatsapp","contacts":[],"messages":[{"id":"wamid.1"}]}"#;
        for (status, after, body, expected) in [
            (200, None, accepted.to_owned(), Kind::Accepted),
            (200, None, r#"{"messages":[]}"#.to_owned(), Kind::Ambiguous),
            (200, None, r#"{"messages":[{"id":""}]}"#.to_owned(), Kind::Ambiguous),
            (200, None, "<html>".to_owned(), Kind::Ambiguous),
            (200, None, String::new(), Kind::Ambiguous),
            (302, None, String::new(), Kind::Ambiguous),
            (429, Some(7), String::new(), Kind::Retryable(Some(7))),
            (429, None, error(130_429), Kind::Retryable(None)),
            (400, Some(3), error(131_056), Kind::Retryable(Some(3))),
            (400, None, error(4), Kind::Retryable(None)),
            (500, None, error(80_007), Kind::Retryable(None)),
            (401, None, error(0), Kind::Unauthorized),
            (401, None, String::new(), Kind::Unauthorized),
            (400, None, error(190), Kind::Unauthorized),
            (500, None, error(190), Kind::Unauthorized),
            (403, None, error(10), Kind::Unauthorized),
            (403, None, error(3), Kind::Unauthorized),
            (403, None, error(200), Kind::Unauthorized),
            (400, None, error(299), Kind::Unauthorized),
            (400, None, error(300), Kind::Refused),
            (403, None, String::new(), Kind::Ambiguous),
            (500, None, error(0), Kind::Ambiguous),
            (400, None, error(131_026), Kind::Refused),
            (404, None, error(131_000), Kind::Refused),
            (404, None, "<html>".to_owned(), Kind::Ambiguous),
            (500, None, error(1), Kind::Ambiguous),
            (503, None, error(2), Kind::Ambiguous),
            (500, None, error(131_016), Kind::Ambiguous),
            (500, None, error(131_000), Kind::Ambiguous),
            (502, Some(9), "bad gateway".to_owned(), Kind::Ambiguous),
        ] {
            assert_eq!(kind(status, after, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn what_is_said_of_a_token_that_is_not_accepted_may_hold_it_and_is_not_kept() {
        for (status, code, kept) in
            [(401, 190, "401, code 190"), (400, 0, "400, code 0"), (403, 200, "403, code 200")]
        {
            let body = format!(r#"{{"error":{{"message":"bad token: s3cret","code":{code}}}}}"#);
            let said = judge(status, None, body.as_bytes());
            assert!(matches!(&said, Err(SendError::Unauthorized(reason)) if reason == kept), "{said:?}");
        }
        let refused = judge(400, None, br#"{"error":{"message":"not on whatsapp","code":131026}}"#);
        let told = "400, code 131026: not on whatsapp";
        assert!(matches!(&refused, Err(SendError::Refused(reason)) if reason == told), "{refused:?}");
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_bounded() {
        assert_eq!(retry_after(Some(" 5 ")), Some(Duration::from_secs(5)));
        assert_eq!(retry_after(Some("99999999")), Some(RETRY_AFTER_MAX));
        assert_eq!(retry_after(Some("Wed, 21 Oct 2015 07:28:00 GMT")), None);
        assert_eq!(retry_after(None), None);
    }
}
