//! Messages of Protocol Buffers as JSON, by a description that the user has: a `.proto` file or a descriptor set.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};

use super::ChoiceError;

/// The description of one message type.
#[derive(Clone, Debug)]
pub(super) struct Protobuf(MessageDescriptor);

impl Protobuf {
    /// Reads a description. What a `.proto` file imports is looked for beside it.
    pub(super) fn load(file: &Path, name: &str) -> Result<Protobuf, ChoiceError> {
        let description = |why: String| ChoiceError::Description {
            file: file.to_owned(),
            why,
        };
        let pool = if file
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            let folder = match file.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            let set = protox::compile([file], [folder]);
            let set = set.map_err(|error| description(error.to_string()))?;
            DescriptorPool::from_file_descriptor_set(set)
        } else {
            let bytes = fs::read(file).map_err(|error| description(error.to_string()))?;
            DescriptorPool::decode(bytes.as_slice())
        };
        let pool = pool.map_err(|error| description(error.to_string()))?;
        match pool.get_message_by_name(name.trim_start_matches('.')) {
            Some(message) => Ok(Protobuf(message)),
            None => Err(ChoiceError::NoSuchType {
                file: file.to_owned(),
                name: name.to_owned(),
                known: (pool.all_messages())
                    .filter(|message| !message.is_map_entry())
                    .map(|message| message.full_name().to_owned())
                    .collect(),
            }),
        }
    }

    /// The canonical JSON of a message, with the field names of the description.
    pub(super) fn to_json(&self, payload: &[u8]) -> Result<Bytes, String> {
        let message = DynamicMessage::decode(self.0.clone(), payload);
        let message = message.map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        let options = SerializeOptions::new().use_proto_field_name(true);
        let mut serializer = serde_json::Serializer::new(&mut out);
        let written = message.serialize_with_options(&mut serializer, &options);
        written.map_err(|error| error.to_string())?;
        Ok(out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: &str = r#"
        syntax = "proto3";
        package plant;
        message Reading { string sensor_id = 1; double value = 2; repeated int64 raw = 3; }
    "#;

    fn file(name: &str, contents: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        fs::write(&path, contents).expect("written");
        (folder, path)
    }

    const PAYLOAD: &[u8] = b"\x0a\x02s1\x11\0\0\0\0\0\x80\x35\x40\x1a\x02\x01\x02";

    #[test]
    fn a_message_is_read_by_its_proto_file() {
        let (_folder, path) = file("reading.proto", READING.as_bytes());
        let protobuf = Protobuf::load(&path, "plant.Reading").expect("a description");
        assert_eq!(
            protobuf.to_json(PAYLOAD).as_deref(),
            Ok(&br#"{"sensor_id":"s1","value":21.5,"raw":["1","2"]}"#[..])
        );
        assert!(protobuf.to_json(b"{\"on\":true}").is_err());
    }

    #[test]
    fn a_message_is_read_by_a_descriptor_set() {
        let (folder, path) = file("reading.proto", READING.as_bytes());
        let set = protox::compile([&path], [folder.path()]).expect("valid");
        let pool = DescriptorPool::from_file_descriptor_set(set).expect("valid");
        let (_folder, path) = file("reading.binpb", &pool.encode_to_vec());
        let protobuf = Protobuf::load(&path, "plant.Reading").expect("a description");
        assert!(protobuf.to_json(PAYLOAD).is_ok());
    }

    #[test]
    fn a_description_that_cannot_be_used_says_why() {
        let (_folder, path) = file("reading.proto", READING.as_bytes());
        let error = Protobuf::load(&path, "Reading").expect_err("in a package");
        assert_eq!(
            error.to_string(),
            format!(
                "'{}' has no message type 'Reading'; it has plant.Reading",
                path.display()
            )
        );
        let missing = path.with_file_name("missing.binpb");
        let error = Protobuf::load(&missing, "plant.Reading").expect_err("not there");
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
