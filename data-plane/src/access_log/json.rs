//! A line as one JSON object.

use serde::{
    Serialize,
    ser::{SerializeMap as _, Serializer},
};

use super::{
    Record,
    line::{Field, Value},
};
use crate::clock::WallClock;

/// Appends `record` as JSON, without a newline. Fields that the request does not have are left out.
pub(super) fn write(record: &Record, wall: WallClock, out: &mut Vec<u8>) {
    // Neither a vector nor these values can fail.
    let _ = serde_json::to_writer(out, &Line { record, wall });
}

struct Line<'a> {
    record: &'a Record,
    wall: WallClock,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in Field::ALL {
            match field.value(self.record, self.wall) {
                Some(Value::Text(text)) => map.serialize_entry(field.name(), text)?,
                Some(Value::Number(number)) => map.serialize_entry(field.name(), &number)?,
                Some(Value::Address(address)) => map.serialize_entry(field.name(), &address)?,
                Some(Value::Time(time)) => map.serialize_entry(field.name(), &format_args!("{time}"))?,
                None => {}
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::record::tests::record;

    #[test]
    fn a_line_is_one_json_object_whatever_a_client_sends() {
        let mut line = Vec::new();
        let mut record = record();
        record.target.path = "/a\"b\\c\nd".into();
        write(&record, WallClock::read(), &mut line);
        assert!(!line.contains(&b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["path"], "/a\"b\\c\nd");
        assert_eq!(value["revision"], 42);
        assert_eq!(value["route"], "default/shop");
        assert_eq!(value["rule"], "rule/default/shop/0");
        assert_eq!(value["backend"], "default/catalog");
        assert_eq!(value["endpoint"], "10.0.0.1:8080");
        assert_eq!(value["variant"], "blue");
        assert_eq!((&value["port"], &value["scheme"]), (&443.into(), &"https".into()));
        assert_eq!(value["status"], 200);
        assert_eq!(value["duration_us"], 1500);
        assert_eq!(value["first_byte_us"], 1000);
        assert_eq!(value["flags"], "reused");
        assert!(value.get("connect_us").is_none(), "{value}");
        assert!(value.get("reason").is_none(), "{value}");
    }
}
