//! The names of Reason Codes in the words of Mosquitto's library, which its tools print.

use wigwag_proto::ReasonCode;

use super::failure::capitalised;

/// The name of a Reason Code, without its number.
pub fn reason_name(reason: ReasonCode) -> String {
    // Where only capitals differ, the first letter makes the difference.
    let name = match reason {
        ReasonCode::MalformedPacket => "Malformed Packet",
        ReasonCode::ProtocolError => "Protocol Error",
        ReasonCode::UnsupportedProtocolVersion => "Unsupported Protocol Version",
        ReasonCode::BadUserNameOrPassword => "Bad User Name or Password",
        ReasonCode::SharedSubscriptionsNotSupported => "Shared Subscriptions not supported",
        ReasonCode::SubscriptionIdentifiersNotSupported => "Subscription identifiers not supported",
        ReasonCode::WildcardSubscriptionsNotSupported => "Wildcard Subscriptions not supported",
        other => {
            let shown = other.to_string();
            return capitalised(shown.split(" (0x").next().unwrap_or_default());
        }
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_users_have_seen() {
        let check = |reason, expect: &str| assert_eq!(reason_name(reason), expect);
        check(ReasonCode::Success, "Success");
        check(ReasonCode::NotAuthorized, "Not authorized");
        check(
            ReasonCode::BadUserNameOrPassword,
            "Bad User Name or Password",
        );
        check(
            ReasonCode::BadAuthenticationMethod,
            "Bad authentication method",
        );
        check(ReasonCode::ReAuthenticate, "Re-authenticate");
        check(ReasonCode::QosNotSupported, "QoS not supported");
        check(ReasonCode::QuotaExceeded, "Quota exceeded");
    }
}
