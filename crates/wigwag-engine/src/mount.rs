//! Mount points: what stands before the topics of a listener's clients in the broker, and not for them.

use wigwag_proto::{TopicFilter, TopicFilterBuf, TopicName};

/// The name as the broker knows it, in `text`. `None` if it would be none, for its length.
pub(crate) fn name<'a>(
    topic: TopicName<'_>,
    mount_point: &str,
    text: &'a mut String,
) -> Option<TopicName<'a>> {
    text.clear();
    text.push_str(mount_point);
    text.push_str(topic.as_str());
    TopicName::new(text).ok()
}

/// The filter as the broker knows it; the ShareName stays in front.
pub(crate) fn filter(filter: TopicFilter<'_>, mount_point: Option<&str>) -> Option<TopicFilterBuf> {
    let Some(mount_point) = mount_point else {
        return Some(filter.into());
    };
    let text = match filter.share() {
        Some((name, shared)) => format!("$share/{name}/{mount_point}{}", shared.as_str()),
        None => format!("{mount_point}{}", filter.as_str()),
    };
    TopicFilter::new(&text).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_stands_before_the_topic_and_behind_the_share_name() {
        let mounted = |text| {
            let mounted = filter(TopicFilter::new(text).expect("valid"), Some("home/"));
            mounted.map(|filter| filter.as_filter().as_str().to_owned())
        };
        assert_eq!(mounted("a/#").as_deref(), Some("home/a/#"));
        assert_eq!(mounted("#").as_deref(), Some("home/#"));
        assert_eq!(mounted("$share/g/a").as_deref(), Some("$share/g/home/a"));
        let long = "a".repeat(65_535);
        assert_eq!(mounted(&long), None);
        let mut text = String::new();
        let topic = TopicName::new("$SYS/x").expect("valid");
        let topic = name(topic, "home/", &mut text).map(TopicName::as_str);
        assert_eq!(topic, Some("home/$SYS/x"));
    }
}
