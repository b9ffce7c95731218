//! How the contract writes what serde does not express by itself.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};

/// Reads a field that is there, so that a missing one (`None`, by `serde(default)`) differs from a null one.
///
/// For `Option<Option<T>>` null is `Some(None)`; for `Option<T>` null is an error, which is what a field without a
/// null value wants.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Reads a field that may be null and must not be left out.
pub(crate) fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// Reads a flag: a boolean, or the 0 and 1 that the first servers wrote.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    deserializer.deserialize_any(FlagVisitor)
}

/// Reads a flag that may be left out or null, which both mean the default.
pub(crate) fn optional_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(Option::<Flag>::deserialize(deserializer)?.map(|flag| flag.0))
}

/// Reads a flag of a patch: left out is `None`, null is an error.
pub(crate) fn present_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    flag(deserializer).map(Some)
}

struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        flag(deserializer).map(Self)
    }
}

struct FlagVisitor;

impl Visitor<'_> for FlagVisitor {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, 0 or 1")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<bool, E> {
        match value {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(E::invalid_value(de::Unexpected::Unsigned(value), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<bool, E> {
        Err(E::invalid_value(de::Unexpected::Signed(value), &self))
    }
}

/// Several names, read from a list or from one text with commas, written as a list.
///
/// Blanks around names and empty names are dropped, so `"a, b,"` is two names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StringList(pub Vec<String>);

impl StringList {
    /// Returns the names.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl From<Vec<String>> for StringList {
    fn from(names: Vec<String>) -> Self {
        Self(names)
    }
}

impl From<&str> for StringList {
    fn from(text: &str) -> Self {
        Self(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }
}

impl<'de> Deserialize<'de> for StringList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StringListVisitor)
    }
}

struct StringListVisitor;

impl<'de> Visitor<'de> for StringListVisitor {
    type Value = StringList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StringList, E> {
        Ok(StringList::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<StringList, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = items.next_element::<String>()? {
            names.extend(StringList::from(name.as_str()).0);
        }
        Ok(StringList(names))
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for StringList {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
        let text = || ObjectBuilder::new().schema_type(Type::String);
        utoipa::openapi::schema::Schema::OneOf(OneOfBuilder::new().item(text()).item(ArrayBuilder::new().items(text())).build()).into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for StringList {}

/// Declares a request that changes only the fields that it names.
///
/// Every field becomes an `Option`, `None` meaning "left as it is"; a field whose value is itself an `Option` can be
/// set to null by `Some(None)`. Unknown fields are refused: a patch that silently does nothing hides a typing error.
macro_rules! patch {
    (
        $(#[$outer:meta])*
        pub struct $name:ident {
            $( $(#[$doc:meta])* $field:ident $(as $wire:tt)? : $ty:ty ),* $(,)?
        }
        flags { $( $(#[$flag_doc:meta])* $flag:ident ),* $(,)? }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::wire::present")]
                $( #[serde(rename = $wire)] )?
                #[cfg_attr(feature = "openapi", schema(value_type = $ty, required = false))]
                pub $field: Option<$ty>,
            )*
            $(
                $(#[$flag_doc])*
                #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::wire::present_flag")]
                #[cfg_attr(feature = "openapi", schema(value_type = bool, required = false))]
                pub $flag: Option<bool>,
            )*
        }

        impl $name {
            /// Tells whether no field is named.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                $( self.$field.is_none() && )* $( self.$flag.is_none() && )* true
            }
        }
    };
}

pub(crate) use patch;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_from_a_text_with_commas_and_from_a_list() {
        let text: StringList = serde_json::from_str(r#""implement, fix,""#).expect("text");
        let list: StringList = serde_json::from_str(r#"["implement","fix"]"#).expect("list");
        assert_eq!(text, list);
        assert_eq!(serde_json::to_string(&text).expect("json"), r#"["implement","fix"]"#);
    }

    #[test]
    fn a_list_of_numbers_is_refused_and_says_what_is_wanted() {
        let error = serde_json::from_str::<StringList>("7").expect_err("a number is no list");
        assert!(error.to_string().contains("a text or a list of texts"), "{error}");
    }

    #[test]
    fn a_flag_is_a_boolean_or_zero_or_one_and_nothing_else() {
        for (json, expected) in [("true", Some(true)), ("0", Some(false)), ("1", Some(true)), ("2", None), ("\"yes\"", None), ("-1", None)]
        {
            assert_eq!(serde_json::from_str::<Flag>(json).ok().map(|flag| flag.0), expected, "{json}");
        }
    }
}
